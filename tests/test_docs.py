"""README.md, CONTRIBUTING.md and docs/ promise nothing that is not so."""

import re
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from container_images.cli.app import app
from container_images.policies.tag_convention import ADR040
from container_images.settings import StackSettings
from tests.conftest import ROOT
from tests.test_project_files import as_written

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = dict(
    re.findall(r"^([a-z-]+):(?:.*(## \w))?", (ROOT / "Makefile").read_text(), re.MULTILINE)
)
MAX_README_LINES = 110


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A command in a page, and what the page says that it prints. … stands for lines left out."""

    command: str
    shown: tuple[str, ...]


def samples(file: Path) -> list[Sample]:
    """The commands in the console blocks of a page."""
    commands = []
    console = re.compile(r"^ *```console\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
    for block in console.findall(file.read_text()):
        for text in re.split(r"^ *\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            command, *shown = (line.strip() for line in text.splitlines())
            commands.append(Sample(command=" ".join(command.split()), shown=tuple(shown)))
    return commands


def differences(sample: Sample, printed: str) -> list[str]:
    """The lines that are shown and not printed, or printed and not shown, save for …."""
    real = [line.strip() for line in printed.splitlines()]
    pattern = [".*" if line == "…" else re.escape(f"{line}\n") for line in sample.shown]
    if re.fullmatch("".join(pattern), "".join(f"{line}\n" for line in real), re.DOTALL):
        return []
    return [line for line in sample.shown if line not in {*real, "…"}] or ["lines are missing"]


def test_the_readme_is_short_and_its_samples_are_those_of_the_pages() -> None:
    """tests/cli holds the pages' to what is printed."""
    assert len(README.read_text().splitlines()) <= MAX_README_LINES
    pages = [
        page for name in ("commands", "lifecycle") for page in samples(ROOT / f"docs/{name}.md")
    ]
    shown = [each for each in samples(README) if each.command.startswith("container-images ")]
    assert shown
    for sample in shown:
        same = [page.shown for page in pages if page.command == sample.command]
        assert any(not differences(sample, "\n".join(lines)) for lines in same), sample.command


def test_every_setting_is_in_the_table_with_its_default() -> None:
    table = (
        (ROOT / "docs" / "settings.md").read_text().partition("| key | default | meaning |\n")[2]
    )
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table.partition("\n\n")[0], re.MULTILINE))
    for field in StackSettings.model_fields.values():
        default = rows[str(field.alias)].strip("`")
        if field.is_required():
            assert default == "required"
        elif as_written(field.default) == ADR040.data:
            assert default == "ADR040's"
        else:
            assert YAML(typ="safe", pure=True).load(default) == as_written(field.default)


def test_every_command_and_every_page_is_shown_on_a_page() -> None:
    text = "".join(page.read_text() for page in PAGES)
    for name in app.list_commands(click.Context(app)):
        assert re.search(rf"container-images {name}\b", text), name
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name}" in index, page.name


def test_every_target_of_make_says_what_it_does_and_is_in_a_table() -> None:
    assert all(TARGETS.values())
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert TARGETS.keys() - {"help"} <= set(re.findall(r"`make ([a-z-]+)", contributing))


def anchors(file: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_and_each_target_of_make_that_it_names_exists(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"[`$] ?make ([a-z-]+)", text)) <= TARGETS.keys()
    for link in re.findall(r"\]\(((?!http)[^)]+)\)", text):
        name, _, anchor = link.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), link
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), link
