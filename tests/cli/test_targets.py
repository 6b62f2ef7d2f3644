"""Which repositories a command is about: several, those of a stack, and by which convention."""

import json
from pathlib import Path

import pytest
from botocore.exceptions import ReadTimeoutError

from container_images.aws.image import Image
from container_images.aws.images import Repository
from tests.builds import ACCOUNT, NAME, REGION, ECRClient, build, push, sha, tag
from tests.cli.test_cli import done, refused, run
from tests.conftest import ROOT

OTHER = "forms-runner-deploy"
SEMVER = "[{stage: release, tag: 'v{semver}'}]"


@pytest.fixture
def both(ecr: ECRClient) -> ECRClient:
    """Two repositories, each with two builds and latest on the first."""
    ecr.create_repository(repositoryName=OTHER)
    for name in (NAME, OTHER):
        build(ecr, "a", "latest", name=name)
        build(ecr, "b", tag("stg", "b"), name=name)
    return ecr


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of a stack `prod` with both repositories."""
    (tmp_path / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(
        f"""
config:
  aws:region: eu-west-2
  container-images:repositories: {{{NAME}: {{}}, {OTHER}: {{}}}}
  container-images:pipelineRole: {{arn: "arn:aws:iam::{ACCOUNT}:role/push"}}
  container-images:administratorRoles: ["arn:aws:iam::{ACCOUNT}:role/deploy"]
"""
    )
    monkeypatch.chdir(tmp_path)
    return file


def commits(*arguments: str) -> list[str]:
    """The commit of each image that `resolve` printed."""
    objects = done("resolve", *arguments)
    assert objects.keys() == {"repositories"}
    return [image["commit"] for image in objects["repositories"]]


@pytest.mark.usefixtures("both", "stack")
def test_a_command_that_reads_takes_any_number_of_repositories_or_a_stack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    staged = tag("stg", "b")
    assert commits(NAME, f"{OTHER}:{staged}", NAME) == [sha("a"), sha("b")]
    assert commits(NAME, f"{NAME}:{staged}") == [sha("a"), sha("b")]
    monkeypatch.delenv("AWS_DEFAULT_REGION")  # the stack's file has it
    assert commits("--stack", "prod", f"{OTHER}:{staged}") == [sha("b")]
    references = run("resolve", "--stack", "prod").stdout.splitlines()
    registry = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
    names = [reference.partition("@")[0] for reference in references]
    assert names == [f"{registry}/{NAME}", f"{registry}/{OTHER}"]


def test_one_repository_that_cannot_be_read_does_not_stop_the_others(both: ECRClient) -> None:
    both.batch_delete_image(repositoryName=NAME, imageIds=[{"imageTag": "latest"}])
    result = run("resolve", NAME, "missing", OTHER, "--json")
    assert result.exit_code == 1
    first, second, third = json.loads(result.stdout)["repositories"]
    assert (first["repository"], first["error"]["kind"]) == (NAME, "refused")
    assert "there is no image latest" in first["error"]["error"]
    assert second["error"]["code"] == "RepositoryNotFoundException"
    assert third["commit"] == sha("a")
    error = json.loads(result.stderr)
    assert error["error"].startswith(f"{NAME}: there is no image latest")
    assert " | missing: DescribeImages failed" in error["error"]
    text = run("resolve", NAME, "missing", OTHER)
    assert (text.exit_code, text.stdout.count("\n"), text.stderr.count("\n")) == (1, 1, 1)


@pytest.mark.usefixtures("both")
def test_after_a_silence_nothing_more_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = list[str](), Repository.image_and_place

    def image_and_place(named: Repository, *arguments: str) -> tuple[Image, Image | None]:
        asked.append(named.name)
        if len(asked) > 1:
            raise ReadTimeoutError(endpoint_url="https://x")
        return answer(named, *arguments)

    monkeypatch.setattr(Repository, "image_and_place", image_and_place)
    result = run("resolve", OTHER, NAME, "third", "--json")
    first, *others = json.loads(result.stdout)["repositories"]
    assert (first["commit"], len(others), asked) == (sha("a"), 2, [OTHER, NAME])
    assert json.loads(result.stderr)["error"].startswith(f"{NAME}, third: Read timeout")


@pytest.mark.usefixtures("both", "stack")
@pytest.mark.parametrize("command", [("resolve", "other"), ("move", "other", "latest")])
def test_a_repository_that_the_stack_does_not_have_is_refused(command: tuple[str, ...]) -> None:
    error = refused(*command, "--stack", "prod")
    assert error == f"Pulumi.prod.yaml has no repository other; it has {NAME}, {OTHER}"


def test_the_movable_tags_are_those_of_the_stack(stack: Path, ecr: ECRClient) -> None:
    stack.write_text(f"{stack.read_text()}  container-images:movableTags: [stable]\n")
    build(ecr, "a", "stable")
    newer = build(ecr, "b")
    assert done("move", NAME, newer, "--stack", "prod")["tag"] == "stable"
    assert commits(NAME, "--stack", "prod") == [sha("b")]
    for command in (
        ("move", NAME, newer, "--tag", "latest"),
        ("promote", NAME, newer, "--stage", "prod", "--latest"),
        ("rollback", NAME, "--tag", "latest"),
    ):
        error = refused(*command, "--stack", "prod", status=2)
        assert "latest is not one of the stack's movableTags: stable" in error


def test_the_convention_is_that_of_the_option_then_the_stack_then_the_environment(
    ecr: ECRClient, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(ecr, '{"mediaType": "x"}', "v1.0.0", "latest")
    push(ecr, '{"mediaType": "y"}', "v1.1.0")
    mine, other = tmp_path / "mine", tmp_path / "other.yaml"
    mine.write_text('[{"stage": "release", "tag": "v{semver}"}]')
    other.write_text("[{stage: build, tag: 'b{sha}'}]")
    monkeypatch.setenv("TAG_CONVENTION", str(other))
    move = ("move", NAME, "v1.1.0", "--dry-run")
    assert done(*move, "--convention", str(mine))["order"] == "semver"
    stack.write_text(stack.read_text() + f"  container-images:tagConvention: {SEMVER}\n")
    assert done(*move, "--stack", "prod")["order"] == "semver"
    monkeypatch.setenv("TAG_CONVENTION", str(mine))
    assert done(*move)["order"] == "semver"
    assert done("resolve", NAME)["repositories"][0]["uniqueTag"] == "v1.0.0"
    usage = ("promote", NAME, "v1.1.0", "--stage", "release", "--convention", str(other))
    assert "--stage release is not one of build" in refused(*usage, status=2)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "cannot be read"),
        ("[", "convention.yaml: line 1 is invalid YAML: "),
        ("[{stage: a, tag: v{semver}}]", "write text with * or { in quotes"),
        ("[2026-13-45]", "convention.yaml: invalid YAML: month"),
        ("", "a key needs a value"),
    ],
)
@pytest.mark.usefixtures("ecr")
def test_a_file_that_has_none_is_refused(tmp_path: Path, text: str | None, error: str) -> None:
    file = tmp_path / "convention.yaml"
    if text is not None:
        file.write_text(text)
    printed = refused("move", NAME, "latest", "--convention", str(file))
    assert (printed.startswith(str(file)), error in printed) == (True, True)
