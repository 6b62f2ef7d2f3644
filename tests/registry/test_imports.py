"""What the operations may cost before they have done anything."""

import subprocess
import sys
import time

import pytest

FOREIGN = ("pulumi", "settings", "rehearsal")


def loaded(statement: str) -> set[str]:
    """The top-level modules in a fresh Python that has run the statement."""
    program = f"import sys; {statement}; print(*{{it.partition('.')[0] for it in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_no_module_of_the_registry_loads_pulumi() -> None:
    modules = (
        "import pkgutil, importlib, registry; "
        "[importlib.import_module(f'registry.{it.name}') for it in "
        "pkgutil.iter_modules(registry.__path__) if it.name != '__main__']; "
        "from registry.aws import Aws; Aws('eu-west-2').ecr()"
    )
    found = loaded(modules)
    assert "boto3" in found
    assert "registry" in found
    assert not found & {*FOREIGN, "pulumi_aws"}


def test_the_modules_of_the_components_that_it_uses_are_pure() -> None:
    pure = "from components import fault, guard, retention, tag_mutability"
    assert not loaded(pure) & {*FOREIGN, "boto3", "botocore"}


def test_loading_pulumi_would_be_noticed() -> None:
    assert "pulumi" in loaded("import components.image_repository")


def test_help_needs_neither_boto3_nor_rich() -> None:
    heavy = {"boto3", "rich", "pulumi", "pydantic", "z3", "iamprover"}
    assert not loaded("import registry.cli") & heavy


def test_a_command_runs_without_pydantic() -> None:
    """Typer loads it for the first value that it reads, and that takes longer than the rest."""
    command = (
        "from registry.cli import app; from typer.testing import CliRunner; "
        "import os; os.environ['AWS_PROFILE'] = 'nobody'; "
        "assert 'AWS_PROFILE' in CliRunner().invoke(app, ['resolve', 'forms', 'next']).stderr"
    )
    found = loaded(command)
    assert "boto3" in found
    assert "pydantic" not in found


@pytest.mark.parametrize("command", ["resolve", "move"])
def test_help_starts_quickly(command: str) -> None:
    """Half a second on a machine of one's own; here others may be at work too."""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        arguments = [sys.executable, "-m", "registry", command, "--help"]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        took.append(time.perf_counter() - start)
        assert "REPOSITORY" in done.stdout
    assert min(took) < 1.5
