"""All commands of `container-images`, as one group."""

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from container_images.aws.errors import RefusedError, refused
from container_images.cli.terminal import say
from container_images.policies.invalid_input import printable

_MODULES: Final = {
    "tags": "move promote resolve",
    "history": "history rollback",
    "images": "images",
    "access": "who-can would-deny",
    "access_changes": "access",
    "stack": "adopt verify",
    "rehearse": "rehearse",
    "policy_pack": "policy-pack",
}
COMMANDS: Final = {name: module for module, names in _MODULES.items() for name in names.split()}
"""The module that has each command."""


class _Commands(click.Group):
    """Loads only the module of the command that is asked for.

    A failure is one line of text, or with --json one object, `{"error": sentence, "kind":
    "refused" | "aws" | "usage", "code": AWS's name of the error, or null}`, with the `notes` of the
    command, if there are any.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None."""
        if super().get_command(ctx, cmd_name) is None:
            return None
        module = import_module(f"container_images.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def main(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> Any:
        """Run the command line. The exit status is 1 after a failure and 2 after wrong usage."""
        arguments = [*(sys.argv[1:] if args is None else args)]
        notes: list[str] | None = [] if "--json" in arguments else None
        options |= {"standalone_mode": False, "obj": notes}
        status, failure = 1, dict[str, Any]()
        try:
            with refused():
                status = super().main(arguments, *others, **options)
        except RefusedError as error:
            failure = error.to_json()
        except ModuleNotFoundError as error:
            fix = "run pip install 'container-images[rehearse,policy-pack]'"
            failure = RefusedError(f"{error}; {fix}").to_json()
        except click.exceptions.NoArgsIsHelpError as error:
            status = error.exit_code
            error.show()
        except click.ClickException as error:
            status = error.exit_code
            sentence = printable(" ".join(error.format_message().split()))
            if notes is None:  # with the command's synopsis
                click.UsageError(sentence, getattr(error, "ctx", None)).show()
            else:
                failure = {"error": sentence, "kind": "usage", "code": None}
        if failure and notes is None:
            say(failure["error"])
        elif failure:
            click.echo(json.dumps(failure | ({"notes": notes} if notes else {})), err=True)
        else:
            for text in notes or ():
                say(f"note: {text}")
        sys.exit(status)


# The names alone, for those that a misspelt one resembles.
@click.group(cls=_Commands, commands=dict.fromkeys(COMMANDS, click.Command(None)))
def app() -> None:
    """Move, promote, roll back, resolve and trace the tags of a repository in Amazon ECR.

    Region, profile and endpoint come from the environment, as with any AWS tool. Exit status: 0
    done, 1 refused or failed, 2 wrong usage, 130 interrupted. The reason is on standard error, in a
    line of text; with --json, in a JSON object.
    """
