"""Every setting of Vigil: from the environment (``VIGIL_…``), with defaults that run the demo.

A setting is read once, when `settings` is first called. Nothing else in the project reads the
environment.
"""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import Field, FilePath, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["MissingBrokerError", "Settings", "settings"]

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class MissingBrokerError(RuntimeError):
    """No broker is configured and none runs here."""


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vigil"


class Settings(BaseSettings):
    """Settings, each with its default; ``VIGIL_GRACE_HOURS=2`` sets ``grace_hours``."""

    # no input in errors: it would show the password beside a mistake in another setting. Empty is
    # not set: an empty token would sign for everybody
    model_config = SettingsConfigDict(
        env_prefix="VIGIL_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    # where things are kept
    home: Path = Field(Path(".vigil"), description="State of this installation: broker, tables.")
    cache: Path = Field(default_factory=_default_cache, description="Downloads, safe to delete.")
    model_dir: Path | None = Field(
        None, description="A model folder to use instead of the registry."
    )
    mlflow_tracking_uri: str | None = Field(None, description="Registry; default: home/mlflow.db.")

    # the broker
    broker: str | None = Field(None, description="host:port[,host:port…]; default: `vigil kafka`.")
    broker_security_protocol: SecurityProtocol = "PLAINTEXT"
    broker_sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    broker_sasl_username: str | None = None
    broker_sasl_password: SecretStr | None = None
    broker_ssl_cafile: FilePath | None = None
    broker_ssl_certfile: FilePath | None = None
    broker_ssl_keyfile: FilePath | None = None
    broker_wait_s: float = Field(
        60, ge=0, description="How long a worker that starts waits for a broker that is away."
    )

    # topics: partitions and replication are those of topics that Vigil creates
    partitions: int = Field(4, ge=1, description="Of every topic that carries patients.")
    replication: int = Field(1, ge=1, description="Copies of each partition; 3 in production.")
    topic_prefix: str = Field("", description="Put before every topic's name and application id.")
    topic_vitals: str = "vitals"
    topic_vitals_routed: str = "vitals.routed"
    topic_vitals_late: str = "vitals.late"
    topic_admissions: str = "admissions"
    topic_labs: str = "labs"
    topic_outcomes: str = "outcomes"
    topic_recommendations: str = "recommendations"
    topic_dead_letters: str = "dead.letters"
    topic_lessons: str = "lessons"
    topic_models: str = "models"
    topic_drift: str = "drift"
    topic_alerts_raised: str = "alerts.raised"
    topic_alerts_acknowledged: str = "alerts.acknowledged"
    topic_alerts_silences: str = "alerts.silences"
    topic_delivery_receipts: str = "delivery.receipts"
    topic_alerts: str = "alerts"
    topic_audit: str = "audit"
    topic_chat_questions: str = "chat.questions"
    topic_chat_answers: str = "chat.answers"
    topic_documents: str = "documents"
    topic_chat_audit: str = "chat.audit"

    # learning
    learning: bool = Field(
        True, description="Whether examples and outcomes go to the learner's topic."
    )
    site: str = Field(
        "default",
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
        description="Hospital whose outcomes are learned from; its models bear its name.",
    )
    label_delay_hours: float = Field(
        12, ge=0, description="After the end of a stay, event time; then its outcome counts."
    )
    pseudonym_key: SecretStr | None = Field(
        None, description="Makes patients' names in collected data sets; keep it, and keep it away."
    )

    # the site
    feature_set: Literal["vitals", "context", "labs"] = Field(
        "context",
        description="What the site sends: vital signs, admissions too, laboratory results too.",
    )

    label_wait_days: float = Field(
        60, gt=0, description="Without an outcome, examples are given up after this event time."
    )

    promotion: Literal["manual", "auto"] = Field(
        "manual", description="Whether a challenger that the rule lets pass takes over by itself."
    )
    retrain_dir: Path | None = Field(
        None, description="Folder for collected data sets; with it drift starts a retraining."
    )
    retrain_days: float | None = Field(
        None, gt=0, description="With VIGIL_RETRAIN_DIR: also after so many days of event time."
    )

    # paging
    policy: Path | None = Field(
        None, description="The alert policy; default: the one that ships, for the demo."
    )
    alert_link: str | None = Field(
        None,
        description="Address that a page links to, with {reference} in it; default: no link.",
    )

    # audits
    audit_key: SecretStr | None = Field(
        None,
        description="Makes the hashes of ids in the audits; keep it, and keep it away. Without it "
        "whoever can guess ids can look them up.",
    )

    # readings
    grace_hours: float = Field(
        6, ge=0, le=8, description="How late a reading may come, event time."
    )
    future_tolerance_s: float = Field(
        300, ge=0, description="How far observed_at may lie after the record's Kafka time."
    )
    max_reading_bytes: int = Field(65_536, ge=256, description="Larger records are dead letters.")
    route_hold_ms: int = Field(
        50,
        ge=0,
        description="How long an unkeyed reading waits for older ones on other partitions.",
    )

    # the worker
    batch_max: int = Field(1_000, ge=1, description="Readings handed to an agent at once.")
    batches_in_flight: int = Field(4, ge=1, description="Per partition, not yet acknowledged.")
    hot_patients: int = Field(20_000, ge=1, description="Windows kept in memory, 10 KiB each.")
    admissions_wait_s: float = Field(
        5, ge=0, description="How long a new patient's readings wait for the admissions topic."
    )
    liveness_s: float = Field(60, gt=0, description="Work this long uncommitted: not live.")
    commit_interval_s: float = Field(1.0, gt=0)
    session_timeout_s: float = Field(
        10.0, gt=0, description="After this a dead worker is replaced."
    )
    standby_replicas: int = Field(0, ge=0, description="Warm copies of each table's partition.")
    rocksdb_buffer_mib: int = Field(
        128, ge=1, description="Write buffers of a worker, for all tables and partitions."
    )
    web_host: str = Field("127.0.0.1", description="Where /live, /ready and /metrics answer.")
    web_port: int = Field(
        6066,
        ge=0,
        le=65535,
        description="Port of the same; one for each worker of a machine. 0: no pages.",
    )

    # delivery of pages: what has no provider goes to the local outbox
    public_url: str | None = Field(
        None,
        description="How providers reach this installation, https://host[/path]; for receipts and "
        "answers.",
    )
    provider_timeout_s: float = Field(
        10, gt=0, le=120, description="After this a request to a provider is in doubt."
    )
    local_outbox: Path | None = Field(
        None, description="File of what is delivered locally; default: home/outbox.jsonl."
    )
    local_print: bool = Field(
        False, description="Whether what is delivered locally is shown on the terminal too."
    )
    twilio_account_sid: str | None = Field(
        None, description="With it texts go out by Twilio; AC and 32 characters."
    )
    twilio_auth_token: SecretStr | None = Field(
        None, description="Of the account: for requests, and to tell its callbacks from others'."
    )
    twilio_from: str | None = Field(None, description="Number that texts come from, +14155550123.")
    twilio_messaging_service_sid: str | None = Field(
        None, description="Instead of a number: MG and 32 characters."
    )
    twilio_base_url: str = Field(
        "https://api.twilio.com", description="Another region's, or a proxy's; https."
    )
    smtp_host: str | None = Field(None, description="With it mail goes out by this server.")
    smtp_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Default: 587 with STARTTLS, 465 with TLS, 25 without either.",
    )
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="tls: encrypted from the first byte."
    )
    smtp_cafile: FilePath | None = Field(
        None, description="Certificates to trust for it; default: the machine's."
    )
    smtp_username: str | None = Field(None, description="Where the server asks for a login.")
    smtp_password: SecretStr | None = None
    smtp_from: str | None = Field(None, description="Address that mail comes from.")

    # answers
    corpus: Path | None = Field(
        None, description="Folder of documents to answer from; default: home/corpus."
    )
    encoder: Literal["onnx", "torch"] = Field(
        "onnx", description="Of questions and documents; torch needs the extra chat."
    )
    qdrant_url: str | None = Field(
        None, description="A Qdrant server for the documents' vectors; default: in the process."
    )
    qdrant_api_key: SecretStr | None = Field(None, description="Of that server.")
    region: str | None = Field(
        None,
        description="Whose emergency numbers are told: a country's code, or EU; see "
        "config/emergency_numbers.yaml.",
    )
    emergency_numbers: Path | None = Field(
        None, description="A file of numbers of your own; default: config/emergency_numbers.yaml."
    )
    time_zone: str = Field(
        "UTC", description="Of the clocks on the walls, for questions: Europe/Vienna."
    )
    claims_key: SecretStr | None = Field(
        None,
        description="Signs who asks and what they may see; without it the topic's ACLs are "
        "trusted alone.",
    )
    sees_everybody: tuple[str, ...] = Field(
        ("site",), description="Roles that see every patient, as a JSON list."
    )
    chat_ttl_minutes: float = Field(
        15, gt=0, description="Event time without a question after which a conversation is over."
    )
    chat_questions_per_minute: float = Field(
        20, gt=0, description="Of one conversation; emergencies are answered all the same."
    )
    chat_burst: int = Field(10, ge=1, description="Of these, at once.")
    abstain_below: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Confidence below which nothing is answered; default: as fitted, see "
        "docs/answers.md.",
    )
    ward_silent_hours: float = Field(
        24, gt=0, description="A patient without news for so long is not told of any more."
    )
    chat_endpoint: str | None = Field(
        None,
        description="An OpenAI-compatible endpoint that words answers, https://host/v1; default: "
        "answers are quotes.",
    )
    chat_endpoint_model: str | None = Field(None, description="Its model's name.")
    chat_endpoint_key: SecretStr | None = Field(None, description="Its key, if it wants one.")
    chat_endpoint_timeout_s: float = Field(
        10, gt=0, le=120, description="Of one of three tries; all take twice as long at most."
    )

    # when nearly everything is bad, stop instead of draining the topic into the dead letters
    dead_letter_window: int = Field(5_000, ge=1, description="Records looked back on.")
    dead_letter_ratio: float = Field(0.95, gt=0, le=1, description="More dead letters: stop.")

    @model_validator(mode="after")
    def _complete(self) -> "Settings":
        if self.broker_security_protocol.startswith("SASL") and not (
            self.broker_sasl_username and self.broker_sasl_password
        ):
            raise ValueError(
                f"broker_security_protocol={self.broker_security_protocol} needs "
                "VIGIL_BROKER_SASL_USERNAME and VIGIL_BROKER_SASL_PASSWORD"
            )
        names = [v for k, v in self if k.startswith("topic_") and k != "topic_prefix"]
        if len(set(names)) < len(names):  # a worker would read what it writes
            raise ValueError(f"every VIGIL_TOPIC_… needs a name of its own, not {sorted(names)}")
        if self.hot_patients < self.batch_max:
            raise ValueError("VIGIL_HOT_PATIENTS must be at least VIGIL_BATCH_MAX")
        if (self.broker_ssl_certfile is None) != (self.broker_ssl_keyfile is None):
            raise ValueError(
                "VIGIL_BROKER_SSL_CERTFILE and VIGIL_BROKER_SSL_KEYFILE go together: set both"
            )
        return self

    @model_validator(mode="after")
    def _delivery_complete(self) -> "Settings":
        if self.twilio_account_sid:
            if not self.twilio_auth_token:
                raise ValueError("VIGIL_TWILIO_ACCOUNT_SID needs VIGIL_TWILIO_AUTH_TOKEN")
            if bool(self.twilio_from) == bool(self.twilio_messaging_service_sid):
                raise ValueError(
                    "VIGIL_TWILIO_ACCOUNT_SID needs either VIGIL_TWILIO_FROM or "
                    "VIGIL_TWILIO_MESSAGING_SERVICE_SID, and not both"
                )
        elif self.twilio_auth_token or self.twilio_from or self.twilio_messaging_service_sid:
            # texts would go to a file while everybody thinks that they go out
            raise ValueError("VIGIL_TWILIO_… without an account: set VIGIL_TWILIO_ACCOUNT_SID")
        if self.smtp_host:
            if not self.smtp_from:
                raise ValueError("VIGIL_SMTP_HOST needs VIGIL_SMTP_FROM")
            if bool(self.smtp_username) != bool(self.smtp_password):
                raise ValueError(
                    "VIGIL_SMTP_USERNAME and VIGIL_SMTP_PASSWORD go together: set both"
                )
            if self.smtp_password and self.smtp_security == "none":
                raise ValueError(
                    "VIGIL_SMTP_PASSWORD would be sent in clear: set VIGIL_SMTP_SECURITY to "
                    "starttls or tls"
                )
        elif self.smtp_from or self.smtp_username or self.smtp_password or self.smtp_port:
            raise ValueError("VIGIL_SMTP_… without a server: set VIGIL_SMTP_HOST")
        for name in ("twilio_base_url", "public_url"):
            url = getattr(self, name)
            if url and not _is_private(url):
                raise ValueError(
                    f"VIGIL_{name.upper()} must begin with https:// (or be on this machine) and "
                    "have neither a query nor a fragment"
                )
        return self

    @model_validator(mode="after")
    def _answers_complete(self) -> "Settings":
        if bool(self.chat_endpoint) != bool(self.chat_endpoint_model):
            raise ValueError("VIGIL_CHAT_ENDPOINT and VIGIL_CHAT_ENDPOINT_MODEL go together")
        if self.time_zone not in available_timezones():
            raise ValueError(
                f"VIGIL_TIME_ZONE={self.time_zone} is no time zone: write Europe/Vienna, or UTC"
            )
        if self.chat_endpoint and 2 * self.chat_endpoint_timeout_s >= self.liveness_s:
            raise ValueError(
                "VIGIL_LIVENESS_S must be more than twice VIGIL_CHAT_ENDPOINT_TIMEOUT_S: a worker "
                "that waits for an endpoint would be taken for dead"
            )
        if self.chat_endpoint_key and not self.chat_endpoint:
            raise ValueError("VIGIL_CHAT_ENDPOINT_KEY without an endpoint: set VIGIL_CHAT_ENDPOINT")
        if self.qdrant_api_key and not self.qdrant_url:
            raise ValueError("VIGIL_QDRANT_API_KEY without a server: set VIGIL_QDRANT_URL")
        # a key, or what patients ask, would go through the network in clear
        if self.chat_endpoint and not _is_private(self.chat_endpoint):
            raise ValueError(
                "VIGIL_CHAT_ENDPOINT must begin with https:// (or be on this machine) and have "
                "neither a query nor a fragment"
            )
        # a name without a dot is a service of the same private network
        host = urlsplit(self.qdrant_url or "").hostname or "."
        if self.qdrant_api_key and "." in host and not _is_private(self.qdrant_url or ""):
            raise ValueError(
                "VIGIL_QDRANT_API_KEY would be sent in clear: VIGIL_QDRANT_URL must begin with "
                "https:// (or be on this machine, or a service's name without a dot)"
            )
        return self

    @property
    def corpus_path(self) -> Path:
        """Folder of the documents to answer from."""
        return self.corpus or self.home / "corpus"

    @property
    def outbox_path(self) -> Path:
        """File of the messages that are delivered locally."""
        return self.local_outbox or self.home / "outbox.jsonl"

    @property
    def kafka_home(self) -> Path:
        """Folder of the local broker."""
        return self.home / "kafka"

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps runs and models."""
        return self.mlflow_tracking_uri or f"sqlite:///{(self.home / 'mlflow.db').absolute()}"

    @property
    def bootstrap(self) -> str:
        """Addresses of the broker: as set, or of the local one that runs.

        Raises:
            MissingBrokerError: neither.
        """
        if self.broker:
            return self.broker
        try:
            cluster = json.loads((self.kafka_home / "cluster.json").read_text())
        except FileNotFoundError:
            raise MissingBrokerError(
                "No broker: start one with `vigil kafka start`, or name yours in VIGIL_BROKER."
            ) from None
        return str(cluster["bootstrap"])

    def kafka_client(self) -> dict[str, Any]:
        """Arguments that connect any aiokafka client to the broker."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.broker_security_protocol,
        }
        if self.broker_security_protocol.endswith("SSL"):
            # imported here: most brokers in development speak plain text
            from aiokafka.helpers import create_ssl_context

            arguments["ssl_context"] = create_ssl_context(
                cafile=_str(self.broker_ssl_cafile),
                certfile=_str(self.broker_ssl_certfile),
                keyfile=_str(self.broker_ssl_keyfile),
            )
        if self.broker_sasl_password and self.broker_security_protocol.startswith("SASL"):
            arguments |= {
                "sasl_mechanism": self.broker_sasl_mechanism,
                "sasl_plain_username": self.broker_sasl_username,
                "sasl_plain_password": self.broker_sasl_password.get_secret_value(),
            }
        return arguments


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read what is sent there."""
    parts = urlsplit(url)
    return (
        (parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1"))
        and bool(parts.hostname)
        and parts.scheme in ("https", "http")
        and not (parts.query or parts.fragment)
    )


def _str(path: Path | None) -> str | None:
    return None if path is None else str(path)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process.

    Raises:
        pydantic.ValidationError: a setting does not parse; the message names it.
    """
    return Settings()
