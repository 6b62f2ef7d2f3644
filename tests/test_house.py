"""The house: which room may use which, what is pure, and what a command loads."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = {
    "policies": set[str](),
    "bootstrap": {"policies"},
    "components": {"policies"},
    "settings": {"policies", "components"},
    "registry.aws": {"policies"},
    "registry.command": {"policies", "registry.aws"},
    "registry.interrupt": set[str](),
    "registry.terminal": set[str](),
    "registry.stack.declared": {"policies", "settings", "registry.aws"},
    "registry.targets": {
        "policies",
        "registry.aws",
        "registry.command",
        "registry.stack.declared",
    },
    "registry.stack": {
        "policies",
        "settings",
        "registry.access",
        "registry.aws",
        "registry.command",
        "registry.stack.declared",
        "registry.lifecycle",
        "registry.terminal",
    },
    "registry.lifecycle": {
        "policies",
        "registry.aws",
        "registry.command",
        "registry.targets",
        "registry.terminal",
    },
    "registry.tags": {
        "policies",
        "registry.aws",
        "registry.command",
        "registry.lifecycle",
        "registry.stack.declared",
        "registry.targets",
        "registry.terminal",
    },
    "registry.access": {
        "policies",
        "registry.aws",
        "registry.command",
        "registry.terminal",
    },
    "policypack": {"policies", "registry.lifecycle"},
    "plugin": {"components"},
    "registry.__main__": {"registry.cli", "registry.interrupt"},
    "registry.cli": {
        "registry.access",
        "registry.command",
        "registry.lifecycle",
        "registry.stack",
        "registry.tags",
    },
    "rehearsal": {
        "policies",
        "settings",
        "registry.aws",
        "registry.interrupt",
        "registry.lifecycle",
        "registry.stack",
        "registry.stack.declared",
        "registry.tags",
        "registry.access",
        "registry.terminal",
    },
}
"""Each room, and the rooms that it may use besides itself."""


def room_of(module: str) -> str | None:
    """The room that a module is in, if it is one of ours."""
    return next((it for it in ROOMS if f"{module}.".startswith(f"{it}.")), None)


def imports(file: Path) -> Iterator[str]:
    """The modules that a file names in its imports, at the top or within."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (it.name for it in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{it.name}" for it in node.names)


def trespasses(root: Path) -> list[str]:
    """Each import of a room that its own room may not use."""
    found = []
    for file in sorted(root.rglob("*.py")):
        module = ".".join(file.relative_to(root).with_suffix("").parts)
        room = room_of(module)
        if room is None:
            continue
        for name in imports(file):
            other = room_of(name)
            if other not in (None, room, *ROOMS[room]):
                found.append(f"{module} uses {name}")
    return found


def test_every_import_goes_down() -> None:
    assert trespasses(ROOT) == []


def test_an_import_that_goes_up_is_noticed(tmp_path: Path) -> None:
    room = tmp_path / "policies"
    room.mkdir()
    (room / "fault.py").write_text("def late() -> None:\n    from registry.aws import session\n")
    assert trespasses(tmp_path) == ["policies.fault uses registry.aws.session"]


FOLDERS = (
    "bootstrap",
    "components",
    "plugin",
    "policies",
    "policypack",
    "settings",
    "registry",
    "rehearsal",
)


def test_every_file_has_a_room() -> None:
    files = [it for folder in FOLDERS for it in (ROOT / folder).rglob("*.py")]
    homeless = [
        str(it)
        for it in files
        if it != ROOT / "registry" / "__init__.py"
        and room_of(".".join(it.relative_to(ROOT).with_suffix("").parts)) is None
    ]
    assert homeless == []
    assert len(files) > len(ROOMS)


PURE = (*sorted((ROOT / "policies").glob("*.py")),)
NOT_PURE = {"boto3", "botocore", "pulumi", "pulumi_aws", "z3", "iamprover", "time", "pathlib", "os"}


@pytest.mark.parametrize("file", PURE, ids=lambda it: it.name)
def test_the_rules_need_the_standard_library_alone(file: Path) -> None:
    ours = {name for name in imports(file) if name.startswith("policies")}
    others = {name.partition(".")[0] for name in imports(file) if name not in ours}
    assert others <= set(sys.stdlib_module_names) - NOT_PURE


def says_pure(file: Path) -> bool:
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").startswith("Pure")


