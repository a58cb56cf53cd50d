"""The catalogue of metrics: every metric of Vigil, its type, its unit and what it tells.

Base units (seconds, bytes, records), Prometheus naming. No label carries a patient.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["REGISTRY", "Metrics", "metrics"]

REGISTRY = CollectorRegistry()

_LATENCY = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_COST = (1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3)


class Metrics:
    """All metrics, created once a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        #: What became of each record of `vitals`: scored, duplicate, out_of_order, late, routed,
        #: repeated, rejected. The sum is the number of records read.
        self.readings = Counter(
            "vigil_readings", "Records of vitals, by what became of them", ["outcome"],
            registry=registry,
        )  # fmt: skip
        #: What became of each record of `labs`: kept, repeated, implausible, unknown_code.
        self.labs = Counter(
            "vigil_lab_results", "Records of labs, by what became of them", ["outcome"],
            registry=registry,
        )  # fmt: skip
        #: Dead letters by the topic they came from.
        self.dead_letters = Counter(
            "vigil_dead_letters", "Records that could not be used", ["topic"], registry=registry
        )
        #: Decode, window, features, risk and recommendation; a reading's share of its batch.
        self.scoring = Histogram(
            "vigil_scoring_seconds", "Time spent on one reading", buckets=_COST, registry=registry
        )
        #: From the Kafka time of a batch's oldest reading to the broker's acknowledgement of its
        #: recommendations: what a device waits at most.
        self.latency = Histogram(
            "vigil_recommendation_latency_seconds", "Reading produced to recommendation stored",
            buckets=_LATENCY, registry=registry,
        )  # fmt: skip
        #: Readings handed to the agent at once; small when the worker keeps up.
        self.batch = Histogram(
            "vigil_batch_readings", "Records in a batch",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000), registry=registry,
        )  # fmt: skip
        #: Fetched and not yet acknowledged.
        self.in_flight = Gauge("vigil_batches_in_flight", "Unacknowledged", registry=registry)
        #: Records behind the end of the partition when it was last read.
        self.lag = Gauge(
            "vigil_consumer_lag_records", "Records behind", ["topic", "partition"],
            registry=registry,
        )  # fmt: skip
        #: Answers by their outcome: answered, abstained, refused, emergency, crisis.
        self.answers = Counter(
            "vigil_answers", "Questions answered, by outcome", ["outcome"], registry=registry
        )
        #: From reading a question to its answer; a question's share of its batch.
        self.answering = Histogram(
            "vigil_answering_seconds", "Time spent on one question", buckets=_LATENCY,
            registry=registry,
        )  # fmt: skip
        #: Documents that answers are looked for in.
        self.documents = Gauge("vigil_documents", "Documents in the index", registry=registry)
        #: Windows in memory.
        self.patients = Gauge("vigil_patients_in_memory", "Windows held", registry=registry)
        #: Bytes of the largest state written lately; the bound is 32 KiB.
        self.state_bytes = Gauge("vigil_state_bytes_max", "Largest state", registry=registry)
        #: Readings that wait for older ones on other partitions.
        self.held = Gauge("vigil_readings_held", "Unkeyed readings held back", registry=registry)
        #: From the last assignment of partitions to the first reading that could be handled.
        self.recovery = Gauge(
            "vigil_recovery_seconds", "Assignment to tables ready", registry=registry
        )
        #: Examples whose stays have not been learned yet.
        self.examples_waiting = Gauge(
            "vigil_examples_waiting", "Examples that wait for their labels", registry=registry
        )
        #: Stays given to the learner by this process.
        self.stays_learned = Counter("vigil_stays_learned", "Stays learned", registry=registry)
        #: Number of the newest layer that was learned.
        self.layer = Gauge("vigil_model_layer", "Newest layer", registry=registry)
        #: Drift events, by layer and signal.
        self.drift = Counter("vigil_drift", "Drift", ["layer", "signal"], registry=registry)
        #: Retrainings that this process started: trained, failed.
        self.retrainings = Counter(
            "vigil_retrainings", "Retrainings, by what became of them", ["outcome"],
            registry=registry,
        )  # fmt: skip
        #: Records of `models` that are not applied.
        self.release_problems = Gauge(
            "vigil_model_problems", "Records of models that are not applied", registry=registry
        )
        #: Alerts and pages on their way: open, queued, sending, in_doubt.
        self.paging = Gauge(
            "vigil_paging", "Alerts that are open, and pages on their way", ["state"],
            registry=registry,
        )  # fmt: skip
        #: Changes of alerts and pages.
        self.alert_changes = Counter(
            "vigil_alert_changes", "Changes, by the state they led to", ["state"],
            registry=registry,
        )  # fmt: skip
        #: Requests to providers: accepted, refused, busy, indoubt.
        self.messages = Counter(
            "vigil_messages", "Requests to providers, by what became of them",
            ["channel", "outcome"], registry=registry,
        )  # fmt: skip
        #: From the Kafka time of the reading that crossed the line to the request at the provider.
        self.paging_latency = Histogram(
            "vigil_paging_latency_seconds", "Reading produced to page requested",
            buckets=_LATENCY, registry=registry,
        )  # fmt: skip
        #: 1 for the model that scores.
        self.model = Gauge(
            "vigil_model_info", "The champion", ["name", "version"], registry=registry
        )


metrics = Metrics(REGISTRY)
