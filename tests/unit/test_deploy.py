"""What can be known of the images and the compose file without an engine that runs them."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings import Settings
from streams.kafka import KAFKA_VERSION

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / "deploy/env.example").read_text().splitlines()
    if "=" in line and not line.startswith("#")
)

REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")
DEFAULTED = re.compile(r"\$\{(\w+):-([^}]*)\}")
SECRET = re.compile(r"PASS|SECRET|TOKEN|API_KEY", re.IGNORECASE)


def every_service() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", SERVICES)


def resolved(text: object) -> str:
    """What Compose makes of a value when .env sets nothing."""
    return DEFAULTED.sub(r"\2", str(text))


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: resolved(value) for name, value in service.get("environment", {}).items()}


def stages() -> dict[str, str]:
    """The Dockerfile's stages by name, each with those that it is built on."""
    found: dict[str, str] = {}
    for part in re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]:
        match = re.match(r"FROM (\S+) AS (\S+)\n", part)
        assert match, f"a stage without a name: {part[:40]!r}"
        found[match[2]] = found.get(match[1], "") + part
    return found


def last_stage() -> str:
    return list(stages().values())[-1]


def healthcheck_of(stage: str) -> list[str]:
    match = re.search(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", stage, re.MULTILINE)
    assert match
    command: list[str] = json.loads(match[1])
    return command


# ---- images


def test_every_base_image_has_a_version() -> None:
    names = set(stages())
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    outside = [base for base in bases if base not in names]
    assert outside
    assert all(re.search(r":\d+\.\d+", base) for base in outside), outside


@pytest.mark.parametrize("stage", ["vigil", "mlflow"])
def test_an_image_runs_as_a_fixed_user_who_is_not_root(stage: str) -> None:
    users = re.findall(r"^USER (\S+)$", stages()[stage], re.MULTILINE)
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1])


def test_the_image_that_is_built_without_a_target_is_the_worker() -> None:
    assert re.search(r'^ENTRYPOINT \["vigil"\]\nCMD \["worker", "bedside"\]$', last_stage(), re.M)


