"""adopt: what a repository that exists would be in a stack, and what that changes."""

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from click.testing import Result
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from container_images import settings
from container_images.aws.image import Image
from container_images.cli.stack_output import print_adoptions
from container_images.lifecycle.files import Listing
from container_images.policies.repository_policy import repository_policy
from container_images.settings.stack_file import read
from container_images.stack.adopt import adoption, to_yaml
from container_images.stack.declared import DeclaredStack
from container_images.stack.grants import lost_statements
from container_images.stack.state import State
from tests.builds import build
from tests.cli.test_cli import refused, run
from tests.conftest import ROOT
from tests.stack.conftest import NAME, as_declared, create, policy

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

OLD = "old-repository"
KEY = "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NOW = datetime(2026, 1, 31, tzinfo=UTC)

BARE = State(
    arn=f"arn:aws:ecr:eu-west-2:111122223333:repository/{OLD}",
    name=OLD,
    tag_mutability="IMMUTABLE",
    exclusion_filters=(),
    scan_on_push=True,
    encryption="AES256",
    kms_key=None,
    tags={},
    lifecycle_policy=None,
    policy=None,
)
"""A repository as the console makes it."""

LAMBDA = {
    "Sid": "LambdaECRImageRetrievalPolicy",
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
}
PULL = {
    "Sid": "Pull",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
    "Action": ["ecr:BatchGetImage"],
}


def rules(*numbered: dict[str, Any]) -> str:
    written = [
        {"rulePriority": number, "action": {"type": "expire"}, "selection": it}
        for number, it in enumerate(numbered, start=1)
    ]
    return json.dumps({"rules": written})


KEEP_NEWEST = {
    "tagStatus": "tagged",
    "tagPatternList": ["prod-*"],
    "countType": "imageCountMoreThan",
    "countNumber": 50,
}
BY_AGE = {
    "tagStatus": "untagged",
    "countType": "sinceImagePushed",
    "countUnit": "days",
    "countNumber": 1,
}

