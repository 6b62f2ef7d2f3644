"""Several repositories in one command, those of a stack, and the convention that it reads by."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.builds import ACCOUNT, NAME, REGION, build, place, push, sha, tag
from tests.cli.test_cli import done, refused, run
from tests.conftest import ROOT

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

OTHER = "forms-runner-deploy"
SEMVER = "[{stage: release, tag: 'v{semver}'}]"


@pytest.fixture
def both(ecr: "ECRClient") -> "ECRClient":
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


def listed(*arguments: str, status: int = 0) -> list[dict[str, Any]]:
    """What a command told of each repository."""
    result = run(*arguments, "--json")
    assert result.exit_code == status, result.stderr
    told: dict[str, list[dict[str, Any]]] = json.loads(result.stdout)
    assert told.keys() == {"repositories"}
    return told["repositories"]


@pytest.mark.usefixtures("both", "stack")
def test_what_production_should_run_is_one_list() -> None:
    single = done("resolve", NAME)
    for asked in (("--stack", "prod"), (NAME, "-r", OTHER), ("-r", NAME, "-r", OTHER)):
        first, second = listed("resolve", *asked)
        assert first == {"repository": NAME} | single
        assert (second["repository"], second["commit"]) == (OTHER, sha("a"))
    text = run("resolve", "--stack", "prod").stdout.splitlines()
    assert text[0] == f"{NAME}: {single['reference']}"
    assert [it["tag"] for it in listed("resolve", "--stack", "prod", tag("stg", "b"))] == [
        tag("stg", "b")
    ] * 2
    assert [it["commit"] for it in listed("resolve", NAME, tag("stg", "b"), "-r", OTHER)] == [
        sha("b")
    ] * 2


@pytest.mark.usefixtures("both", "stack")
def test_one_repository_of_a_stack_is_told_as_ever() -> None:
    alone = done("resolve", NAME)
    assert done("resolve", NAME, "--stack", "prod") == alone
    assert done("resolve", "-r", NAME, "--stack", "prod") == alone
    staged = done("resolve", f"{NAME}:{tag('stg', 'b')}", "--stack", "prod")
    assert staged == done("resolve", NAME, tag("stg", "b"), "--stack", "prod")
    assert [it["repository"] for it in listed("images", "--stack", "prod")] == [NAME, OTHER]
    one = json.loads(run("images", "--stack", "prod", NAME, "--json").stdout)
    assert (one["repository"], len(one["images"])) == (NAME, 2)
    tables = run("images", NAME, "-r", OTHER).stdout
    assert tables.index(f"{NAME}: of 2 images") < tables.index(f"{OTHER}: of 2 images")
    assert "give SOURCE" in run("move", "--stack", "prod", NAME).stderr


def test_a_failure_is_told_of_its_repository_and_the_others_go_on(both: "ECRClient") -> None:
    both.batch_delete_image(repositoryName=NAME, imageIds=[{"imageTag": "latest"}])
    first, second, third = listed("resolve", NAME, "-r", OTHER, "-r", "nothing", status=1)
    assert first["error"]["kind"] == "refused"
    assert "there is no image latest" in first["error"]["message"]
    assert second["commit"] == sha("a")
    assert third["error"]["code"] == "RepositoryNotFoundException"
    result = run("resolve", NAME, "-r", OTHER)
    assert (result.exit_code, result.stdout.count("\n")) == (1, 1)
    assert result.stderr.startswith(f"{NAME}: there is no image latest")


@pytest.mark.usefixtures("stack")
def test_a_tag_moves_in_a_whole_stack(both: "ECRClient", tmp_path: Path) -> None:
    record = tmp_path / "moves.jsonl"
    would = listed("move", "--stack", "prod", tag("stg", "b"), "--dry-run")
    assert [(it["moved"], it["dryRun"]) for it in would] == [(False, True)] * 2
    told = listed("move", "--stack", "prod", tag("stg", "b"), "--record", str(record))
    assert [(it["repository"], it["moved"], it["order"]) for it in told] == [
        (NAME, True, "convention"),
        (OTHER, True, "convention"),
    ]
    for name in (NAME, OTHER):
        assert place(both, "latest", name) == place(both, tag("stg", "b"), name)
    assert [json.loads(it)["repository"] for it in record.read_text().splitlines()] == [NAME, OTHER]


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    "command", [("move",), ("promote", "--stage", "prod", "--latest")], ids=lambda it: it[0]
)
def test_nothing_moves_unless_each_has_the_source(
    both: "ECRClient", command: tuple[str, ...]
) -> None:
    only = build(both, "c", tag("stg", "c"))
    before = place(both, "latest")
    told = listed(*command, "--stack", "prod", tag("stg", "c"), status=1)
    assert "error" not in told[0]
    assert f"there is no image {tag('stg', 'c')}" in told[1]["error"]["message"]
    assert place(both, "latest") == before != only
    result = run(*command, "--stack", "prod", tag("stg", "c"))
    assert result.stdout == ""
    assert "nothing was changed in any" in result.stderr


@pytest.mark.usefixtures("both", "stack")
def test_a_promotion_and_a_rollback_of_a_whole_stack() -> None:
    asked = ("--stage", "prod", "--move", "latest")
    told = listed("promote", "--stack", "prod", tag("stg", "b"), *asked)
    assert [it["added"] for it in told] == [True, True]
    back = listed("rollback", "--stack", "prod", "--to", tag("merged", "a"))
    assert [(it["repository"], it["basis"], it["moved"]) for it in back] == [
        (NAME, "given", True),
        (OTHER, "given", True),
    ]


# --- The convention -------------------------------------------------------------------------------


@pytest.fixture
def stable(stack: Path, ecr: "ECRClient") -> str:
    """The digest of the newer of two builds in each, with only `stable` movable, on the older."""
    stack.write_text(f"{stack.read_text()}  container-images:movableTags: [stable]\n")
    ecr.create_repository(repositoryName=OTHER)
    for name in (NAME, OTHER):
        build(ecr, "a", "stable", name=name)
        newer = build(ecr, "b", name=name)
    return newer


def test_the_tag_that_is_meant_is_the_stacks(stable: str, lookups: Callable[..., None]) -> None:
    lookups(*["AccessDeniedException"] * 4)
    older = {it["digest"] for it in listed("resolve", "--stack", "prod")}
    moved = listed("move", stable, "--stack", "prod")
    assert {it["tag"] for it in moved} == {"stable"}
    assert {it["to"]["digest"] for it in moved} == {stable}
    result = run("rollback", "--stack", "prod", "--json")
    back = json.loads(result.stdout)["repositories"]
    assert {it["to"]["digest"] for it in back} == older
    notes = result.stderr.splitlines()  # once, though each repository was tried before
    assert len(notes) == 2
    assert all("the unique tags decided" in it for it in notes)


@pytest.mark.parametrize(
    "arguments",
    [("move", "--to", "latest"), ("promote", "--stage", "prod", "--latest"), ("rollback",)],
)
def test_a_tag_that_does_not_move_in_the_stack_is_refused(
    stable: str, ecr: "ECRClient", arguments: tuple[str, ...]
) -> None:
    command, *options = arguments
    source = ["--tag", "latest"] if command == "rollback" else [stable]
    result = run(command, *source, *options, "--stack", "prod")
    assert result.exit_code == 2
    assert "latest is not one of the stack's movableTags: stable" in result.stderr
    assert "latest" not in place(ecr, "stable")


@pytest.mark.usefixtures("both", "stack")
def test_a_repository_that_the_stack_does_not_have_is_refused() -> None:
    told = refused("resolve", "else", "latest", "--stack", "prod")
    assert told == f"Pulumi.prod.yaml has no repository else; it has {NAME}, {OTHER}\n"


@pytest.mark.usefixtures("both")
def test_a_repository_is_asked_once() -> None:
    for first in (NAME, f"{NAME}:latest"):
        assert done("resolve", first, "-r", NAME)["uniqueTag"]


def test_a_tag_is_not_rolled_back_twice_in_one_repository(
    both: "ECRClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    here = place(both, "latest")
    arn, uri = (
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}",
        f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}",
    )
    for names in ((NAME, arn), (uri, NAME)):
        result = run("rollback", names[0], "-r", names[1])
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{NAME} and another with its account may be the same" in result.stderr
    assert place(both, "latest") == here
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert done("resolve", arn, "-r", uri)["uniqueTag"]


@pytest.mark.usefixtures("both")
def test_a_failure_with_many_is_an_object_too() -> None:
    result = run("resolve", NAME, tag("stg", "b"), "-r", "nothing-there", "--json")
    error = json.loads(result.stderr)
    assert (error["error"], error["kind"]) == ("failed in nothing-there", "refused")


@pytest.fixture
def versions(ecr: "ECRClient") -> None:
    push(ecr, '{"mediaType": "x"}', "v1.0.0", "latest")
    push(ecr, '{"mediaType": "y"}', "v1.1.0")


@pytest.mark.usefixtures("versions")
def test_the_convention_comes_from_a_file(tmp_path: Path) -> None:
    assert "build time" in refused("move", NAME, "v1.1.0")
    for name, text in (
        ("yaml", "- stage: release\n  tag: v{semver}\n"),
        ("json", '[{"stage": "release", "tag": "v{semver}"}]'),
    ):
        file = tmp_path / f"convention.{name}"
        file.write_text(text)
        assert done("resolve", NAME, "--convention", str(file))["uniqueTag"] == "v1.0.0"
        assert done("move", NAME, "v1.1.0", "--convention", str(file), "--dry-run")["order"] == (
            "semver"
        )


@pytest.mark.usefixtures("versions")
def test_the_convention_comes_from_the_environment_unless_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = tmp_path / "mine.yaml", tmp_path / "other.yaml"
    mine.write_text(SEMVER)
    other.write_text("[{stage: build, tag: 'b{sha}'}]")
    monkeypatch.setenv("TAG_CONVENTION", str(mine))
    assert done("promote", NAME, "v1.1.0", "--stage", "release", "--latest")["tag"] == "v1.1.0"
    assert done("resolve", NAME)["uniqueTag"] == "v1.1.0"
    result = run("resolve", NAME, "--convention", str(other), "--json")
    assert json.loads(result.stdout)["uniqueTag"] is None


@pytest.mark.usefixtures("versions")
def test_the_convention_of_a_stack_counts_more_than_the_environment(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.write_text(stack.read_text() + f"  container-images:tagConvention: {SEMVER}\n")
    other = tmp_path / "other.yaml"
    other.write_text("[{stage: build, tag: 'b{sha}'}]")
    monkeypatch.setenv("TAG_CONVENTION", str(other))
    assert done("move", NAME, "v1.1.0", "--stack", "prod")["order"] == "semver"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "convention.yaml: this is not YAML"),
        ("- &a [*a]", "[0] = [[...]]: a stage is a mapping"),
        ("release", "a list of stages"),
        ("[{stage: a, tag: 'v{version}'}]", "no placeholder {version}"),
        ("[{stage: a, tag: '{sha}'}, {stage: b, tag: '{number}'}]", "has the same tags"),
        ("[]", "at least one stage"),
        ("", "a list of stages"),
    ],
)
@pytest.mark.usefixtures("ecr")
def test_a_file_that_has_none_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "convention.yaml"
    file.write_text(text)
    said = refused("resolve", NAME, "--convention", str(file))
    assert said.startswith(f"{file}: ")
    assert told in said
    assert "cannot be read" in refused("resolve", NAME, "--convention", str(tmp_path / "none"))
