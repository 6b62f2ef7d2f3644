"""All commands of `python -m registry`, as one."""

import typer

from registry.access import cli as access
from registry.command import Commands
from registry.lifecycle import cli as lifecycle
from registry.stack import cli as stack
from registry.tags import cli as tags
from registry.tags import stack_moves_cli as stack_moves

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: readable in a build's log, and quicker to start
    no_args_is_help=True,
    help="Move, promote, roll back, resolve and trace the tags of a repository in Amazon ECR. "
    "Region, profile and endpoint come from the environment, as with any AWS tool. Exit "
    "status: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted. The reason is on "
    "standard error, in a line of text; with --json, in a JSON object.",
)
for part in (tags, stack_moves, lifecycle, access, stack):
    app.add_typer(part.app)
