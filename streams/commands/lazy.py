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
        """Import a command.

        Raises:
            click.ClickException: its package was left out of this installation.
        """
        if name not in self._lazy:
            return None
        path = self._lazy[name][0]
        try:
            module = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path.split(".")[0]:
                raise
            raise click.ClickException(
                f"{ctx.command_path} {name} is not part of this installation: run it in a checkout "
                "of Vigil."
            ) from error
        command: click.Command = getattr(module, self._attribute or name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self._lazy.items()])
