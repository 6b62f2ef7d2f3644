"""adopt: what a repository that exists would be in a stack, and what that changes."""

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from container_images import settings
from container_images.aws.image import Image
from container_images.cli.stack_output import print_adoptions
from container_images.lifecycle.listing import RepositoryImages
from container_images.settings.stack_file import read
from container_images.stack.adopt import adoption, to_yaml
from container_images.stack.declared import DeclaredStack
from tests.builds import build
from tests.cli.test_cli import refused, run
from tests.conftest import FIXTURES
from tests.stack.conftest import BARE, NAME, Answers, as_declared, create, policy
from tests.stack.test_statements import from_lambda

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

OLD = BARE.name
KEY = "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NOW = datetime(2026, 1, 31, tzinfo=UTC)
PULL = {
    "Sid": "Pull",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::555566667777:root"},
    "Action": ["ecr:BatchGetImage"],
    "Condition": {"Bool": {"aws:SecureTransport": "true"}},
}
BY_AGE = {
    "rulePriority": 1,
    "selection": {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 1,
    },
    "action": {"type": "expire"},
}

Case = tuple[dict[str, Any], dict[str, Any], list[str], list[str], list[str]]
"""What is unlike BARE; the entry; and the beginnings of what blocks, warns, and is lost."""
CASES: dict[str, Case] = {
    "as the console makes it": ({}, {}, [], [], []),
    "with a key": ({"encryption": "KMS", "kms_key": KEY}, {"kmsKey": KEY}, [], [], []),
    "with a key that is not known": ({"encryption": "KMS"}, {}, ["ECR does not say"], [], []),
    "with a key by its alias": (
        {"encryption": "KMS", "kms_key": KEY.replace("key/", "alias/")},
        {"kmsKey": KEY.replace("key/", "alias/")},
        ["repositories.old-repository.kmsKey = "],
        [],
        [],
    ),
    "encrypted twice": (
        {"encryption": "KMS_DSSE", "kms_key": KEY},
        {"kmsKey": KEY},
        ["its encryption is KMS_DSSE"],
        [],
        [],
    ),
    "a name that the settings refuse": ({"name": "Old"}, {}, ["repositories"], [], []),
    "not scanned": ({"scan_on_push": False}, {"scanOnPush": False}, [], [], []),
    "with tags": (
        {"tags": {"Owner": "a team", "aws:cloudformation:stack-name": "x", "Service": "forms"}},
        {"tags": {"Owner": "a team"}},
        [],
        ["the CloudFormation stack x manages it too"],
        [],
    ),
    "with Lambda's own statement": (
        {"policy": policy(from_lambda())},
        {"lambdaPull": True},
        [],
        ["Lambda wrote statement LambdaECRImageRetrievalPolicy itself; lambdaPull replaces it"],
        ["repository policy statement LambdaECRImageRetrievalPolicy: {"],
    ),
    "with a grant that is lost, and its condition": (
        {"policy": policy(PULL)},
        {},
        [],
        [],
        [f"repository policy statement Pull: {json.dumps(PULL)}"],
    ),
    "with a Deny that is lost": (
        {"policy": policy(PULL | {"Effect": "Deny", "Principal": "*"})},
        {},
        [],
        [],
        ["repository policy statement Pull: "],
    ),
    "with a lifecycle policy": (
        {"lifecycle_policy": json.dumps({"rules": [BY_AGE]})},
        {},
        [],
        [],
        [f"lifecycle policy rule 1: {json.dumps(BY_AGE)}"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_adopting_means(case: str, stack: DeclaredStack) -> None:
    change, entry, blocks, warnings, loses = CASES[case]
    adopted = adoption(replace(BARE, **change), stack)
    assert adopted.entry == {"import": True, **entry}
    assert_beginnings(adopted.blocks, blocks)
    assert_beginnings(adopted.warnings, warnings)
    assert_beginnings(adopted.loses, loses)
    assert bool(to_yaml([adopted])) is not bool(blocks)
    if not blocks:
        changed = {it.setting for it in adopted.changes or ()}
        assert {"tagMutability", "repository policy", "lifecycle policy"} <= changed


def assert_beginnings(texts: Any, beginnings: list[str]) -> None:
    assert len(texts) == len(beginnings), texts
    for text, beginning in zip(texts, beginnings, strict=True):
        assert text.startswith(beginning)


def test_a_statement_or_rule_that_the_stack_has_too_is_not_lost(stack: DeclaredStack) -> None:
    declared = as_declared(stack)
    live = replace(BARE, policy=declared.policy, lifecycle_policy=declared.lifecycle_policy)
    adopted = adoption(live, stack)
    assert (adopted.loses, adopted.warnings) == ([], [])


def test_without_a_stack_there_is_the_entry_alone() -> None:
    adopted = adoption(replace(BARE, tags={"Service": "forms"}), None)
    assert adopted.entry == {"import": True, "tags": {"Service": "forms"}}
    assert (adopted.changes, adopted.loses, adopted.blocks) == (None, [], [])


def test_the_stacks_own_entry_counts(stack: DeclaredStack) -> None:
    live = as_declared(stack)
    adopted = adoption(live, stack)
    assert adopted.changes == []
    [warning] = adopted.warnings
    assert "has no import: true" in warning
    # A second entry for the same name would be no YAML.
    assert (adopted.entry, to_yaml([adopted])) == (None, "")
    blocks = adoption(replace(live, encryption="KMS", kms_key=KEY), stack).blocks
    assert [it.partition(":")[0] for it in blocks] == ["encryption", "kmsKey"]
    assert all("Pulumi refuses to replace it" in it for it in blocks)


def test_a_policy_that_would_be_too_long_blocks(
    stack: DeclaredStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("container_images.policies.repository_policy.MAX_REPOSITORY_POLICY", 1000)
    [block] = adoption(BARE, stack).blocks
    assert "a repository policy of at most 1,000 characters" in block


def test_images_that_would_expire_at_once_are_counted(stack: DeclaredStack) -> None:
    months = [
        Image(digest=f"sha256:{it}", tags=(f"dev-{it}",), pushed_at=NOW - timedelta(days=30 * it))
        for it in range(1, 5)
    ]
    [warning] = adoption(BARE, stack, RepositoryImages(images=tuple(months)), NOW).warnings
    assert "would expire or archive 3 of 4 images" in warning
    assert adoption(BARE, stack, RepositoryImages(images=tuple(months[:1])), NOW).warnings == []
    media_type = "application/vnd.oci.image.index.v1+json"
    index = Image(digest="sha256:i", tags=("latest",), media_type=media_type, pushed_at=NOW)
    [warning] = adoption(BARE, stack, RepositoryImages(images=(*months, index)), NOW).warnings
    assert "up to 3 of 5" in warning


# --- The entries ----------------------------------------------------------------------------------

_PROD = read(FIXTURES, "prod")
_TEXTS = st.text(
    st.characters(categories=["L", "N", "Zs", "Zl", "Zp"], include_characters="_.:/=+-@"),
    max_size=40,
)
_KEYS = _TEXTS.filter(lambda it: it and not it.lower().startswith("aws:"))
_NAMES = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+){0,2}(/[a-z0-9]+)?", fullmatch=True).filter(
    lambda it: len(it) > 1
)


@given(
    names=st.lists(_NAMES, min_size=1, max_size=3, unique=True),
    key=st.sampled_from([None, KEY]),
    scanned=st.booleans(),
    pulled=st.booleans(),
    tags=st.dictionaries(_KEYS, _TEXTS, max_size=4),
)
@example(
    names=["null", "123", "1e5", "on", "2026-01-31"], key=None, scanned=True, pulled=False, tags={}
)
@example(
    names=["x-1"],
    key=KEY,
    scanned=False,
    pulled=True,
    tags={"yes": "0x1f", "\u2028": "a: #b", "~": "", "a": "TRUE", "b": "1_000"},
)
def test_what_is_printed_is_what_the_settings_read(
    names: list[str], key: str | None, *, scanned: bool, pulled: bool, tags: dict[str, str]
) -> None:
    live = replace(
        BARE,
        encryption="KMS" if key else "AES256",
        kms_key=key,
        scan_on_push=scanned,
        policy=policy(from_lambda()) if pulled else None,
        tags=tags,
    )
    printed = io.StringIO()
    with redirect_stdout(printed):
        print_adoptions([adoption(replace(live, name=name), None) for name in names], None)
    entries, _, _ = printed.getvalue().partition("\n\n")
    read_back = YAML(typ="safe", pure=True).load(f"repositories:\n{entries}\n")["repositories"]
    # Readers of the older YAML see the same.
    older = YAML(typ="safe", pure=True)
    older.version = (1, 1)
    assert older.load(f"repositories:\n{entries}\n")["repositories"] == read_back
    config = _PROD.config_in("container-images") | {"repositories": json.dumps(read_back)}
    parsed = settings.parse(config, _PROD.account).repositories
    assert parsed.keys() == set(names)
    for repository in parsed.values():
        assert repository.import_existing
        assert (repository.kms_key or None, repository.scan_on_push) == (key, scanned)
        assert (repository.lambda_pull, dict(repository.tags)) == (pulled, tags)


# --- The command ----------------------------------------------------------------------------------


def test_a_live_repository_is_adopted(ecr: "ECRClient") -> None:
    create(ecr, replace(BARE, name=NAME, tags={"Owner": "a team"}, policy=policy(PULL)))
    create(ecr, replace(BARE, encryption="KMS", kms_key=KEY))
    build(ecr, "a", "latest", name=OLD)
    done = run("adopt", OLD, OLD, "--stack", "prod", "--json")
    assert done.exit_code == 0, done.output
    [adopted] = json.loads(done.stdout)["repositories"]
    assert (adopted["repository"], adopted["entry"]) == (OLD, {"import": True, "kmsKey": KEY})
    assert (adopted["blocks"], adopted["loses"], adopted["warnings"]) == ([], [], [])
    assert adopted["changes"][0] == {
        "setting": "tagMutability",
        "found": "IMMUTABLE",
        "declared": "MUTABLE_WITH_EXCLUSION",
        "missing": [],
        "undeclared": [],
    }
    done = run("adopt", NAME, OLD, "--stack", "prod")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("    # container-images:repositories, Pulumi.prod.yaml\n")
    assert f"    {OLD}:\n      import: true\n" in done.stdout
    assert f"    {NAME}:" not in done.stdout
    assert f"repository policy statement Pull: {json.dumps(PULL)}" in done.stdout
    assert "resource tag Owner: a team -> none" in done.stdout  # its entry has no tags
    # What decides is printed before what changes.
    assert done.stdout.index("loses") < done.stdout.index("changes")


def test_a_whole_registry_is_filtered_by_name(ecr: "ECRClient") -> None:
    for name in (OLD, "old-two", "new"):
        create(ecr, replace(BARE, name=name))
    done = run("adopt", "--all", "--filter", "old-*", "--json")
    repositories = json.loads(done.stdout)["repositories"]
    assert [it["repository"] for it in repositories] == [OLD, "old-two"]
    assert repositories[0]["changes"] is None
    assert run("adopt", "--all", "--stack", "prod").stdout.count("import: true") == 3
    done = run("adopt", "--all", "--filter", "nobodys-*")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no repository matches nobodys-*" in done.stderr


def test_what_is_blocked_ends_in_a_failure_and_is_not_printed(ecr: "ECRClient") -> None:
    create(ecr, BARE)
    create(ecr, replace(BARE, name="other", encryption="KMS_DSSE", kms_key=KEY))
    done = run("adopt", OLD, "other", "--stack", "prod")
    assert done.exit_code == 1
    assert "other:" not in done.stdout
    assert f"    {OLD}:" in done.stdout
    assert "cannot be adopted: other (its encryption is KMS_DSSE" in done.stderr


def test_images_that_cannot_be_listed_are_said_not_to_be_known(
    ecr: "ECRClient", answers: Answers
) -> None:
    create(ecr, BARE)
    answers["DescribeImages", "eu-west-2"] = ("AccessDeniedException", "no")
    done = run("adopt", OLD, "--stack", "prod")
    assert done.exit_code == 0
    assert "not known how many images" in done.stdout
    assert "no permission for DescribeImages" in done.stdout
    answers["DescribeImages", "eu-west-2"] = ("ServerException", "no")
    assert "ServerException" in refused("adopt", OLD, "--stack", "prod")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "or --all"),
        ((OLD, "--all"), "or --all"),
        ((OLD, "--all", "--stack", "prod"), "or --all"),
        ((OLD, "--filter", "x"), "goes with --all"),
        ((f"{OLD}:latest",), "names an image"),
    ],
)
@pytest.mark.usefixtures("sign_in")
def test_wrong_usage(arguments: tuple[str, ...], problem: str) -> None:
    done = run("adopt", *arguments)
    assert done.exit_code == 2
    assert problem in " ".join(done.stderr.replace("│", "").split())


def test_a_repository_elsewhere_is_refused(ecr: "ECRClient") -> None:
    create(ecr, BARE)
    assert "RepositoryNotFoundException" in refused("adopt", "nobodys")
    arn = f"arn:aws:ecr:eu-west-2:444455556666:repository/{OLD}"
    assert "is in account 444455556666, and you call as" in refused("adopt", arn)
    # Those that can be read are adopted all the same.
    done = run("adopt", "nobodys", OLD, "--json")
    missing, adopted = json.loads(done.stdout)["repositories"]
    assert (done.exit_code, missing["repository"], adopted["repository"]) == (1, "nobodys", OLD)
    assert "RepositoryNotFoundException" in done.stderr
