"""The program's time per repository, beside the same resources registered by hand."""

import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs
from rich.console import Console

from benchmarks import by_hand
from components.registry import Registry
from container_images.rehearsal.program import Update, execute
from container_images.settings.stack_file import read

ADMINISTRATOR = "arn:aws:iam::111122223333:role/platform/forms-registry-deploy"
SESSION = "arn:aws:sts::111122223333:assumed-role/forms-registry-deploy/bench"
TARGET = 1.10
SIZES = (100, 1_000)
ROUNDS = 7


class Nothing(pulumi.runtime.Mocks):
    """Mocks that cost no time: what is measured is the program, and Pulumi's SDK."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Take everything."""
        return args.name, {**args.inputs, "arn": "arn", "repositoryUrl": "url"}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Know the caller and the Region."""
        answers = {
            "getCallerIdentity": {"accountId": "111122223333", "arn": SESSION},
            "getRegion": {"region": "eu-west-2"},
            "getSessionContext": {"issuerArn": ADMINISTRATOR},
        }
        return answers[args.token.rpartition(":")[2]], []


def declare() -> None:
    """What `__main__.py` does, as deep in calls as `by_hand.main`: each costs the SDK time."""
    registry = Registry.from_config()
    for output in ("repository_urls", "repository_arns", "tag_mutability", "pipeline_role_arn"):
        pulumi.export(output, getattr(registry, output))


def milliseconds(program: Callable[[], Update]) -> float:
    """Processor time, which other processes do not lengthen as they do wall time.

    Without the garbage collector, as in timeit: what it costs depends on what else is in memory.
    """
    gc.collect()
    gc.disable()
    start = time.process_time()
    program()
    seconds = time.process_time() - start
    gc.enable()
    return 1_000 * seconds


def main(console: Console) -> None:
    """Run both programs in turn, without the audit, and print the time per repository."""
    stack = read(Path.cwd(), "prod")
    console.print(f"The program, processor time per repository, median of {ROUNDS} runs")
    for size in SIZES:
        entries = json.dumps({f"app-{number:04}": {} for number in range(size)})
        config = {**stack.config, "container-images:repositories": entries}
        config.pop("container-images:audit", None)
        sized = replace(stack, config=config)
        programs = (
            partial(execute, declare, sized, Nothing()),
            partial(execute, by_hand.main, sized, Nothing()),
        )
        times = [[milliseconds(program) / size for program in programs] for _ in range(ROUNDS)]
        ours, theirs = map(statistics.median, zip(*times, strict=True))
        ratio = statistics.median(one / other for one, other in times)
        console.print(
            f"  {size:>5,} repositories: this project {ours:.2f} ms, by hand {theirs:.2f} ms; "
            f"ratio {ratio:.2f}, target: at most {TARGET:.2f}"
        )
