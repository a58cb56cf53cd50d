"""Settings come from the environment, and a mistake in one is told by its name."""

import json
import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.settings import MissingBrokerError, Settings, settings

pytestmark = pytest.mark.unit

SASL = {"VIGIL_BROKER_SECURITY_PROTOCOL": "SASL_SSL", "VIGIL_BROKER": "broker:9092"}


def given(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def refused(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> str:
    with pytest.raises(ValidationError) as error:
        given(monkeypatch, variables)
    return str(error.value)


def test_without_any_variable_the_defaults_hold() -> None:
    assert Settings().grace_hours == 6
    assert Settings().topic_vitals == "vitals"
    assert Settings().broker is None


def test_a_variable_sets_the_field_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    found = given(
        monkeypatch,
        {
            "VIGIL_TOPIC_VITALS": "input-topic",
            "VIGIL_TOPIC_RECOMMENDATIONS": "output-topic",
            "VIGIL_GRACE_HOURS": "2.5",
            "VIGIL_HOME": "/srv/vigil",
            "VIGIL_BROKER_SSL_CAFILE": __file__,
        },
    )
    assert (found.topic_vitals, found.topic_recommendations) == ("input-topic", "output-topic")
    assert found.grace_hours == 2.5
    assert found.kafka_home == Path("/srv/vigil/kafka")
    assert found.broker_ssl_cafile == Path(__file__)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VIGIL_GRACE_HOURS", "9"), ("VIGIL_GRACE_HOURS", "-1"), ("VIGIL_GRACE_HOURS", "nan"),
        ("VIGIL_PARTITIONS", "0"), ("VIGIL_PARTITIONS", "many"), ("VIGIL_REPLICATION", "0"),
        ("VIGIL_FUTURE_TOLERANCE_S", "-1"), ("VIGIL_MAX_READING_BYTES", "100"),
        ("VIGIL_ROUTE_HOLD_MS", "-1"), ("VIGIL_BATCH_MAX", "0"), ("VIGIL_BATCH_MAX", "1.5"),
        ("VIGIL_BATCHES_IN_FLIGHT", "0"), ("VIGIL_HOT_PATIENTS", "0"), ("VIGIL_LIVENESS_S", "0"),
        ("VIGIL_COMMIT_INTERVAL_S", "0"), ("VIGIL_SESSION_TIMEOUT_S", "0"),
        ("VIGIL_STANDBY_REPLICAS", "-1"), ("VIGIL_ROCKSDB_BUFFER_MIB", "0"),
        ("VIGIL_WEB_PORT", "65536"), ("VIGIL_DEAD_LETTER_WINDOW", "0"),
        ("VIGIL_DEAD_LETTER_RATIO", "0"), ("VIGIL_DEAD_LETTER_RATIO", "1.01"),
        ("VIGIL_BROKER_SECURITY_PROTOCOL", "TLS"), ("VIGIL_BROKER_SASL_MECHANISM", "GSSAPI"),
    ],
)  # fmt: skip
def test_a_value_that_will_not_do_is_refused_under_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    assert variable.removeprefix("VIGIL_").lower() in refused(monkeypatch, {variable: value})


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"VIGIL_BROKER_SASL_USERNAME": "vigil"},
        {"VIGIL_BROKER_SASL_PASSWORD": "s3cret-phrase"},
        {"VIGIL_BROKER_SASL_USERNAME": "", "VIGIL_BROKER_SASL_PASSWORD": "s3cret-phrase"},
    ],
)
def test_sasl_needs_a_user_and_a_password(
    monkeypatch: pytest.MonkeyPatch, credentials: dict[str, str]
) -> None:
    said = refused(monkeypatch, SASL | credentials)
    assert "VIGIL_BROKER_SASL_USERNAME and VIGIL_BROKER_SASL_PASSWORD" in said
    assert "s3cret-phrase" not in said


def test_a_password_is_in_no_error_and_no_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        **SASL,
        "VIGIL_BROKER_SASL_USERNAME": "vigil",
        "VIGIL_BROKER_SASL_PASSWORD": "s3cret-phrase",
    }
    assert "s3cret-phrase" not in repr(given(monkeypatch, variables))
    assert "s3cret-phrase" not in refused(monkeypatch, {"VIGIL_HOT_PATIENTS": "1"})


