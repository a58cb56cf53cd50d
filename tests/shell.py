"""Commands as a person gives them: with the exit code and what stands on both outputs."""

from collections.abc import Sequence
from typing import Any

from click.testing import CliRunner, Result

from streams.cli import main

__all__ = ["vigil"]


class _Shell:
    """Looks like a click command to the runner, and is the whole command line."""

    name = "vigil"

    def main(self, args: Sequence[str], prog_name: str, **_: Any) -> None:
        main(list(args))


def vigil(*arguments: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(_Shell(), arguments)  # type: ignore[arg-type]
