"""The workflows of CI: what they may, what they run, and what they write to the repository.

zizmor and the schemas, in `make lint`, hold the rest: permissions at the top, triggers, expressions
in scripts, credentials left on disk.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from container_images.cli.app import COMMANDS
from tests.conftest import ROOT

WORKFLOWS = {
    file.name: file.read_text() for file in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}
PIPELINES = {
    str(file.relative_to(ROOT)): file.read_text()
    for folder in (".github/workflows", "examples/ci", "template")
    for file in sorted((ROOT / folder).rglob("*.yml"))
} | {name: (ROOT / name).read_text() for name in ("action.yml", "buildspec.yml")}
BUILDSPEC = (ROOT / "buildspec.yml").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
DOCS = (ROOT / "docs" / "ci.md").read_text()
BASH = shutil.which("bash") or "bash"
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
MOST_CHARACTERS = 65_536
"""Of a comment or an issue: https://docs.github.com/en/rest/issues/comments"""


def load(text: str) -> dict[str, Any]:
    contents: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return contents


JOBS = {
    f"{file} {name}": job
    for file, text in WORKFLOWS.items()
    for name, job in load(text)["jobs"].items()
}


@pytest.mark.parametrize("file", PIPELINES)
def test_actions_are_pinned_by_commit_with_their_version(file: str) -> None:
    uses = [line.strip() for line in PIPELINES[file].splitlines() if "uses:" in line]
    assert [line for line in uses if not PINNED.search(line)] == []


@pytest.mark.parametrize("file", PIPELINES)
def test_what_is_run_exists(file: str) -> None:
    text = PIPELINES[file]
    assert set(re.findall(r"(?:run: |&& |\) |^ +)make ([\w-]+)", text, re.MULTILINE)) <= TARGETS
    assert set(re.findall(r"-m container_images ([\w-]+)", text)) <= {*COMMANDS}
    for script in re.findall(r"(?<![\w/])\.ci/[\w.]+", text):
        assert os.access(ROOT / script, os.X_OK) or script.endswith(".sha256"), script


@pytest.mark.parametrize("name", JOBS)
def test_a_job_that_runs_code_cannot_write_to_the_repository(name: str) -> None:
    job = JOBS[name]
    uses = {step.get("uses", "").split("@")[0] for step in job["steps"]}
    writes = {it for it, level in job["permissions"].items() if level == "write"}
    assert "timeout-minutes" in job
    if "actions/checkout" in uses:
        assert writes <= {"id-token"}
        # A token for AWS alone, and only where it is used.
        assert ("id-token" in writes) == ("aws-actions/configure-aws-credentials" in uses)
    else:
        assert "aws-actions/configure-aws-credentials" not in uses