def test_what_is_called_pure_is() -> None:
    """No AWS, no Pulumi and no solver, not even through what it imports."""
    pure = [
        ".".join(it.relative_to(ROOT).with_suffix("").parts)
        for folder in FOLDERS
        for it in sorted((ROOT / folder).rglob("*.py"))
        if says_pure(it)
    ]
    assert len(pure) > len(PURE)
    found, then = loaded(f"import {', '.join(pure)}", "import components.image_repository")
    assert not found & {"boto3", "botocore", "pulumi", "z3", "iamprover"}
    assert "pulumi" in then, "it would be noticed"


def loaded(*statements: str) -> list[set[str]]:
    """The top-level modules in a fresh Python after each of the statements."""
    tell = "print(*{it.partition('.')[0] for it in sys.modules})"
    program = "; ".join(["import sys", *(f"{it}; {tell}" for it in statements)])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return [set(it.split()) for it in done.stdout.splitlines()]


def test_help_needs_neither_boto3_nor_the_solver_and_no_command_loads_pulumi() -> None:
    modules = [
        ".".join(it.relative_to(ROOT).with_suffix("").parts)
        for it in (ROOT / "registry").rglob("*.py")
    ]
    session = "from registry.aws.session import Aws; Aws('eu-west-2').ecr()"
    names = "from registry.cli import app; names = app.list_commands(None)"
    ask = f"{names}; [app.get_command(None, it) for it in names]"
    for_help, found = loaded(ask, f"import {', '.join(modules)}; {session}")
    assert "registry" in for_help
    assert not for_help & {"boto3", "pulumi", "pydantic", "z3", "iamprover"}
    assert {"botocore", "registry"} <= found
    assert not found & {"pulumi", "pulumi_aws", "rehearsal"}


def test_the_pack_and_the_plugin_load_no_more_than_their_requirements() -> None:
    [found] = loaded(
        "import policypack.pack, components.image_repository, components.pipeline_role"
    )
    assert "pulumi" in found
    assert not found & {"boto3", "iamprover", "pydantic", "rich", "settings", "click", "z3"}


def test_commands_about_tags_need_three_packages_and_with_a_stack_two_more() -> None:
    """As docs/commands.md says: boto3, click and rich; ruamel.yaml and pydantic."""
    never, more = {"iamprover", "pulumi", "pulumi_aws", "z3"}, ("pydantic", "ruamel.yaml")
    answers = []
    for arguments, blocked in (
        (["resolve", "app"], never | {*more}),
        *((["resolve", "--stack", "prod"], never | {it}) for it in more),
    ):
        program = f"import sys; sys.modules.update(dict.fromkeys({blocked})); import registry.cli"
        done = subprocess.run(
            [sys.executable, "-c", f"{program} as it; it.app({arguments})"],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=os.environ | {"AWS_DEFAULT_REGION": "eu-west-2", "AWS_MAX_ATTEMPTS": "1"},
        )
        answers.append(done.stderr)
    assert answers[0].startswith("app in eu-west-2: Could not connect")
    assert answers[1:] == [
        f"the package {it} is not installed; run pip install -r requirements.txt\n" for it in more
    ]


def test_reading_settings_needs_neither_pulumi_nor_boto3_nor_the_solver() -> None:
    found, then = loaded("import settings, settings.stack_file", "import settings.program")
    assert not found & {"pulumi", "pulumi_aws", "boto3", "z3", "components"}
    assert "pulumi" in then


def drawn(text: str) -> Iterator[tuple[str, str]]:
    """The arrows of the map in CONTRIBUTING.md."""
    [diagram] = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    for left, right in re.findall(r"^ *(\S+) --> (.+)$", diagram, re.MULTILINE):
        yield from ((left, it.strip()) for it in right.split("&"))


def strangers(text: str) -> list[str]:
    """Arrows that may not be, and permitted imports of folders to which no arrows lead."""
    arrows = set(drawn(text))
    reached = {room: {it for it in ROOMS if it == room} for room in ROOMS}
    for _ in ROOMS:
        for left, right in arrows:
            reached[left] |= reached[right]
    folders = {it for arrow in arrows for it in arrow}
    missing = {
        (room, other)
        for room in folders
        for other in ROOMS[room] & folders
        if other not in reached[room]
    }
    extra = {(left, right) for left, right in arrows if right not in ROOMS[left]}
    return sorted(f"{left} --> {right}" for left, right in missing | extra)


def test_the_map_is_the_direction_of_imports() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert strangers(text) == []
    folders = {it for arrow in drawn(text) for it in arrow}
    shared = {"registry.command", "registry.interrupt", "registry.terminal"}
    assert folders == ROOMS.keys() - shared - {"registry.__main__", "registry.cli"}
    wrong = text.replace("plugin --> components", "policies --> plugin")
    assert strangers(wrong) == ["plugin --> components", "policies --> plugin"]
