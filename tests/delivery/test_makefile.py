"""What the Makefile runs, and the starter that `make new` copies."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.delivery.shell import run

MAKEFILE = (ROOT / "Makefile").read_text()
STARTER = (ROOT / "Pulumi.starter.yaml").read_text()


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run it as a user would who has set up .venv before."""
    options = ("--no-print-directory", "--file", str(ROOT / "Makefile"), "PROGRAM=", "INSTALLED=")
    return run("-c", 'make "$@"', "make", *options, *arguments, folder=folder, PATH="/usr/bin:/bin")


PACK = "--policy-pack policypack"
CI = "--non-interactive --color never"
COMMANDS = [
    ("up", f"pulumi up --refresh {PACK} --stack prod"),
    ("up CI=true STACK=mine", f"pulumi up --refresh --yes {PACK} {CI} --stack mine"),
    ("preview", f"pulumi preview --refresh --diff {PACK} --stack prod"),
    ("preview CI=true", f"pulumi preview --refresh --diff {PACK} {CI} --stack prod"),
    ("drift", f"pulumi preview --refresh --diff --expect-no-changes {PACK} --stack prod"),
    ("history STACK=mine SINCE=2d", "history --stack mine --since 2d --fail-on-unexpected"),
    ("would-deny", "would-deny --stack prod"),
]


@pytest.mark.parametrize(("arguments", "command"), COMMANDS)
def test_a_target_is_one_command_and_only_a_person_is_asked(arguments: str, command: str) -> None:
    printed = " ".join(make("--dry-run", *arguments.split()).stdout.split())
    assert printed.removeprefix(".venv/bin/python -m container_images ") == command
    target = re.escape(arguments.split(maxsplit=1)[0])
    assert re.search(rf"^{target}: \$\(PROGRAM\)", MAKEFILE, re.MULTILINE), "it sets up .venv"


def test_who_can_expects_the_principals_of_the_file(tmp_path: Path) -> None:
    command = ".venv/bin/python -m container_images who-can --stack prod"
    assert make("--dry-run", "who-can", folder=tmp_path).stdout.strip() == command
    (tmp_path / "expected-principals.txt").write_text("# ours\narn:a # why\n\narn:b\n")
    expected = f"{command} --only arn:a --only arn:b"
    assert " ".join(make("--dry-run", "who-can", folder=tmp_path).stdout.split()) == expected


def test_the_local_stack_stays_on_this_machine() -> None:
    here = make("--dry-run", "--print-data-base", "preview", "STACK=local").stdout
    elsewhere = make("--dry-run", "--print-data-base", "preview").stdout
    for name, value in (
        ("PULUMI_BACKEND_URL", f"file://{ROOT}/.local"),
        ("AWS_ENDPOINT_URL", "http://127.0."),
    ):
        assert f"{name} := {value}" in here
        assert name not in elsewhere


def test_a_new_stack_is_the_starter_and_one_that_exists_is_left_alone(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Pulumi.starter.yaml", tmp_path)
    assert make("new", "STACK=mine", folder=tmp_path).returncode == 0
    mine = tmp_path / "Pulumi.mine.yaml"
    assert mine.read_text() == STARTER
    mine.write_text("mine")
    refused = make("new", "STACK=mine", folder=tmp_path)
    assert refused.returncode != 0
    assert "Pulumi.mine.yaml exists; name a new stack: make new STACK=name" in refused.stderr
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["", "../x", "a'b"])
def test_a_name_that_no_stack_can_have_is_refused(tmp_path: Path, name: str) -> None:
    shutil.copy(ROOT / "Pulumi.starter.yaml", tmp_path)
    message, _make = make("new", f"STACK={name}", folder=tmp_path).stderr.splitlines()
    assert message.startswith(f'STACK is "{name}": a name has letters, digits and . _ -; make new')
    assert [file.name for file in tmp_path.iterdir()] == ["Pulumi.starter.yaml"]
