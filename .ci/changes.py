"""What an update from an earlier release's state would change, against what is expected.

    pulumi preview --json | python .ci/changes.py tests/upgrade/0.1.0.json

Beside the state, `0.1.0.changes` names the changes that CHANGELOG.md announces, one a line, such as
`update aws:ecr/repository:Repository app`. Without that file there must be none.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def changes(preview: dict[str, Any]) -> Iterator[str]:
    """Operation, type and name of each step that changes inputs, or what is there at all.

    An update that only changes what the provider computes is none of ours, nor is the provider.
    """
    for step in preview["steps"]:
        kind, name = step["urn"].split("::")[2:]
        kind = kind.rpartition("$")[2]
        old, new = step.get("oldState") or {}, step.get("newState") or {}
        computed = step["op"] == "update" and old.get("inputs") == new.get("inputs")
        if step["op"] != "same" and not computed and not kind.startswith("pulumi:"):
            yield f"{step['op']} {kind} {name}"


if __name__ == "__main__":
    announced = Path(sys.argv[1]).with_suffix(".changes")
    expected = {*announced.read_text().splitlines()} if announced.exists() else set()
    actual = {*changes(json.load(sys.stdin))}
    for line in sorted(actual ^ expected):
        sys.stdout.write(f"{'unexpected' if line in actual else 'missing'}: {line}\n")
    sys.exit(actual != expected)