Case = tuple[dict[str, Any], dict[str, Any], list[str], list[str]]
CASES: dict[str, Case] = {
    "as the console makes it": ({}, {"import": True}, [], []),
    "with a key": (
        {"encryption": "KMS", "kms_key": KEY},
        {"import": True, "kmsKey": KEY},
        [],
        [],
    ),
    "with a key that is not told": ({"encryption": "KMS"}, {"import": True}, ["which KMS key"], []),
    "with a key by its alias": (
        {"encryption": "KMS", "kms_key": KEY.replace("key/", "alias/")},
        {"import": True, "kmsKey": KEY.replace("key/", "alias/")},
        ["must be the ARN of a KMS key"],
        [],
    ),
    "encrypted twice": (
        {"encryption": "KMS_DSSE", "kms_key": KEY},
        {"import": True, "kmsKey": KEY},
        ["its encryption is KMS_DSSE"],
        [],
    ),
    "a name that the settings refuse": ({"name": "Old"}, {"import": True}, ["lower-case"], []),
    "not scanned": ({"scan_on_push": False}, {"import": True, "scanOnPush": False}, [], []),
    "with tags": (
        {"tags": {"Owner": "a team", "aws:cloudformation:stack-id": "x", "Service": "forms"}},
        {"import": True, "tags": {"Owner": "a team"}},
        [],
        [],
    ),
    "with Lambda's statement": (
        {"policy": policy(LAMBDA)},
        {"import": True, "lambdaPull": True},
        [],
        ["policy statement LambdaECRImageRetrievalPolicy: lambda.amazonaws.com for "],
    ),
    "with a statement that the guard has": ({"policy": policy(PULL)}, {"import": True}, [], []),
    "with a lifecycle policy": (
        {"lifecycle_policy": rules(KEEP_NEWEST, BY_AGE)},
        {"import": True},
        [],
        ["lifecycle rule 2 (untagged images): expire 1 days after the push"],
    ),
    "with a lifecycle policy that AWS would not take": (
        {"lifecycle_policy": rules(BY_AGE, BY_AGE)},
        {"import": True},
        [],
        ["its whole lifecycle policy, which cannot be compared"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_adopting_means(case: str, stack: DeclaredStack) -> None:
    change, entry, blocks, loses = CASES[case]
    found = adoption(replace(BARE, **change), stack)
    assert found.entry == entry
    assert_all_in(blocks, found.blocks)
    assert (OLD in to_yaml([found])) is not bool(blocks)
    if "lambdaPull" in entry:
        [lost] = found.loses  # what Lambda wrote has no condition
        assert lost.endswith("which the stack grants under another condition")
        assert_all_in(loses, found.loses)
    elif not blocks:
        assert_all_in(loses, found.loses)
        changed = {it.setting for it in found.changes or ()}
        assert {"tagMutability", "repository policy", "lifecycle policy"} <= changed


def assert_all_in(wanted: list[str], texts: Any) -> None:
    assert len(wanted) == len(texts), texts
    for one, text in zip(wanted, texts, strict=True):
        assert one in text


def test_without_a_stack_there_is_the_entry_alone() -> None:
    found = adoption(replace(BARE, tags={"Service": "forms"}), None)
    assert found.entry == {"import": True, "tags": {"Service": "forms"}}
    assert (found.changes, found.loses, found.blocks) == (None, (), [])


def test_the_stacks_own_entry_counts(stack: DeclaredStack) -> None:
    found = as_declared(stack)
    assert adoption(found, stack).changes == []
    [warning] = adoption(found, stack).warnings
    assert "has no import: true" in warning
    # A second entry for the same name would be no YAML.
    assert (adoption(found, stack).entry, to_yaml([adoption(found, stack)])) == (None, "")
    blocked = adoption(replace(found, encryption="KMS", kms_key=KEY), stack).blocks
    assert [it.partition(":")[0] for it in blocked] == ["encryption", "kmsKey"]
    assert all("Pulumi refuses to replace it" in it for it in blocked)


def test_a_policy_that_would_be_too_long_blocks(
    stack: DeclaredStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("container_images.policies.repository_policy.MAX_REPOSITORY_POLICY", 1000)
    [blocked] = adoption(BARE, stack).blocks
    assert "a repository policy of at most 1,000 characters" in blocked


def test_a_repository_of_cloudformations_is_warned_of(stack: DeclaredStack) -> None:
    tagged = replace(BARE, tags={"aws:cloudformation:stack-name": "registry"})
    [warning] = adoption(tagged, stack).warnings
    assert "CloudFormation stack registry" in warning


def test_images_that_would_go_at_once_are_counted(stack: DeclaredStack) -> None:
    months = [
        Image(digest=f"sha256:{it}", tags=(f"dev-{it}",), pushed_at=NOW - timedelta(days=30 * it))
        for it in range(1, 5)
    ]
    images = Listing(images=tuple(months))
    [warning] = adoption(BARE, stack, images, NOW).warnings
    assert "would expire 3 of 4 images" in warning
    assert adoption(BARE, stack, Listing(images=tuple(months[:1])), NOW).warnings == []
    index = Image(digest="sha256:i", tags=("latest",), media_type=_INDEX, pushed_at=NOW)
    [warning] = adoption(BARE, stack, Listing(images=(*months, index)), NOW).warnings
    assert "up to 3 of 5" in warning
    [warning] = adoption(BARE, stack, "no permission", NOW).warnings
    assert warning.startswith("not known how many")


_INDEX = "application/vnd.oci.image.index.v1+json"

# --- What is lost of a policy ---------------------------------------------------------------------

FOREIGN, OWN = "arn:aws:iam::444455556666:role/ci", "arn:aws:iam::111122223333:role/ci"
GRANTS: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({"Principal": {"AWS": "444455556666"}}, ""),
    ({"Principal": {"AWS": [FOREIGN]}}, ""),
    ({"Principal": {"AWS": [OWN]}}, f"{OWN} for ecr:BatchGetImage"),
    ({"Principal": "*"}, "* for ecr:BatchGetImage"),
    ({"Principal": {"AWS": ["444455556666", OWN]}}, f"{OWN} for ecr:BatchGetImage"),
    ({"Action": "ecr:batchgetimage"}, ""),
    ({"Action": ["ecr:BatchGetImage", "ecr:PutImage"]}, "444455556666 for ecr:PutImage"),
    ({"Action": "ecr:NewAction"}, "444455556666 for ecr:NewAction"),
    ({"Principal": {"AWS": [OWN]}, "Action": "ecr:*"}, f"{OWN} for ecr:*"),
    ({"Principal": {"Service": "ecs.amazonaws.com"}}, "ecs.amazonaws.com for ecr:BatchGetImage"),
    ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, ""),
    ({"Effect": "Deny"}, "a Deny of ecr:BatchGetImage"),
    ({"NotAction": "ecr:PutImage", "Action": None}, "an Allow of everything but what it names"),
    ({"NotPrincipal": "*", "Principal": None}, "an Allow of everything but what it names"),
]


@pytest.mark.parametrize(("change", "lost"), GRANTS, ids=str)
def test_a_grant_that_the_guard_has_not_is_lost(
    change: dict[str, Any], lost: str, stack: DeclaredStack
) -> None:
    statement = {key: it for key, it in (PULL | change).items() if it is not None}
    guard = as_declared(stack).policy
    found = lost_statements(policy(statement), guard, "111122223333")
    assert found == ([f"policy statement Pull: {lost}"] if lost else [])


def test_an_account_stands_for_the_roles_of_another_account_alone() -> None:
    """A role of the repository's own account, once named, needs no policy of its own."""
    for account, lost in (("111122223333", 1), ("444455556666", 0)):
        role = policy(PULL | {"Principal": {"AWS": f"arn:aws:iam::{account}:role/ci"}})
        whole = policy(PULL | {"Principal": {"AWS": account}})
        assert len(lost_statements(role, whole, "111122223333")) == lost


def test_a_statement_without_an_id_goes_by_its_number(stack: DeclaredStack) -> None:
    unnamed = {key: it for key, it in PULL.items() if key != "Sid"} | {"Action": "ecr:*"}
    [lost] = lost_statements(policy(PULL, unnamed), as_declared(stack).policy, "111122223333")
    assert lost.startswith("policy statement 2: 444455556666 for ecr:BatchDeleteImage, ")
    assert "ecr:BatchGetImage" not in lost


def test_a_grant_under_a_condition_is_not_one_without(access: Any) -> None:
    access["pull_organization"] = "o-exampleorgid"
    access["pull_accounts"] = []
    guard = json.dumps(repository_policy(access))
    assert lost_statements(policy(PULL), guard, "111122223333")
    bound = {"Condition": {"StringEquals": {"aws:PrincipalOrgID": ["o-exampleorgid"]}}}
    assert lost_statements(policy(PULL | bound), guard, "111122223333") == []


# --- The entries ----------------------------------------------------------------------------------

_PROD = read(ROOT, "prod")
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
    tags={"yes": "0x1f", "\u2028": "a: #b", "~": ""},
)
def test_what_is_printed_is_what_the_settings_read(
    names: list[str], key: str | None, *, scanned: bool, pulled: bool, tags: dict[str, str]
) -> None:
    found = [
        adoption(
            replace(
                BARE,
                name=name,
                encryption="KMS" if key else "AES256",
                kms_key=key,
                scan_on_push=scanned,
                policy=policy(LAMBDA) if pulled else None,
                tags=tags,
            ),
            None,
        )
        for name in names
    ]
    printed = io.StringIO()
    with redirect_stdout(printed):
        print_adoptions(found, "prod")
    entries, _, _ = printed.getvalue().partition("\n\n")
    read_back = YAML(typ="safe", pure=True).load(f"repositories:\n{entries}\n")["repositories"]
    # Readers of the older YAML see the same.
    older = YAML(typ="safe", pure=True)
    older.version = (1, 1)
    assert older.load(f"repositories:\n{entries}\n")["repositories"] == read_back
    config = _PROD.config_in(settings.NAMESPACE) | {"repositories": json.dumps(read_back)}
    parsed = settings.parse(config, _PROD.account).repositories
    assert parsed.keys() == set(names)
    for it in parsed.values():
        assert it.import_existing
        assert (it.kms_key or None, it.scan_on_push) == (key, scanned)
        assert (it.lambda_pull, dict(it.tags)) == (pulled, tags)


# --- The command ----------------------------------------------------------------------------------


def told(done: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_live_repository_is_adopted(ecr: "ECRClient") -> None:
    create(
        ecr,
        replace(
            BARE,
            name=NAME,
            tags={"Owner": "a team"},
            policy=policy(PULL | {"Principal": {"AWS": "arn:aws:iam::555566667777:root"}}),
            lifecycle_policy=rules(BY_AGE),
        ),
    )
    create(ecr, replace(BARE, encryption="KMS", kms_key=KEY))
    build(ecr, "a", "latest", name=OLD)
    done = run("adopt", OLD, "--stack", "prod", "--json")
    assert done.exit_code == 0, done.output
    [it] = told(done)["repositories"]
    assert it["entry"] == {"import": True, "kmsKey": KEY}
    assert it["found"]["kmsKey"] == KEY
    assert (it["blocks"], it["loses"], it["warnings"]) == ([], [], [])
    assert it["changes"][0] == {
        "setting": "tagMutability",
        "found": "IMMUTABLE",
        "declared": "MUTABLE_WITH_EXCLUSION",
        "detail": "",
    }
    done = run("adopt", NAME, OLD, "--stack", "prod")
    assert done.exit_code == 0, done.output
    assert f"    {OLD}:\n      import: true\n" in done.stdout
    assert f"    {NAME}:" not in done.stdout
    assert "555566667777 for ecr:BatchGetImage" in done.stdout
    assert "lifecycle rule 1 (untagged images)" in done.stdout
    assert "resource tag Owner: a team -> none" in done.stdout  # its entry has no tags


def test_a_whole_registry_is_filtered_by_name(ecr: "ECRClient") -> None:
    for name in (OLD, "old-two", "new"):
        create(ecr, replace(BARE, name=name))
    done = run("adopt", "--all", "--filter", "old-*", "--json")
    assert [it["repository"] for it in told(done)["repositories"]] == [OLD, "old-two"]
    assert told(done)["repositories"][0]["changes"] is None
    assert "tagMutability IMMUTABLE" in run("adopt", "--all").stdout
    done = run("adopt", "--all", "--filter", "nobodys-*")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no repository matches nobodys-*" in done.stderr


def test_a_repository_that_is_named_twice_is_told_once(ecr: "ECRClient") -> None:
    create(ecr, replace(BARE, name=NAME))
    create(ecr, BARE)
    told = json.loads(run("adopt", OLD, OLD, NAME, "--json").stdout)
    assert [it["repository"] for it in told["repositories"]] == [OLD, NAME]
    told = json.loads(run("verify", NAME, NAME, "--stack", "prod", "--json").stdout)
    assert [it["repository"] for it in told["repositories"]] == [NAME]


def test_what_is_blocked_ends_in_a_failure_and_is_not_printed(ecr: "ECRClient") -> None:
    create(ecr, BARE)
    create(ecr, replace(BARE, name="other", encryption="KMS_DSSE", kms_key=KEY))
    done = run("adopt", OLD, "other", "--stack", "prod")
    assert done.exit_code == 1
    assert "other:" not in done.stdout
    assert f"    {OLD}:" in done.stdout
    assert "cannot be adopted: other (its encryption is KMS_DSSE" in done.stderr


def test_images_that_cannot_be_listed_are_said_not_to_be_known(
    ecr: "ECRClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    create(ecr, BARE)
    code = "AccessDeniedException"

    def failing(*_: Any) -> None:
        told = {"Error": {"Code": code, "Message": "no"}}
        raise ClientError(told, "DescribeImages")  # type: ignore[arg-type]

    monkeypatch.setattr("container_images.aws.images.Repository.images", failing)
    done = run("adopt", OLD, "--stack", "prod")
    assert done.exit_code == 0
    assert "not known how many images" in done.stdout
    assert "no permission for ecr:DescribeImages" in done.stdout
    code = "ServerException"
    assert "ServerException" in refused("adopt", OLD, "--stack", "prod")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "or --all"),
        ((OLD, "--all"), "or --all"),
        ((OLD, "--filter", "x"), "goes with --all"),
        ((f"{OLD}:latest",), "names an image"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], problem: str) -> None:
    done = run("adopt", *arguments)
    assert done.exit_code == 2
    assert problem in " ".join(done.stderr.replace("│", "").split())


def test_what_cannot_be_read_is_told_in_a_sentence(ecr: "ECRClient") -> None:
    create(ecr, BARE)

    assert "RepositoryNotFoundException" in refused("adopt", "nobodys", OLD)
    arn = f"arn:aws:ecr:eu-west-2:444455556666:repository/{OLD}"
    assert "is in account 444455556666, and you call as" in refused("adopt", arn)
    assert "is in account 444455556666, and you call as" in refused("adopt", OLD, arn)
