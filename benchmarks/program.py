"""The program's time per repository, as the stack grows, beside the same resources by hand."""

import gc
import json
import runpy
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs
from rich.console import Console
from rich.table import Table

from container_images.rehearsal.program import Update, execute, run
from container_images.settings import Account
from container_images.settings.stack_file import StackFile, read

ACCOUNT = Account(partition="aws", id="111122223333", region="eu-west-2")
ADMINISTRATOR = "arn:aws:iam::111122223333:role/platform/forms-registry-deploy"
SIZES = (100, 1000)
ROUNDS = 7


class Nothing(pulumi.runtime.Mocks):
    """Mocks that cost no time: what is measured is the program, and Pulumi's SDK."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Take everything."""
        return args.name, {**args.inputs, "arn": "arn", "repositoryUrl": "url"}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Know the caller and the Region."""
        answers = {
            "aws:index/getCallerIdentity:getCallerIdentity": {
                "accountId": ACCOUNT.id,
                "arn": "arn:aws:sts::111122223333:assumed-role/forms-registry-deploy/bench",
            },
            "aws:index/getRegion:getRegion": {"region": ACCOUNT.region},
            "aws:iam/getSessionContext:getSessionContext": {"issuerArn": ADMINISTRATOR},
        }
        return answers[args.token], []


def sized(stack: StackFile, repositories: int) -> StackFile:
    """The stack, with so many repositories."""
    entries = json.dumps({f"app-{number:04}": {} for number in range(repositories)})
    return replace(stack, config={**stack.config, "container-images:repositories": entries})


def by_hand() -> None:
    """Run the other program, as the language host does."""
    runpy.run_path(str(Path(__file__).with_name("by_hand.py")), run_name="__main__")


def measured(program: Callable[[StackFile], Update], stack: StackFile) -> float:
    """Seconds of processor time, which other processes do not lengthen as they do wall time.

    Without the garbage collector, as in timeit: what it costs depends on what else is in memory.
    """
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        program(stack)
        return time.process_time() - start
    finally:
        gc.enable()


def main(console: Console) -> None:
    """Run both programs in turn and print the time per repository."""
    stack = read(Path.cwd(), "prod")
    programs: dict[str, Callable[[StackFile], Update]] = {
        "this project": lambda it: run(it, Nothing()),
        "by hand": lambda it: execute(by_hand, it, Nothing()),
    }
    times: dict[tuple[str, int], list[float]] = {}
    with console.status("Running the program for 100 and for 1,000 repositories"):
        for _ in range(ROUNDS):
            for size in SIZES:
                for name, program in programs.items():
                    milliseconds = measured(program, sized(stack, size)) * 1000
                    times.setdefault((name, size), []).append(milliseconds / size)
    small, large = SIZES

    table = Table(title=f"Processor time per repository, median of {ROUNDS}", title_justify="left")
    table.add_column("program")
    for heading in (f"{small:,}", f"{large:,}", "growth"):
        table.add_column(heading, justify="right")
    for name in programs:
        per_size = [statistics.median(times[name, size]) for size in SIZES]
        growth = per_size[1] / per_size[0]
        table.add_row(name, *(f"{it:.2f} ms" for it in per_size), f"{growth:.2f} x")
    console.print(table)
    for size in SIZES:
        ours, theirs = times["this project", size], times["by hand", size]
        ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
        console.print(
            f"{size:,} repositories: {statistics.median(ratios) - 1:+.0%} beside the same by hand "
            f"({ratios[0] - 1:+.0%} to {ratios[-1] - 1:+.0%})"
        )
