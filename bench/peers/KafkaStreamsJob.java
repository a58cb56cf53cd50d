// The small job on Kafka Streams: a processor over a persistent store with changelog and cache.
// Run as a source file: java --class-path JARS KafkaStreamsJob.java BROKER INPUT OUTPUT GROUP STATE TUNED

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

public final class KafkaStreamsJob {
    static final String STORE = "kept";
    static final JsonFactory JSON = new JsonFactory();
    static final String[] FIELDS = {
        "MDC_PULS_OXIM_PULS_RATE_Result",
        "MDC_TEMP_Result",
        "MDC_ECG_HEART_RATE_Result",
        "MDC_TTHOR_RESP_RATE_Result",
    };
    static final int READING_BYTES = Long.BYTES + FIELDS.length * Double.BYTES;

    /** One reading: its number and the four values, in the order of FIELDS. */
    static final class Reading {
        String patient;
        long sequence;
        final double[] values = new double[FIELDS.length];

        static Reading decode(byte[] json) throws IOException {
            Reading reading = new Reading();
            try (JsonParser parser = JSON.createParser(json)) {
                parser.nextToken();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    String field = parser.currentName();
                    parser.nextToken();
                    reading.take(field, parser);
                }
            }
            return reading;
        }

        void take(String field, JsonParser parser) throws IOException {
            switch (field) {
                case "patient_id" -> patient = parser.getText();
                case "sequence" -> sequence = parser.getLongValue();
                case "MDC_PULS_OXIM_PULS_RATE_Result" -> values[0] = parser.getDoubleValue();
                case "MDC_TEMP_Result" -> values[1] = parser.getDoubleValue();
                case "MDC_ECG_HEART_RATE_Result" -> values[2] = parser.getDoubleValue();
                case "MDC_TTHOR_RESP_RATE_Result" -> values[3] = parser.getDoubleValue();
                default -> parser.skipChildren();
            }
        }

        void pack(ByteBuffer into) {
            into.putLong(sequence);
            for (double value : values) {
                into.putDouble(value);
            }
        }

        static Reading unpack(ByteBuffer from) {
            Reading reading = new Reading();
            reading.sequence = from.getLong();
            for (int i = 0; i < reading.values.length; i++) {
                reading.values[i] = from.getDouble();
            }
            return reading;
        }
    }

    static final class Job implements Processor<byte[], byte[], byte[], byte[]> {
        private static boolean started;
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<byte[], byte[]> store;

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            store = given.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            if (!started) {
                started = true;
                System.out.println("bench: began " + System.currentTimeMillis());
            }
            try {
                Reading now = Reading.decode(record.value());
                byte[] stored = store.get(record.key());
                Reading before = stored == null ? null : last(stored);
                store.put(record.key(), pack(before, now));
                context.forward(record.withValue(encode(before == null ? now : before, now)));
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }

        /** The newest of the one or two readings that are stored. */
        private static Reading last(byte[] stored) {
            return Reading.unpack(
                ByteBuffer.wrap(stored, stored.length - READING_BYTES, READING_BYTES));
        }

        private static byte[] pack(Reading before, Reading now) {
            ByteBuffer buffer = ByteBuffer.allocate(READING_BYTES * (before == null ? 1 : 2));
            if (before != null) {
                before.pack(buffer);
            }
            now.pack(buffer);
            return buffer.array();
        }

        private static byte[] encode(Reading before, Reading now) throws IOException {
            double pulse = now.values[0];
            double other = before.values[0];
            ByteArrayOutputStream out = new ByteArrayOutputStream(256);
            try (JsonGenerator json = JSON.createGenerator(out)) {
                json.writeStartObject();
                json.writeStringField("patient_id", now.patient);
                json.writeNumberField("sequence", now.sequence);
                json.writeNumberField("MDC_PULS_OXIM_PULS_RATE_Result_min", Math.min(pulse, other));
                json.writeNumberField("MDC_TEMP_Result_mean", (now.values[1] + before.values[1]) / 2);
                json.writeNumberField("MDC_PULS_OXIM_PULS_RATE_Result_mean", (pulse + other) / 2);
                json.writeNumberField("HR_to_RR_Ratio", now.values[2] / now.values[3]);
                json.writeEndObject();
            }
            return out.toByteArray();
        }
    }

    /** As it comes, at least once; tuned: nothing lingers, commits every 100 ms. */
    static Properties settings(String broker, String group, String state, boolean tuned) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        if (tuned) {
            settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 0);
            settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        }
        return settings;
    }

    public static void main(String[] words) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(
            Stores.keyValueStoreBuilder(
                    Stores.persistentKeyValueStore(STORE), Serdes.ByteArray(), Serdes.ByteArray())
                .withCachingEnabled());
        builder.stream(words[1], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .process(Job::new, STORE)
            .to(words[2], Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        Properties settings = settings(words[0], words[3], words[4], words[5].equals("true"));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