def test_the_engine_is_told_what_it_lacks() -> None:
    done = subprocess.run(
        [str(ROOT / ".ci" / "engine")],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert ".ci/engine needs pulumi on PATH" in done.stderr


@pytest.mark.parametrize("name", JOBS)
def test_nobody_deploys_or_publishes_without_approval(name: str) -> None:
    job = JOBS[name]
    if "DEPLOY_ROLE" in str(job["steps"]) or "pypi-publish" in str(job["steps"]):
        assert job["environment"]


@pytest.mark.parametrize("file", WORKFLOWS)
def test_an_update_is_never_cancelled(file: str) -> None:
    workflow = load(WORKFLOWS[file])
    changes = any("environment" in job for job in workflow["jobs"].values())
    assert workflow["concurrency"]["cancel-in-progress"] in ({False} if changes else {True, False})


def test_a_pull_request_never_gets_the_deploy_role() -> None:
    assert "DEPLOY_ROLE" not in WORKFLOWS["preview.yml"] + WORKFLOWS["drift.yml"]
    jobs = load(WORKFLOWS["preview.yml"])["jobs"]
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    for name, job in jobs.items():
        privileged = {it for it, level in job["permissions"].items() if level == "write"}
        assert (same in job.get("if", "")) == bool(privileged), name


@pytest.mark.parametrize(
    ("file", "target"),
    [
        ("preview.yml", "preview"),
        ("deploy.yml", "up"),
        ("deploy.yml", "drift"),
        ("drift.yml", "drift"),
    ],
)
def test_pulumi_is_run_as_by_make(file: str, target: str) -> None:
    """A team's own repository has no Makefile, so the workflows name the command itself."""
    make = [shutil.which("make") or "make", "--dry-run", "--no-print-directory", "PROGRAM=", target]
    printed = subprocess.run(
        [*make, "CI=true", "STACK=any"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    expected = " ".join(printed.split()).replace("--stack any", '--stack "$STACK"')
    assert expected in " ".join(WORKFLOWS[file].replace("\\\n", " ").split())


@pytest.mark.parametrize("file", ["preview.yml", "deploy.yml", "drift.yml"])
def test_a_team_calls_the_workflow_in_its_own_repository(file: str) -> None:
    called = load(WORKFLOWS[file])["on"]["workflow_call"]
    assert called["inputs"].keys() == {"stack", "requirements"}
    assert "make " not in WORKFLOWS[file]
    assert "runs-on: ubuntu-latest" in WORKFLOWS[file]


def test_the_nightly_check_expects_the_principals_of_the_file(tmp_path: Path) -> None:
    steps = load(WORKFLOWS["drift.yml"])["jobs"]["drift"]["steps"]
    [script] = [step["run"] for step in steps if "who-can" in step.get("run", "")]
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    python.chmod(0o755)

    def arguments() -> str:
        return subprocess.run(
            [BASH, "-eo", "pipefail", "-c", script],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "STACK": "prod"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    without = "-m|container_images|who-can|--stack|prod|"
    assert arguments() == without
    (tmp_path / "expected-principals.txt").write_text("# ours\narn:a # why\n\narn:b\n")
    assert arguments() == f"{without}--only|arn:a|--only|arn:b|"


def test_the_check_covers_each_python_from_the_oldest_on() -> None:
    versions = load(WORKFLOWS["check.yml"])["jobs"]["check"]["strategy"]["matrix"]["python"]
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert f'target-version = "py{versions[0].replace(".", "")}"' in pyproject
    minors = [int(it.removeprefix("3.")) for it in versions]
    assert minors == list(range(minors[0], minors[0] + len(minors)))


def test_each_variable_is_in_the_list_and_no_other() -> None:
    own = {name: text for name, text in WORKFLOWS.items() if name != "release.yml"}
    used = set(re.findall(r"vars\.([A-Z_]+)", "".join(own.values())))
    listed = set(re.findall(r"^ *\| `([A-Z_]+)` \|", DOCS, re.MULTILINE))
    assert listed == used
    assert "secrets." not in "".join(PIPELINES.values())


def test_the_buildspec_refuses_what_it_does_not_know() -> None:
    [script] = load(BUILDSPEC)["phases"]["build"]["commands"]
    done = subprocess.run(
        [BASH, "-c", script],
        env={"ACTION": "depoly"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "ACTION is depoly; it takes check, preview, deploy and drift" in done.stderr


# --- The Pulumi CLI of the buildspec --------------------------------------------------------------

PULUMI = re.findall(r"^pulumi==(.+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[0]


def pulumi(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run .ci/pulumi with a folder as the releases of Pulumi."""
    return subprocess.run(
        [str(ROOT / ".ci" / "pulumi"), *arguments],
        env={
            "PATH": os.environ["PATH"],
            "PULUMI_RELEASES": folder.as_uri(),
            "PULUMI_PINS": str(folder / "pins"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release of the CLI, which only says its name, for either machine."""
    folder = tmp_path / f"v{PULUMI}"
    (folder / "pulumi").mkdir(parents=True)
    cli = folder / "pulumi" / "pulumi"
    cli.write_text("#!/bin/sh\necho the CLI\n")
    cli.chmod(0o755)
    archives = [f"pulumi-v{PULUMI}-linux-{machine}.tar.gz" for machine in ("x64", "arm64")]
    for archive in archives:
        subprocess.run(["tar", "--gzip", "-cf", archive, "pulumi"], cwd=folder, check=True)  # noqa: S607
    sums = subprocess.run(
        ["sha256sum", *archives],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    (folder / f"pulumi-{PULUMI}-checksums.txt").write_text(sums)
    return tmp_path


def test_the_cli_is_installed_whose_checksum_is_pinned(release: Path) -> None:
    assert pulumi(release, "pin").returncode == 0
    assert pulumi(release, "install", str(release / "bin")).returncode == 0
    cli = release / "bin" / "pulumi"
    assert subprocess.run([cli], check=True, capture_output=True).stdout == b"the CLI\n"


def test_another_download_is_not_run(release: Path) -> None:
    assert pulumi(release, "pin").returncode == 0
    for archive in (release / f"v{PULUMI}").glob("*.tar.gz"):
        archive.write_bytes(archive.read_bytes() + b"x")
    done = pulumi(release, "install", str(release / "bin"))
    assert done.returncode != 0
    assert not (release / "bin" / "pulumi").exists()


def test_a_version_without_a_checksum_is_not_installed(release: Path) -> None:
    (release / "pins").write_text(f"{'0' * 64}  pulumi-v3.1.0-linux-x64.tar.gz\n")
    done = pulumi(release, "install", str(release / "bin"))
    assert done.returncode == 1
    assert "run .ci/pulumi pin" in done.stderr
    assert not (release / "bin").exists()


def test_the_buildspec_runs_no_download() -> None:
    assert not re.search(r"\|\s*(ba|z)?sh\b", BUILDSPEC)
    assert "curl" not in BUILDSPEC


# --- What the two scripts do that write to the repository -----------------------------------------

GH = """#!/bin/sh
echo "$@" >> calls
case "$*" in *--jq*) cat there;; esac
"""


def run(script: str, folder: Path, **environment: str) -> list[str]:
    """Run a step with a gh that only keeps what it is asked. Returns that."""
    gh = folder / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    subprocess.run(
        [BASH, "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "GITHUB_REPOSITORY": "example-org/registry",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "7",
            **environment,
        },
        check=True,
        capture_output=True,
    )
    return (folder / "calls").read_text().splitlines()


def last_step(workflow: str, job: str) -> dict[str, Any]:
    step: dict[str, Any] = load(WORKFLOWS[workflow])["jobs"][job]["steps"][-1]
    return step


REPOSITORY = "repos/example-org/registry/issues"


@pytest.mark.parametrize(
    ("there", "call"),
    [
        ("", f"api --silent {REPOSITORY}/12/comments -F body=@comment.md"),
        (
            "41\n42\n",
            f"api --silent --method PATCH {REPOSITORY}/comments/41 -F body=@comment.md",
        ),
    ],
    ids=["the first", "updated"],
)
def test_the_comment(tmp_path: Path, there: str, call: str) -> None:
    step = last_step("preview.yml", "comment")
    (tmp_path / "there").write_text(there)
    (tmp_path / "access.md").write_text("## Who can do what\n" + "x" * 30_000)
    (tmp_path / "preview.txt").write_text(
        "y" * 90_000 + "\n``````\n<b>out of the block</b>\n$(id)\n"
    )
    mark = step["env"]["MARK"]
    calls = run(step["run"], tmp_path, NUMBER="12", MARK=mark)
    assert calls[-1] == call
    comment = (tmp_path / "comment.md").read_text()
    assert comment.startswith(f"{mark}\n## Who can do what")
    assert len(comment) < MOST_CHARACTERS
    assert "Cut after 20,000 bytes." in comment
    assert "The last 40,000 bytes:" in comment
    assert comment.count("``````") == 2, "nothing closes the block before its end"
    assert "$(id)" in comment


def test_the_comment_without_credentials(tmp_path: Path) -> None:
    step = last_step("preview.yml", "comment")
    (tmp_path / "there").write_text("")
    (tmp_path / "access.md").write_text("## Who can do what")
    run(step["run"], tmp_path, NUMBER="12", MARK=step["env"]["MARK"])
    assert "What an update would change" not in (tmp_path / "comment.md").read_text()


@pytest.mark.parametrize(
    ("there", "call"),
    [
        ("", "issue create --title The registry drifted --label registry-drift-prod"),
        ("5\n", "issue edit 5"),
    ],
    ids=["the first", "updated"],
)
def test_the_issue(tmp_path: Path, there: str, call: str) -> None:
    step = last_step("drift.yml", "issue")
    (tmp_path / "there").write_text(there)
    (tmp_path / "who-can.txt").write_text("role/intruder could move a tag\n``````\n")
    (tmp_path / "history.txt").write_text("! intruder\n")
    calls = run(step["run"], tmp_path, TITLE="The registry drifted", LABEL="registry-drift-prod")
    assert calls[-1] == f"{call} --body-file issue.md"
    issue = (tmp_path / "issue.md").read_text()
    sections = re.findall(r"^### ([\w-]+)$", issue, re.MULTILINE)
    assert sections == ["history", "who-can"]
    assert issue.count("``````") == 4, "nothing closes a block before its end"


@pytest.mark.parametrize("padding", ["x" * 90_000, "é" * 90_000, "`" * 90_000, "\n" * 90_000])
def test_the_issue_keeps_what_comes_first(tmp_path: Path, padding: str) -> None:
    """Anybody whose denied calls are recorded can make it long."""
    step = last_step("drift.yml", "issue")
    (tmp_path / "there").write_text("")
    for name in ("drift", "who-can", "history"):
        (tmp_path / f"{name}.txt").write_text(f"! {name} decides\x1b[2K\n{padding}\n")
    run(step["run"], tmp_path, TITLE="The registry drifted", LABEL="registry-drift-prod")
    issue = (tmp_path / "issue.md").read_bytes().decode(errors="replace")
    assert len(issue) < MOST_CHARACTERS
    assert "\x1b" not in issue
    for name in ("drift", "who-can", "history"):
        assert f"! {name} decides" in issue
    assert issue.count("Cut after 18,000 bytes") == (0 if padding[0] == "`" else 3)
