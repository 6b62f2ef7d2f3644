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

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MAX_README_LINES = 110


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A command in a page, and what the page says that it prints. … stands for lines left out."""

    command: str
    shown: tuple[str, ...]


def samples(file: Path) -> list[Sample]:
    """The commands in the console blocks of a page."""
    found = []
    for block in re.findall(
        r"^ *```console\n(.*?)^ *```$", file.read_text(), re.DOTALL | re.MULTILINE
    ):
        for text in re.split(r"^ *\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            command, *shown = (line.strip() for line in text.splitlines())
            found.append(Sample(command=" ".join(command.split()), shown=tuple(shown)))
    return found


def differences(sample: Sample, printed: str) -> list[str]:
    """The lines that are shown and not printed, or printed and not shown, save for …."""
    real = [line.strip() for line in printed.splitlines()]
    pattern = [".*" if it == "…" else re.escape(f"{it}\n") for it in sample.shown]
    if re.fullmatch("".join(pattern), "".join(f"{it}\n" for it in real), re.DOTALL):
        return []
    return [it for it in sample.shown if it not in {*real, "…"}] or ["lines are missing"]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= MAX_README_LINES


def test_the_readmes_samples_are_those_of_the_pages() -> None:
    """tests/cli holds the pages' to what is printed."""
    held = [it for page in ("commands", "lifecycle") for it in samples(ROOT / f"docs/{page}.md")]
    of_commands = [
        it for it in samples(ROOT / "README.md") if it.command.startswith("container-images ")
    ]
    assert of_commands
    for it in of_commands:
        assert any(
            it.command == one.command and not differences(it, "\n".join(one.shown)) for one in held
        ), it.command


def test_every_setting_is_in_the_table_with_its_default() -> None:
    pages = README + "\n" + (ROOT / "docs" / "settings.md").read_text()
    [table] = re.findall(
        r"^\| key \| default \| meaning \|\n(.+?)\n\n", pages, re.MULTILINE | re.DOTALL
    )
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))
    for field in StackSettings.model_fields.values():
        assert field.alias is not None
        default = rows[field.alias].strip("`")
        if field.is_required():
            assert default == "required"
        elif as_written(field.default) == ADR040.to_data():
            assert default == "ADR040's"
        else:
            assert YAML(typ="safe", pure=True).load(default) == as_written(field.default)


def test_every_command_is_shown_on_a_page() -> None:
    for name in app.list_commands(click.Context(app)):
        sample = re.compile(rf"container-images {name}\b")
        assert any(sample.search(page.read_text()) for page in PAGES), name


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_every_command_of_make_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert set(re.findall(r"[`$] ?make ([a-z-]+)", page.read_text())) <= targets


def test_every_target_of_make_says_what_it_does_and_is_in_a_table() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    described = set(re.findall(r"^([a-z-]+):.*## \w", MAKEFILE, re.MULTILINE))
    assert described == targets
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert targets - {"help"} <= set(re.findall(r"`make ([a-z-]+)", contributing))


def anchors(file: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", it.lower()).replace(" ", "-") for it in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_every_place_that_is_linked_exists(page: Path) -> None:
    for link in re.findall(r"\]\(((?!http)[^)]+)\)", page.read_text()):
        name, _, anchor = link.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), link
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), link


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name}" in index, page.name
