"""The tests' EventBridge, compared with EventBridge's own open-source matcher."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from container_images.policies.event_patterns import event_rules
from tests.policies.audit_events import CASES, audit
from tests.policies.event_bus import matches

FOLDER = Path(__file__).parent
TABLE: dict[str, Any] = json.loads((FOLDER / "event_ruler.json").read_text())
CLASSPATH = os.environ.get("EVENT_RULER_CLASSPATH", "")


def verdicts(patterns: list[Any], events: list[Any]) -> list[list[int]]:
    """The numbers of the events that meet each pattern."""
    return [
        [number for number, event in enumerate(events) if matches(pattern, event)]
        for pattern in patterns
    ]


def test_the_verdicts_are_those_of_event_ruler() -> None:
    assert verdicts(TABLE["patterns"], TABLE["events"]) == TABLE["matched"]


@pytest.mark.skipif(
    not CLASSPATH or not shutil.which("javac"), reason="CONTRIBUTING.md says how to get event-ruler"
)
def test_event_ruler_agrees_on_the_table_and_on_the_audit(tmp_path: Path) -> None:
    java = ["-cp", f"{CLASSPATH}:{tmp_path}"]
    subprocess.run(["javac", *java, "-d", tmp_path, FOLDER / "EventRuler.java"], check=True)  # noqa: S607
    patterns = [rule.pattern for rule in event_rules("audit", audit())]
    events = [event for event, _ in CASES.values()]
    for table in (TABLE, {"patterns": patterns, "events": events}):
        done = subprocess.run(
            ["java", *java, "EventRuler"],  # noqa: S607 whichever Java there is
            input=json.dumps(table),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == verdicts(table["patterns"], table["events"])
