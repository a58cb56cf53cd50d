"""What an application tells Faust: security, folders, and when it is alive."""

from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from config.settings import Settings
from streams.application import VigilApp, new_app


def _settings(tmp_path: Path, **more: Any) -> Settings:
    return Settings(broker="nowhere:1,nowhere:2", home=tmp_path, **more)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_settings_reach_the_client_as_they_are(
    tmp_path: Path, protocol: str, mechanism: str
) -> None:
    chosen = _settings(
        tmp_path,
        broker_security_protocol=protocol,
        broker_sasl_mechanism=mechanism,
        broker_sasl_username="vigil",
        broker_sasl_password="secret",
    )

    auth = credentials_to_aiokafka_auth(new_app("bedside", chosen).conf.broker_credentials, None)

    assert auth["security_protocol"] == protocol
    assert auth["sasl_mechanism"] == mechanism
    assert (auth["sasl_plain_username"], auth["sasl_plain_password"]) == ("vigil", "secret")
    assert (auth.get("ssl_context") is not None) == (protocol == "SASL_SSL")


def test_tls_alone_reaches_the_client(tmp_path: Path) -> None:
    chosen = _settings(tmp_path, broker_security_protocol="SSL")

    auth = credentials_to_aiokafka_auth(new_app("bedside", chosen).conf.broker_credentials, None)

    assert auth["security_protocol"] == "SSL"
    assert auth["ssl_context"] is not None


def test_every_broker_of_the_list_is_known(tmp_path: Path) -> None:
    app = new_app("bedside", _settings(tmp_path))

    assert [url.port for url in app.conf.broker] == [1, 2]


def test_the_prefix_is_part_of_the_consumer_group(tmp_path: Path) -> None:
    app = new_app("bedside", _settings(tmp_path, topic_prefix="test."))

    assert app.conf.id == "test.bedside"


@pytest.mark.parametrize(
    ("oldest_s", "alive"), [(None, True), (59, True), (61, False)], ids=["idle", "busy", "stalled"]
)
def test_live_means_that_nothing_waits_too_long_for_its_commit(
    tmp_path: Path, oldest_s: float | None, alive: bool
) -> None:
    app: VigilApp = new_app("bedside", _settings(tmp_path, liveness_s=60))
    since = None if oldest_s is None else monotonic() - oldest_s
    app.consumer = SimpleNamespace(oldest_work=lambda: since)

    assert app.alive is alive


def test_pages_answer_at_the_port_of_the_settings(tmp_path: Path) -> None:
    app = new_app("bedside", _settings(tmp_path, web_port=1234))

    assert app.boot_strategy.web_server()
    assert app.conf.web_port == 1234


def test_port_0_means_no_pages(tmp_path: Path) -> None:
    app = new_app("bedside", _settings(tmp_path, web_port=0))

    assert not app.boot_strategy.web_server()
