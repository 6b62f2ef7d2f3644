"""The rehearsal's EventBridge, held against EventBridge's own open-source matcher."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from container_images.policies.event_patterns import event_rules
from container_images.rehearsal.event_bus import UnknownPatternError, matches, transformed
from tests.conftest import ROOT
from tests.policies.audit_events import CASES, audit

FOLDER = ROOT / "tests" / "rehearsal"
TABLE: dict[str, Any] = json.loads((FOLDER / "event_ruler.json").read_text())
CLASSPATH = os.environ.get("EVENT_RULER_CLASSPATH", "")


@pytest.mark.parametrize(
    ("pattern", "matched"),
    list(zip(TABLE["patterns"], TABLE["matched"], strict=True)),
    ids=map(json.dumps, TABLE["patterns"]),
)
def test_it_says_what_event_ruler_says(pattern: dict[str, Any], matched: list[int]) -> None:
    ours = [number for number, event in enumerate(TABLE["events"]) if matches(pattern, event)]
    assert ours == matched


@pytest.mark.skipif(
    not CLASSPATH or not shutil.which("javac"), reason="docs/audit.md says how to get event-ruler"
)
def test_event_ruler_says_it_still(tmp_path: Path) -> None:
    """Of the table, and of the patterns and events of the audit."""
    java = ["-cp", f"{CLASSPATH}:{tmp_path}"]
    subprocess.run(["javac", *java, "-d", tmp_path, FOLDER / "EventRuler.java"], check=True)  # noqa: S607
    rules = event_rules("audit", audit())
    events = [event for event, _ in CASES.values()]
    told = [
        [number for number, event in enumerate(events) if matches(rule.pattern, event)]
        for rule in rules
    ]
    patterns = [rule.pattern for rule in rules]
    for asked, expected in (
        (TABLE, TABLE["matched"]),
        ({"patterns": patterns, "events": events}, told),
    ):
        done = subprocess.run(
            ["java", *java, "EventRuler"],  # noqa: S607 whichever Java there is
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == expected


class TestWhatItDoesNotKnow:
    @pytest.mark.parametrize(
        "pattern",
        [
            {"a": "x"},
            {"a": []},
            {"a": 1},
            {"a": [{"numeric": ["=", 1]}]},
            {"a": [{"equals-ignore-case": "x"}]},
            {"a": [{"prefix": ["x"]}]},
            {"a": [{"prefix": {"equals-ignore-case": "x"}}]},
            {"a": [{"wildcard": "\\*"}]},
            {"a": [{"exists": "false"}]},
            {"a": [{"anything-but": []}]},
            {"a": [{"anything-but": [1]}]},
            {"a": [{"anything-but": {"cidr": "10.0.0.0/8"}}]},
            {"a": [{"anything-but": {"prefix": []}}]},
            {"a": [{"prefix": "x", "suffix": "y"}]},
            {"a": [["x"]]},
            {"a": [1.5]},
            {"a": ["x"], "$or": [{"a": ["y"]}]},
        ],
        ids=json.dumps,
    )
    def test_of_a_pattern_is_an_error(self, pattern: dict[str, Any]) -> None:
        with pytest.raises(UnknownPatternError):
            matches(pattern, {"b": "x"})

    def test_of_an_event_is_an_error(self) -> None:
        with pytest.raises(UnknownPatternError, match="a list within a list"):
            matches({"a": ["x"]}, {"a": [["x"]]})

    @pytest.mark.parametrize("path", ["detail.a", "$.a['b']", "$..a", "$.a[-1]"])
    def test_of_a_path_is_an_error(self, path: str) -> None:
        with pytest.raises(UnknownPatternError, match="no path that is known"):
            transformed({"a": path}, '"<a>"', {})

    def test_of_a_template_is_an_error(self) -> None:
        with pytest.raises(UnknownPatternError, match="<b> has no path"):
            transformed({"a": "$.a"}, '"<a> <b>"', {"a": "x"})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("$.a", "x"),
        ("$.b", "7"),
        ("$.c[0].d", "y"),
        ("$.c[1].d", ""),
        ("$.c[*].d", "[y]"),
        ("$.e[*].d", ""),
        ("$.none.d", ""),
        ("$.a.d", ""),
        ("$.null", ""),
        ("$.c", "[{d:y},{f:z}]"),
    ],
)
def test_a_transformer_takes_what_is_at_a_path(path: str, text: str) -> None:
    event = {"a": "x", "b": 7, "c": [{"d": "y"}, {"f": "z"}], "null": None}
    assert transformed({"v": path}, '"(<v>)"', event) == f"({text})"
