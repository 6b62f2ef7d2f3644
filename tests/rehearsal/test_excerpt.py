"""The rehearsal's output in the README is real."""

import re

from tests.conftest import ROOT
from tests.rehearsal.conftest import Rehearsed
from tests.test_docs import Sample, differences


def timeless(text: str) -> str:
    return re.sub(r"\d+\.\d s", "… s", text)


def test_the_readme_shows_it(prod_rehearsed: Rehearsed) -> None:
    """Line by line; … stands for lines left out, and the seconds are not the same."""
    [shown] = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = tuple(line.strip() for line in timeless(shown).splitlines())
    sample = Sample(command="make rehearse", shown=(*lines, "…"))
    assert differences(sample, timeless(prod_rehearsed.text)) == []
