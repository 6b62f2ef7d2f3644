"""What the Makefile runs, and the starter that `make new` copies."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from container_images.rehearsal.rehearse import rehearse
from container_images.settings.stack_file import read
from container_images.stack.declared import declared_in
from tests.conftest import ROOT

MAKE = shutil.which("make") or "make"
UP = "pulumi up --refresh"


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run it as a user would who has set up .venv before."""
    return subprocess.run(
        [
            MAKE,
            "--no-print-directory",
            "--file",
            str(ROOT / "Makefile"),
            "PROGRAM=",
            "INSTALLED=",
            *arguments,
        ],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def commands(*arguments: str, folder: Path = ROOT) -> list[str]:
    told = make("--dry-run", *arguments, folder=folder)
    assert told.returncode == 0, told.stderr
    return [" ".join(it.split()) for it in told.stdout.splitlines()]


PACK = "--policy-pack policypack"


def test_a_person_is_asked_and_ci_is_not() -> None:
    assert commands("up") == ["pulumi up --refresh --policy-pack policypack --stack prod"]
    assert commands("up", "CI=true", "STACK=mine") == [
        f"pulumi up --refresh --yes {PACK} --non-interactive --color never --stack mine"
    ]
    assert commands("preview") == [
        "pulumi preview --refresh --diff --policy-pack policypack --stack prod"
    ]
    assert commands("preview", "CI=true") == [
        f"pulumi preview --refresh --diff {PACK} --non-interactive --color never --stack prod"
    ]
    assert commands("drift") == [
        "pulumi preview --refresh --diff --expect-no-changes --policy-pack policypack --stack prod"
    ]


def test_a_check_of_aws_is_one_command(tmp_path: Path) -> None:
    command = ".venv/bin/python -m container_images"
    assert commands("history", "STACK=mine", "SINCE=2d") == [
        f"{command} history --stack mine --since 2d --fail-on-unexpected"
    ]
    assert commands("would-deny") == [f"{command} would-deny --stack prod"]
    assert commands("who-can", folder=tmp_path) == [f"{command} who-can --stack prod"]
    (tmp_path / "expected-principals.txt").write_text("# ours\narn:a # why\n\narn:b\n")
    assert commands("who-can", folder=tmp_path) == [
        f"{command} who-can --stack prod --only arn:a --only arn:b"
    ]


@pytest.mark.parametrize(
    "target", ["preview", "up", "drift", "who-can", "history", "rehearse", "lint", "local"]
)
def test_a_target_sets_up_what_it_needs(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{target}: \$\((PROGRAM|INSTALLED)\)", makefile, re.MULTILINE)


def test_the_local_stack_stays_on_this_machine() -> None:
    told = make("--dry-run", "--print-data-base", "preview", "STACK=local").stdout
    assert f"PULUMI_BACKEND_URL := file://{ROOT}/.local" in told
    assert "AWS_ENDPOINT_URL := http://127.0.0.1:" in told
    elsewhere = make("--dry-run", "--print-data-base", "preview").stdout
    assert "PULUMI_BACKEND_URL" not in elsewhere
    assert "AWS_ENDPOINT_URL" not in elsewhere


def test_a_new_stack_is_the_starter(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Pulumi.starter.yaml", tmp_path)
    assert make("new", "STACK=mine", folder=tmp_path).returncode == 0
    starter = (ROOT / "Pulumi.starter.yaml").read_text()
    assert (tmp_path / "Pulumi.mine.yaml").read_text() == starter


def test_a_stack_that_exists_is_left_alone(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Pulumi.starter.yaml", tmp_path)
    (tmp_path / "Pulumi.prod.yaml").write_text("mine")
    refused = make("new", folder=tmp_path)
    assert refused.returncode != 0
    assert "Pulumi.prod.yaml exists; name a new stack: make new STACK=name" in refused.stderr
    assert (tmp_path / "Pulumi.prod.yaml").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "a b", "x/y", "../x", "a'b"])
def test_a_name_that_no_stack_can_have_is_refused(tmp_path: Path, name: str) -> None:
    shutil.copy(ROOT / "Pulumi.starter.yaml", tmp_path)
    refused = make("new", f"STACK={name}", folder=tmp_path)
    assert refused.returncode != 0
    said, _make = refused.stderr.splitlines()
    assert said == (f'STACK is "{name}": a name has letters, digits and . _ -; make new STACK=name')
    assert [it.name for it in tmp_path.iterdir()] == ["Pulumi.starter.yaml"]


def test_the_starter_is_rehearsed() -> None:
    file = read(ROOT, "starter")
    rehearsal = rehearse(declared_in(file, file.account))
    assert rehearsal.ok
    assert rehearsal.acts
    assert rehearsal.proofs


def test_the_starter_is_one_of_each_with_a_line_about_it() -> None:
    text = (ROOT / "Pulumi.starter.yaml").read_text()
    config = YAML(typ="safe", pure=True).load(text)["config"]
    assert len(config["container-images:repositories"]) == 1
    assert config["container-images:movableTags"] == ["latest"]
    assert len(config["container-images:administratorRoles"]) == 1
    keys = re.findall(r"^  [\w-]+:\w+:.*", text, re.MULTILINE)
    explained = [it for it in keys if "#" in it]
    assert len(explained) == len(keys) - 1, "all but the repositories, whose entry is explained"
