"""The workflows of CI: what they may, what they run, and what they write to the repository.

zizmor and the schemas, in `make lint`, hold the rest: permissions at the top, triggers, expressions
in scripts, credentials left on disk.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from container_images.cli.app import COMMANDS
from tests.conftest import ROOT
from tests.delivery.shell import run

WORKFLOWS = {
    file.name: file.read_text() for file in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}
PIPELINES = {
    str(file.relative_to(ROOT)): file.read_text()
    for folder in (".github/workflows", "examples/ci", "template")
    for file in sorted((ROOT / folder).rglob("*.yml"))
} | {name: (ROOT / name).read_text() for name in ("action.yml", "buildspec.yml")}
BUILDSPEC = PIPELINES["buildspec.yml"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
MOST_CHARACTERS = 65_536
"""Of a comment or an issue: https://docs.github.com/en/rest/issues/comments"""
HIDDEN = "\x9b\u061c\u202e\u2028\u2066"
"""A control character, and marks that turn the direction of what follows, or break its line."""


def load(text: str) -> dict[str, Any]:
    contents: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return contents


JOBS = {
    f"{file} {name}": job
    for file, text in WORKFLOWS.items()
    for name, job in load(text)["jobs"].items()
}


# --- What they may --------------------------------------------------------------------------------


@pytest.mark.parametrize("file", PIPELINES)
def test_actions_are_pinned_by_commit_and_what_is_run_exists(file: str) -> None:
    text = PIPELINES[file]
    uses = [line.strip() for line in text.splitlines() if "uses:" in line]
    assert [line for line in uses if not PINNED.search(line)] == []
    assert set(re.findall(r"(?:run: |&& |\) |^ +)make ([\w-]+)", text, re.MULTILINE)) <= TARGETS
    assert set(re.findall(r"-m container_images ([\w-]+)", text)) <= set(COMMANDS)
    for script in re.findall(r"(?<![\w/])\.ci/[\w.]+", text):
        assert os.access(ROOT / script, os.X_OK) or script.endswith(".sha256"), script


@pytest.mark.parametrize("name", JOBS)
def test_a_job_that_runs_code_cannot_write_and_nobody_deploys_without_approval(name: str) -> None:
    job = JOBS[name]
    uses = {step.get("uses", "").split("@")[0] for step in job["steps"]}
    writes = {scope for scope, level in job["permissions"].items() if level == "write"}
    assert "timeout-minutes" in job
    has_credentials = "aws-actions/configure-aws-credentials" in uses
    if "actions/checkout" in uses:
        assert writes <= {"id-token"}
        # A token for AWS alone, and only where it is used.
        assert ("id-token" in writes) == has_credentials
    else:
        assert not has_credentials
    if "DEPLOY_ROLE" in str(job["steps"]) or "pypi-publish" in str(job["steps"]):
        assert job["environment"]


def test_an_update_is_never_cancelled() -> None:
    for workflow in map(load, WORKFLOWS.values()):
        changes = any("environment" in job for job in workflow["jobs"].values())
        assert not (changes and workflow["concurrency"]["cancel-in-progress"])


def test_a_pull_request_never_gets_the_deploy_role() -> None:
    assert "DEPLOY_ROLE" not in WORKFLOWS["preview.yml"] + WORKFLOWS["drift.yml"]
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    for name, job in load(WORKFLOWS["preview.yml"])["jobs"].items():
        assert (same in job.get("if", "")) == ("write" in job["permissions"].values()), name


# --- What they run --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "target"),
    [
        ("preview.yml", "preview"),
        ("deploy.yml", "up"),
        ("deploy.yml", "drift"),
        ("drift.yml", "drift"),
    ],
)
def test_a_team_calls_the_workflow_which_runs_pulumi_as_make_does(file: str, target: str) -> None:
    """A team's own repository has no Makefile, so the workflows name the command itself."""
    make = f"make --dry-run --no-print-directory PROGRAM= {target} CI=true STACK=any"
    printed = " ".join(run("-c", make).stdout.split()).replace("--stack any", '--stack "$STACK"')
    assert printed in " ".join(WORKFLOWS[file].replace("\\\n", " ").split())
    assert "make " not in WORKFLOWS[file]
    called = load(WORKFLOWS[file])["on"]["workflow_call"]
    assert called["inputs"].keys() == {"stack", "requirements"}


