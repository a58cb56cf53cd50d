"""A group of commands each of which is imported when it is called."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A click group whose ``--help`` imports none of its commands.

    Args:
        lazy: command → (module, one line of help).
        attribute: what the click command is called in its module; None: as the command.
        given: as for `click.Group`.
    """

    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, tuple[str, str]],
        attribute: str | None = None,
        **given: Any,
    ) -> None:
        super().__init__(*args, **given)
        self._lazy, self._attribute = lazy, attribute

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, in the order in which they are given."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in self._lazy:
            return None
        module = importlib.import_module(self._lazy[name][0])
        command: click.Command = getattr(module, self._attribute or name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self._lazy.items()])
