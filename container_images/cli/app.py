"""All commands of `container-images`, as one group."""

from importlib import import_module
from typing import Final

import click

from container_images.cli.command import Commands

COMMAND_MODULES: Final = {
    "container_images.cli.tags": ("move", "promote", "rollback", "resolve"),
    "container_images.cli.history": ("history",),
    "container_images.cli.images": ("images",),
    "container_images.cli.access": ("who-can", "would-deny"),
    "container_images.cli.stack": ("adopt", "verify"),
    "container_images.cli.rehearse": ("rehearse",),
    "container_images.cli.policy_pack": ("policy-pack",),
}
"""The modules that have the commands, in the order of the help."""


class _ByName(Commands):
    """Loads the module of the command that is asked for: a pipeline need not wait for the others.

    A name that no command has loads them all, for the ones that it resembles.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """All names, without loading anything."""
        return [name for names in COMMAND_MODULES.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None."""
        modules = [module for module, names in COMMAND_MODULES.items() if cmd_name in names]
        for module in modules or COMMAND_MODULES:
            self.commands |= import_module(module).app.commands
        return super().get_command(ctx, cmd_name)


@click.group(cls=_ByName)
def app() -> None:
    """Move, promote, roll back, resolve and trace the tags of a repository in Amazon ECR.

    Region, profile and endpoint come from the environment, as with any AWS tool. Exit status: 0
    done, 1 refused or failed, 2 wrong usage, 130 interrupted. The reason is on standard error, in a
    line of text; with --json, in a JSON object.
    """