def test_more_patients_fit_into_memory_than_into_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refused(monkeypatch, {"VIGIL_HOT_PATIENTS": "999", "VIGIL_BATCH_MAX": "1000"})
    assert "VIGIL_HOT_PATIENTS must be at least VIGIL_BATCH_MAX" in said
    assert given(monkeypatch, {"VIGIL_HOT_PATIENTS": "1000"}).hot_patients == 1000


@pytest.mark.parametrize("alone", ["CERTFILE", "KEYFILE"])
def test_a_certificate_and_its_key_go_together(monkeypatch: pytest.MonkeyPatch, alone: str) -> None:
    said = refused(monkeypatch, {f"VIGIL_BROKER_SSL_{alone}": __file__})
    assert "VIGIL_BROKER_SSL_CERTFILE and VIGIL_BROKER_SSL_KEYFILE go together" in said


def test_two_topics_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late readings sent to `vitals` would be read, found late and sent for ever."""
    said = refused(monkeypatch, {"VIGIL_TOPIC_VITALS_LATE": "vitals"})
    assert "every VIGIL_TOPIC_… needs a name of its own" in said
    assert given(monkeypatch, {"VIGIL_TOPIC_VITALS_LATE": "late"}).topic_vitals_late == "late"


# -- the broker


def test_a_broker_that_is_named_is_used(tmp_path: Path) -> None:
    chosen = Settings(broker="one:9092,two:9092", home=tmp_path)
    assert chosen.bootstrap == "one:9092,two:9092"
    assert chosen.kafka_client() == {
        "bootstrap_servers": "one:9092,two:9092",
        "security_protocol": "PLAINTEXT",
    }


def test_without_one_the_local_broker_that_runs_is_used(tmp_path: Path) -> None:
    chosen = Settings(home=tmp_path)
    chosen.kafka_home.mkdir()
    (chosen.kafka_home / "cluster.json").write_text(json.dumps({"bootstrap": "127.0.0.1:19092"}))
    assert chosen.bootstrap == "127.0.0.1:19092"


@pytest.mark.parametrize("broker", [None, ""])
def test_without_any_broker_the_two_ways_to_get_one_are_told(
    tmp_path: Path, broker: str | None
) -> None:
    with pytest.raises(MissingBrokerError, match=r"`vigil kafka start`.*VIGIL_BROKER"):
        _ = Settings(home=tmp_path, broker=broker).bootstrap


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_client_gets_the_credentials_of_a_broker_that_asks_for_them(
    monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    found = given(
        monkeypatch,
        {
            "VIGIL_BROKER": "broker:9092",
            "VIGIL_BROKER_SECURITY_PROTOCOL": protocol,
            "VIGIL_BROKER_SASL_USERNAME": "vigil",
            "VIGIL_BROKER_SASL_PASSWORD": "s3cret",
            "VIGIL_BROKER_SASL_MECHANISM": "PLAIN",
        },
    ).kafka_client()
    context = found.pop("ssl_context", None)
    assert isinstance(context, ssl.SSLContext) == (protocol == "SASL_SSL")
    assert found == {
        "bootstrap_servers": "broker:9092",
        "security_protocol": protocol,
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "vigil",
        "sasl_plain_password": "s3cret",
    }


def test_credentials_are_not_sent_to_a_broker_that_does_not_ask_for_them() -> None:
    chosen = Settings(broker="b:1", broker_sasl_username="u", broker_sasl_password="p")
    assert set(chosen.kafka_client()) == {"bootstrap_servers", "security_protocol"}


def test_mlflow_is_a_file_of_the_home_unless_a_registry_is_named(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert Settings(mlflow_tracking_uri="http://mlflow").tracking_uri == "http://mlflow"


def test_settings_are_read_once_and_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    first = settings()
    monkeypatch.setenv("VIGIL_PARTITIONS", "9")
    assert settings() is first
    with pytest.raises(ValidationError, match="frozen"):
        setattr(first, "partitions", 9)  # noqa: B010


def test_a_certificate_that_is_not_there_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = refused(monkeypatch, {"VIGIL_BROKER_SSL_CAFILE": "/nowhere/ca.pem"})
    assert "broker_ssl_cafile" in said.lower()


# -- delivery

TWILIO = {"VIGIL_TWILIO_ACCOUNT_SID": "AC1", "VIGIL_TWILIO_AUTH_TOKEN": "s3cret-phrase"}
MAIL = {"VIGIL_SMTP_HOST": "mail.example", "VIGIL_SMTP_FROM": "vigil@hospital.example"}


@pytest.mark.parametrize(
    ("variables", "remedy"),
    [
        ({"VIGIL_TWILIO_ACCOUNT_SID": "AC1"}, "needs VIGIL_TWILIO_AUTH_TOKEN"),
        (TWILIO, "needs either VIGIL_TWILIO_FROM or VIGIL_TWILIO_MESSAGING_SERVICE_SID"),
        (
            {**TWILIO, "VIGIL_TWILIO_FROM": "+1", "VIGIL_TWILIO_MESSAGING_SERVICE_SID": "MG1"},
            "and not both",
        ),
        ({"VIGIL_TWILIO_AUTH_TOKEN": "s3cret-phrase"}, "set VIGIL_TWILIO_ACCOUNT_SID"),
        ({"VIGIL_TWILIO_FROM": "+14155550123"}, "set VIGIL_TWILIO_ACCOUNT_SID"),
        ({"VIGIL_TWILIO_BASE_URL": "http://api.twilio.com"}, "must begin with https://"),
        ({"VIGIL_PUBLIC_URL": "vigil.example"}, "must begin with https://"),
        ({"VIGIL_SMTP_HOST": "mail.example"}, "needs VIGIL_SMTP_FROM"),
        ({"VIGIL_SMTP_FROM": "vigil@hospital.example"}, "set VIGIL_SMTP_HOST"),
        ({**MAIL, "VIGIL_SMTP_USERNAME": "vigil"}, "VIGIL_SMTP_PASSWORD go together"),
        ({**MAIL, "VIGIL_SMTP_PASSWORD": "s3cret-phrase"}, "VIGIL_SMTP_PASSWORD go together"),
        (
            {
                **MAIL,
                "VIGIL_SMTP_USERNAME": "vigil",
                "VIGIL_SMTP_PASSWORD": "s3cret-phrase",
                "VIGIL_SMTP_SECURITY": "none",
            },
            "set VIGIL_SMTP_SECURITY to starttls or tls",
        ),
    ],
)
def test_half_a_provider_is_refused_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], remedy: str
) -> None:
    """A page that goes to a file while everybody thinks that it goes out is found too late."""
    said = refused(monkeypatch, variables)
    assert remedy in said
    assert "s3cret-phrase" not in said
    assert "4155550123" not in said


def test_a_whole_provider_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        **TWILIO,
        **MAIL,
        "VIGIL_TWILIO_FROM": "+14155550123",
        "VIGIL_PUBLIC_URL": "https://vigil.example/pager",
        "VIGIL_TWILIO_BASE_URL": "http://127.0.0.1:8080",
        "VIGIL_HOME": "/srv/vigil",
    }
    found = given(monkeypatch, variables)
    assert found.outbox_path == Path("/srv/vigil/outbox.jsonl")
    assert "s3cret-phrase" not in repr(found)


def test_a_setting_that_is_empty_in_the_environment_is_not_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TWILIO_AUTH_TOKEN", "PUBLIC_URL", "SMTP_PORT", "ALERT_LINK"):
        monkeypatch.setenv(f"VIGIL_{name}", "")
    chosen = Settings()
    assert (chosen.twilio_auth_token, chosen.public_url) == (None, None)
    assert (chosen.smtp_port, chosen.alert_link) == (None, None)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"chat_endpoint": "https://x.example/v1"}, "VIGIL_CHAT_ENDPOINT_MODEL"),
        ({"chat_endpoint_key": "k"}, "VIGIL_CHAT_ENDPOINT"),
        ({"chat_endpoint": "http://x.example/v1", "chat_endpoint_model": "m"}, "https://"),
        ({"qdrant_api_key": "k"}, "VIGIL_QDRANT_URL"),
        ({"qdrant_api_key": "k", "qdrant_url": "http://q.example.org:6333"}, "in clear"),
    ],
)
def test_what_answers_need_is_complete_and_nothing_secret_goes_in_clear(
    given: dict[str, str], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        Settings(**given)


@pytest.mark.parametrize(
    "url", ["http://qdrant:6333", "http://127.0.0.1:6333", "https://q.example"]
)
def test_a_key_may_go_to_a_service_of_the_same_network(url: str) -> None:
    assert Settings(qdrant_api_key="k", qdrant_url=url).qdrant_url == url
