"""The README promises nothing that is not so."""

import re
import subprocess
import sys

from ruamel.yaml import YAML

from policies.tag_convention import ADR040
from settings import StackSettings
from settings.model import as_written
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def test_the_rehearsals_output_is_real() -> None:
    """Line by line, in order. … stands for lines left out, and the seconds are not the same."""
    [shown] = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal", "--stack", "prod"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    real = iter(timeless(done.stdout))
    for line in timeless(shown):
        if line != "…":
            assert line in real, line


def timeless(text: str) -> list[str]:
    return [re.sub(r"\d+\.\d s", "… s", line.rstrip()) for line in text.splitlines()]


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", README, re.MULTILINE))
    for field in StackSettings.model_fields.values():
        assert field.alias is not None
        shown = rows[field.alias].strip("`")
        if field.is_required():
            assert shown == "required"
        elif field.default == ADR040.to_data():
            assert shown == "ADR040's"
        else:
            assert YAML(typ="safe", pure=True).load(shown) == as_written(field.default)


def test_every_command_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    named = set(re.findall(r"[`$] ?make ([a-z]+)", README))
    assert named
    assert named <= targets


def test_every_target_of_make_says_what_it_does() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    described = set(re.findall(r"^([a-z]+):.*## \w", MAKEFILE, re.MULTILINE))
    assert described == targets


def test_ci_runs_exactly_what_the_readme_names() -> None:
    steps = re.findall(r"^make (\w+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert steps == ["lint", "types", "test", "rehearse"]
    assert "`.ci/run` is lint, types, test and rehearse." in README


def test_every_file_that_is_linked_exists() -> None:
    links = re.findall(r"\]\(((?!http)[^)]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
