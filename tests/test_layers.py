"""The direction of imports, what is pure, and what a command loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

PULUMI = {"pulumi", "pulumi_aws", "pulumi_policy"}
LAYERS: dict[str, set[str]] = {
    "policies": set(),
    "lifecycle": {"policies", "aws"},
    "settings": {"policies"},
    "aws": {"policies"},
    "access": {"policies"},
    "tags": {"policies", "aws", "lifecycle"},
    "stack": {"policies", "settings", "lifecycle", "access", "aws"},
    "rehearsal": {"policies", "settings", "lifecycle", "access", "aws", "tags", "stack", "cli"},
    "cli": {"policies", "settings", "lifecycle", "access", "aws", "tags", "stack", "rehearsal"},
    "policypack": {"policies", "lifecycle"},
    "bootstrap": {"policies", "settings"},
    "components": {"policies", "settings"},
}
"""Each package of container_images, and components, and those of the others that it may import."""


def layer_of(module: str) -> str | None:
    first = module.removeprefix("container_images.").partition(".")[0]
    return first if first in LAYERS else None


def imports(file: Path) -> Iterator[str]:
    """The modules that a file names in its imports, at the top or within."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_import_goes_down() -> None:
    for file in sorted([*ROOT.glob("container_images/*/**/*.py"), *ROOT.glob("components/*.py")]):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        layer = layer_of(module)
        assert layer, module
        ours = (name for name in imports(file) if name.startswith(("container_", "components.")))
        assert {layer_of(name) for name in ours} <= {layer, None, *LAYERS[layer]}, module


def test_the_policies_need_no_package_that_a_program_could_lack() -> None:
    for file in (ROOT / "container_images" / "policies").glob("*.py"):
        others = {name.partition(".")[0] for name in imports(file)} - {"container_images"}
        allowed = {*sys.stdlib_module_names, "typing_extensions"} - {"time", "pathlib", "os"}
        assert others <= allowed, file.name


def loaded(*statements: str) -> list[set[str]]:
    """The top-level modules in a fresh Python after each of the statements."""
    tell = "print(*{name.partition('.')[0] for name in sys.modules})"
    program = "; ".join(["import sys", *(f"{statement}; {tell}" for statement in statements)])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_no_command_loads_more_than_it_needs() -> None:
    names = "from container_images.cli.app import app; names = app.list_commands(None)"
    for_move, for_help, with_settings, with_calls = loaded(
        "import container_images.cli.app, container_images.cli.tags",
        f"{names}; [app.get_command(None, name) for name in names]",
        "import container_images.stack.declared",
        "from container_images.aws.session import Aws; Aws('eu-west-2').ecr()",
    )
    assert not for_move & {"boto3", "pydantic", "rich", "ruamel"}
    assert not for_help & {"boto3", "moto", *PULUMI}
    assert not with_settings & {"boto3", "components", *PULUMI}
    assert "botocore" in with_calls
    assert not with_calls & {"moto", *PULUMI}


def test_the_pack_and_the_components_load_no_more_than_their_requirements() -> None:
    [modules] = loaded("import container_images.policypack.pack, components.image_repository")
    assert "pulumi" in modules
    assert not modules & {"boto3", "pydantic", "rich", "click", "ruamel"}