def test_the_nightly_check_expects_the_principals_of_the_file(tmp_path: Path) -> None:
    steps = load(WORKFLOWS["drift.yml"])["jobs"]["drift"]["steps"]
    [script] = [step["run"] for step in steps if "who-can" in step.get("run", "")]
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    python.chmod(0o755)
    without = "-m|container_images|who-can|--stack|prod|"
    assert run("-c", script, folder=tmp_path, STACK="prod").stdout == without
    (tmp_path / "expected-principals.txt").write_text("# ours\narn:a # why\n\narn:b\n")
    arguments = run("-c", script, folder=tmp_path, STACK="prod").stdout
    assert arguments == f"{without}--only|arn:a|--only|arn:b|"


def test_each_variable_is_in_the_list_and_no_other() -> None:
    own = "".join(text for name, text in WORKFLOWS.items() if name != "release.yml")
    page = (ROOT / "docs" / "ci.md").read_text()
    listed = set(re.findall(r"^ *\| `([A-Z_]+)` \|", page, re.MULTILINE))
    assert listed == set(re.findall(r"vars\.([A-Z_]+)", own))
    assert "secrets." not in "".join(PIPELINES.values())


def test_a_script_says_what_it_lacks_or_does_not_know() -> None:
    [script] = load(BUILDSPEC)["phases"]["build"]["commands"]
    done = run("-c", script, ACTION="depoly")
    assert done.returncode == 2
    assert "ACTION is depoly; it takes check, preview, deploy and drift" in done.stderr
    done = run(".ci/engine", PATH="/usr/bin:/bin")
    assert done.returncode == 3
    assert ".ci/engine needs pulumi on PATH" in done.stderr


# --- The Pulumi CLI of the buildspec --------------------------------------------------------------