def test_the_uv_that_builds_the_image_is_the_one_that_sets_up_the_project() -> None:
    makefile = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    dockerfile = re.search(r"^ARG UV_VERSION=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert makefile
    assert dockerfile
    assert makefile[1] == dockerfile[1]


def test_the_build_sees_every_package_and_no_data_or_secret() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert allowed == packages | {"pyproject.toml", "uv.lock", "README.md"}


@dataclass
class Endpoint:
    """A server that answers every request with ``status``."""

    port: int = 0
    status: int = 200
    paths: list[str] = field(default_factory=list)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.paths.append(self.path)
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_worker_is_healthy_while_live_answers_200(
    endpoint: Endpoint, status: int, healthy: bool
) -> None:
    endpoint.status = status
    command = healthcheck_of(last_stage())
    assert command[0] == "python"
    # -S: it needs nothing but the standard library
    done = subprocess.run(
        [sys.executable, "-S", *command[1:]],
        env=os.environ | {"VIGIL_WEB_PORT": str(endpoint.port)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode == 0) is healthy
    assert endpoint.paths == ["/live"]


# ---- settings and secrets


def test_every_vigil_variable_is_a_setting_with_a_value_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = dict(re.findall(r"\b(VIGIL_\w+)=(\S+)", last_stage()))
    for service in SERVICES.values():
        given |= {k: v for k, v in environment(service).items() if k.startswith("VIGIL_")}
    assert len(given) >= 6
    known = {f"VIGIL_{name.upper()}" for name in Settings.model_fields}
    assert set(given) <= known
    assert {name for name in EXAMPLE if name.startswith("VIGIL_")} <= known
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert Settings().bootstrap == "kafka:19092"


def test_topics_are_made_for_the_workers_that_read_them() -> None:
    topics, bedside = environment(SERVICES["topics"]), environment(SERVICES["bedside"])
    assert topics.items() <= bedside.items()
    # one broker holds one copy
    assert topics["VIGIL_REPLICATION"] == "1"
    assert int(topics["VIGIL_PARTITIONS"]) >= int(
        resolved(SERVICES["bedside"]["deploy"]["replicas"])
    )


def test_no_secret_is_written_into_the_compose_file() -> None:
    found = 0
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable):
                found += 1
                assert REQUIRED.fullmatch(str(value)), f"{name}: {variable}"
    assert found >= 5
    assert not re.search(r"://[^/\s:@]+:[^/\s@]+@", yaml.dump(COMPOSE)), "a password in an address"


def test_accounts_are_in_a_file_of_their_own_which_gives_no_secret_and_names_settings() -> None:
    assert SERVICES["paging"]["env_file"] == [{"path": "paging.env", "required": False}]
    text = (ROOT / "deploy/paging.env.example").read_text()
    rows = dict(re.findall(r"^#(VIGIL_\w+)=(.*)$", text, re.MULTILINE))
    assert {name.removeprefix("VIGIL_").lower() for name in rows} <= {*Settings.model_fields}
    assert not any(rows.values())
    assert "paging.env" in (ROOT / ".gitignore").read_text()


def test_the_example_names_every_variable_and_no_other_and_gives_no_secret() -> None:
    text = yaml.dump(COMPOSE, width=10_000)
    required = set(REQUIRED.findall(text))
    defaulted = dict(DEFAULTED.findall(text))
    assert required
    assert dict.fromkeys(required, "") | defaulted == EXAMPLE


# ---- services


@every_service()
def test_a_service_has_a_health_check_or_runs_once(name: str) -> None:
    service = SERVICES[name]
    if service["restart"] == "no":
        waits = [s.get("depends_on", {}).get(name) for s in SERVICES.values()]
        assert {"condition": "service_completed_successfully"} in waits
    elif "healthcheck" in service:
        assert service["healthcheck"]["test"][0] == "CMD"
    else:
        assert healthcheck_of(stages()[service["build"]["target"]])


@every_service()
def test_a_service_waits_for_health_or_completion_of_services_that_exist(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        once = SERVICES[other]["restart"] == "no"
        wanted = "service_completed_successfully" if once else "service_healthy"
        assert wait["condition"] == wanted


@every_service()
def test_a_service_that_goes_on_is_restarted(name: str) -> None:
    assert SERVICES[name]["restart"] in {"no", "unless-stopped"}


@every_service()
def test_an_image_is_pinned(name: str) -> None:
    _, separator, tag = SERVICES[name]["image"].rpartition(":")
    assert separator
    assert re.search(r"\d+\.\d+\.\d+|\d+\.\d+-|\d{4}-\d\d-\d\d", tag), tag


@every_service()
def test_a_service_cannot_take_the_whole_machine(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) <= 2
    assert re.fullmatch(r"\d+[mg]", limits["memory"])


@every_service()
def test_a_service_may_not_gain_rights(name: str) -> None:
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]
    assert not SERVICES[name].get("privileged")


@every_service()
def test_a_port_is_published_on_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@every_service()
def test_what_a_service_names_is_declared(name: str) -> None:
    assert set(SERVICES[name]["networks"]) <= set(COMPOSE["networks"])
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).exists()
        elif ":" in volume:
            assert source in COMPOSE["volumes"]


def test_workers_do_not_share_a_volume() -> None:
    # a name would be one volume for all replicas, and RocksDB has one owner
    assert SERVICES["bedside"]["volumes"] == ["/var/lib/vigil"]
    assert re.search(r"^VOLUME /var/lib/vigil$", last_stage(), re.MULTILINE)


def test_the_stores_have_no_way_out() -> None:
    for name in ("postgres", "minio", "bucket", "qdrant"):
        assert all(COMPOSE["networks"][net]["internal"] for net in SERVICES[name]["networks"])


def test_kafka_is_the_version_that_the_tests_run_against() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_qdrant_is_a_version_that_the_client_takes() -> None:
    # its client warns of a server more than one minor version away
    server = SERVICES["qdrant"]["image"].partition(":v")[2].split(".")
    client = version("qdrant-client").split(".")
    assert server[0] == client[0]
    assert abs(int(server[1]) - int(client[1])) <= 1


def test_prometheus_asks_every_worker_at_its_port() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (discovery,) = job["dns_sd_configs"]
    assert discovery["names"] == ["bedside", "learning", "paging", "answers"]
    assert f"VIGIL_WEB_PORT={discovery['port']}" in last_stage()
