"""The direction of imports, what is pure, and what a command loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PULUMI = {"pulumi", "pulumi_aws", "pulumi_policy"}
LAYERS: dict[str, set[str]] = {
    "container_images.policies": set(),
    "container_images.lifecycle": {"policies", "aws"},
    "container_images.settings": {"policies"},
    "container_images.aws": {"policies"},
    "container_images.access": {"policies", "aws"},
    "container_images.tags": {"policies", "aws", "lifecycle"},
    "container_images.stack": {"policies", "settings", "lifecycle", "access", "aws"},
    "container_images.rehearsal": {
        *("policies", "settings", "lifecycle", "access", "aws", "tags", "stack", "cli"),
    },
    "container_images.cli": {
        *("policies", "settings", "lifecycle", "access", "aws", "tags", "stack", "rehearsal"),
    },
    "container_images.policypack": {"policies", "lifecycle"},
    "container_images.bootstrap": {"policies"},
    "components": {"policies", "settings"},
}
"""Each package, and those of the others that it may import."""


def layer_of(module: str) -> str | None:
    return next((layer for layer in LAYERS if f"{module}.".startswith(f"{layer}.")), None)


def imports(file: Path) -> Iterator[str]:
    """The modules that a file names in its imports, at the top or within."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(file: Path, root: Path) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def upward_imports(root: Path) -> list[str]:
    """Each import of a package that the importing one may not use."""
    wrong = []
    for file in sorted(root.rglob("*.py")):
        module = module_of(file, root)
        layer = layer_of(module)
        for name in imports(file) if layer else ():
            other = layer_of(name)
            permitted = {f"container_images.{name}" for name in LAYERS[str(layer)]} | LAYERS[
                str(layer)
            ]
            if other not in {None, layer, *permitted}:
                wrong.append(f"{module} imports {name}")
    return wrong


def test_every_import_goes_down() -> None:
    assert upward_imports(ROOT) == []


def test_an_import_that_goes_up_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "container_images" / "policies"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("def f() -> None:\n    from container_images.aws import session\n")
    wrong = "container_images.policies.a imports container_images.aws.session"
    assert upward_imports(tmp_path) == [wrong]


def test_every_module_of_the_package_has_a_layer() -> None:
    top = {"container_images", "container_images.__main__"}
    files = [*(ROOT / "container_images").rglob("*.py"), *(ROOT / "components").rglob("*.py")]
    modules = {module_of(file, ROOT) for file in files}
    assert {module for module in modules if layer_of(module) is None} == top


@pytest.mark.parametrize("file", sorted((ROOT / "container_images/policies").glob("*.py")), ids=str)
def test_the_policies_need_the_standard_library_alone(file: Path) -> None:
    others = {name.partition(".")[0] for name in imports(file)} - {"container_images"}
    assert others <= set(sys.stdlib_module_names) - {"time", "pathlib", "os"}


def loaded(*statements: str) -> list[set[str]]:
    """The top-level modules in a fresh Python after each of the statements."""
    tell = "print(*{name.partition('.')[0] for name in sys.modules})"
    program = "; ".join(["import sys", *(f"{statement}; {tell}" for statement in statements)])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_the_help_of_all_commands_needs_neither_boto3_nor_pydantic_nor_pulumi() -> None:
    names = "from container_images.cli.app import app; names = app.list_commands(None)"
    commands = "[app.get_command(None, name) for name in names]"
    session = "from container_images.aws.session import Aws; Aws('eu-west-2').ecr()"
    for_help, with_calls = loaded(f"{names}; {commands}", session)
    assert not for_help & {"boto3", "pydantic", "moto", *PULUMI}
    assert "botocore" in with_calls
    assert not with_calls & {"moto", *PULUMI}


def test_reading_settings_needs_neither_pulumi_nor_boto3() -> None:
    reading = "import container_images.settings, container_images.settings.stack_file"
    [modules] = loaded(reading)
    assert not modules & {"boto3", "components", *PULUMI}


def test_the_pack_and_the_components_load_no_more_than_their_requirements() -> None:
    [modules] = loaded("import container_images.policypack.pack, components.image_repository")
    assert "pulumi" in modules
    assert not modules & {"boto3", "pydantic", "rich", "click", "ruamel"}