PULUMI = re.findall(r"^pulumi==(.+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[0]


def pulumi(releases: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run .ci/pulumi with a folder as the releases of Pulumi."""
    pins = str(releases / "pins")
    return run(".ci/pulumi", *arguments, PULUMI_RELEASES=releases.as_uri(), PULUMI_PINS=pins)


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """A release of the CLI, which only says its name, for either machine; its pins are written."""
    folder = tmp_path / f"v{PULUMI}"
    folder.mkdir()
    script = f"""
        mkdir pulumi; printf '#!/bin/sh\necho the CLI\n' > pulumi/pulumi; chmod +x pulumi/pulumi
        for machine in x64 arm64; do
          tar --gzip -cf pulumi-v{PULUMI}-linux-$machine.tar.gz pulumi
        done
        sha256sum *.tar.gz > pulumi-{PULUMI}-checksums.txt
    """
    assert run("-c", script, folder=folder).returncode == 0
    assert pulumi(tmp_path, "pin").returncode == 0
    return tmp_path


def test_the_cli_is_installed_whose_checksum_is_pinned_and_no_other(releases: Path) -> None:
    assert pulumi(releases, "install", str(releases / "bin")).returncode == 0
    assert run("-c", "bin/pulumi", folder=releases).stdout == "the CLI\n"

    for archive in (releases / f"v{PULUMI}").glob("*.tar.gz"):
        archive.write_bytes(archive.read_bytes() + b"x")
    assert pulumi(releases, "install", str(releases / "other")).returncode != 0
    assert not (releases / "other" / "pulumi").exists()

    (releases / "pins").write_text(f"{'0' * 64}  pulumi-v3.1.0-linux-x64.tar.gz\n")
    done = pulumi(releases, "install", str(releases / "none"))
    assert done.returncode == 1
    assert "run .ci/pulumi pin" in done.stderr
    assert not (releases / "none").exists()
    assert not re.search(r"curl|\|\s*(ba|z)?sh\b", BUILDSPEC)


# --- What the two scripts do that write to the repository -----------------------------------------

GH = """#!/bin/sh
echo "$@" >> calls
case "$*" in *--jq*) cat there;; esac
"""


def last_step(workflow: str, job: str, folder: Path, there: str = "", **environment: str) -> str:
    """Run a job's last step with a gh that only keeps what it is asked. Returns its last call."""
    (folder / "there").write_text(there)
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    done = run(
        *("-c", load(WORKFLOWS[workflow])["jobs"][job]["steps"][-1]["run"]),
        folder=folder,
        PATH=f"{folder}:{os.environ['PATH']}",
        GITHUB_REPOSITORY="example-org/registry",
        GITHUB_SERVER_URL="https://github.com",
        GITHUB_RUN_ID="7",
        **environment,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "calls").read_text().splitlines()[-1]


ISSUES = "repos/example-org/registry/issues"


@pytest.mark.parametrize(
    ("there", "call"),
    [
        ("", f"api --silent {ISSUES}/12/comments -F body=@comment.md"),
        ("41\n42\n", f"api --silent --method PATCH {ISSUES}/comments/41 -F body=@comment.md"),
    ],
    ids=["the first", "updated"],
)
def test_the_comment(tmp_path: Path, there: str, call: str) -> None:
    (tmp_path / "changes.md").write_text("No change in who can do what.")
    (tmp_path / "access.md").write_text("## Who can do what\n" + "x" * 30_000)
    preview = "y" * 90_000 + f"{HIDDEN}é…\n``````\n<b>out of the block</b>\n$(id)\n"
    (tmp_path / "preview.txt").write_text(preview)
    step = ("preview.yml", "comment", tmp_path, there)
    assert last_step(*step, NUMBER="12", MARK="<!-- -->") == call
    comment = (tmp_path / "comment.md").read_text()
    assert comment.startswith("<!-- -->\nNo change in who can do what.\n\n<details>")
    assert len(comment) < MOST_CHARACTERS
    assert "Cut after 15000 bytes." in comment
    assert "The last 35,000 bytes:" in comment
    assert comment.count("``````") == 2, "nothing closes the block before its end"
    assert "$(id)" in comment
    assert f"y{'?' * len(HIDDEN)}é…" in comment
    (tmp_path / "preview.txt").unlink()  # without credentials
    last_step(*step, NUMBER="12", MARK="<!-- -->")
    assert "What an update would change" not in (tmp_path / "comment.md").read_text()


@pytest.mark.parametrize("padding", ["x" * 90_000, "é" * 90_000, "`" * 90_000, "\n" * 90_000])
def test_the_issue_keeps_what_comes_first(tmp_path: Path, padding: str) -> None:
    """Anybody whose denied calls are recorded can make it long."""
    for name in ("drift", "who-can", "history"):
        text = f"! {name} decides\x1b[2K{HIDDEN}\n``````\n{padding}\n"
        (tmp_path / f"{name}.txt").write_text(text)
    labels = {"TITLE": "It drifted", "LABEL": "drift"}
    for there, call in (("", "create --title It drifted --label drift"), ("5\n", "edit 5")):
        last_call = last_step("drift.yml", "issue", tmp_path, there, **labels)
        assert last_call == f"issue {call} --body-file issue.md"
    issue = (tmp_path / "issue.md").read_bytes().decode(errors="replace")
    assert len(issue) < MOST_CHARACTERS
    assert not {"\x1b", *HIDDEN} & {*issue}
    assert re.findall(r"^### ([\w-]+)$", issue, re.MULTILINE) == ["history", "who-can", "drift"]
    for name in ("drift", "who-can", "history"):
        assert f"! {name} decides" in issue
    assert issue.count("``````") == 6, "nothing closes a block before its end"
    assert issue.count("Cut after 18,000 bytes") == (0 if padding[0] == "`" else 3)
