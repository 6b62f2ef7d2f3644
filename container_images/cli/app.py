"""All commands of `container-images`, as one group."""

from importlib import import_module
from typing import Final

import click

from container_images.cli.command import Commands

COMMANDS: Final = {
    **dict.fromkeys(("move", "promote", "rollback", "resolve"), "tags"),
    "history": "history",
    "images": "images",
    **dict.fromkeys(("who-can", "would-deny"), "access"),
    **dict.fromkeys(("adopt", "verify"), "stack"),
    "rehearse": "rehearse",
    "policy-pack": "policy_pack",
}
"""The module that has each command, in the order of the help."""


class _ByName(Commands):
    """Loads only the module of the command that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """All names, without loading anything."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None."""
        if super().get_command(ctx, cmd_name) is None:
            return None
        module = import_module(f"container_images.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command


# The names alone, for those that a misspelt one resembles.
@click.group(cls=_ByName, commands=dict.fromkeys(COMMANDS, click.Command(None)))
def app() -> None:
    """Move, promote, roll back, resolve and trace the tags of a repository in Amazon ECR.

    Region, profile and endpoint come from the environment, as with any AWS tool. Exit status: 0
    done, 1 refused or failed, 2 wrong usage, 130 interrupted. The reason is on standard error, in a
    line of text; with --json, in a JSON object.
    """
