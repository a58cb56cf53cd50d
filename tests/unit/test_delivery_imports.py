"""What delivers pages stands by itself, and loads no client that is not used."""

import subprocess
import sys


def loaded(module: str) -> set[str]:
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_delivery_knows_neither_faust_nor_kafka() -> None:
    for module in ("streams.delivery.twilio", "streams.delivery.callbacks"):
        assert loaded(module).isdisjoint({"faust", "mode", "aiokafka"})


def test_twilios_client_is_loaded_only_where_there_is_an_account() -> None:
    assert "twilio" not in loaded("streams.delivery.choose")
