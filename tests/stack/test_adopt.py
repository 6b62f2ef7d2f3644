"""adopt: what a repository that exists would be in a stack, and what that changes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from container_images.aws.image import Image
from container_images.policies.retention import lifecycle_policy
from container_images.stack.adopt import adoption, to_yaml
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import intended
from tests.builds import ECRClient, build
from tests.cli.test_cli import refused, run
from tests.stack.conftest import BARE, NAME, create, policy

OLD = BARE.name
KEY = "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALIAS = KEY.replace("key/", "alias/")
PULL = {
    "Sid": "Pull",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::555566667777:root"},
    "Action": ["ecr:BatchGetImage"],
    "Condition": {"Bool": {"aws:SecureTransport": "true"}},
}
RETENTION = json.dumps(lifecycle_policy([], [{"any": True, "keep_newest": 5}]))
OWNED = {"Owner": "a team", "aws:cloudformation:stack-name": "x", "Service": "forms"}
BY_LAMBDA = "LambdaECRImageRetrievalPolicy"


def to_service(service: str, condition: Any = None, **elements: Any) -> dict[str, Any]:
    statement = {
        "Sid": BY_LAMBDA,
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:SetRepositoryPolicy"],
    }
    return statement | ({"Condition": condition} if condition else {}) | elements


CACHED = "it looks like a repository of the pull-through cache"
WROTE = f"Lambda wrote statement {BY_LAMBDA} itself; lambdaPull replaces it"
LOST = "repository policy statement"
CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = [
    ({}, {}, {}),
    ({"encryption": "KMS", "kms_key": KEY}, {"kmsKey": KEY}, {}),
    ({"encryption": "KMS"}, {}, {"blocks": "encryption: KMS -> "}),
    (
        {"encryption": "KMS", "kms_key": ALIAS},
        {"kmsKey": ALIAS},
        {"blocks": "repositories.old-repository.kmsKey = "},
    ),
    (
        {"encryption": "KMS_DSSE", "kms_key": KEY},
        {"kmsKey": KEY},
        {"blocks": "encryption: KMS_DSSE -> KMS; no update changes it"},
    ),
    ({"name": "Old"}, {}, {"blocks": "repositories"}),
    ({"name": "mirror/x"}, {}, {"warnings": f"{CACHED} mirror"}),
    ({"name": "docker-hub/library/x"}, {}, {"warnings": f"{CACHED} docker-hub"}),
    (
        {"policy": policy(to_service("ecs", Principal={"AWS": "AROAEXAMPLEEXAMPLEEX1"}))},
        {},
        {"warnings": "the policy names roles or users that have been deleted: AROA", "loses": LOST},
    ),
    ({"scan_on_push": False}, {"scanOnPush": False}, {}),
    ({"tags": OWNED}, {"tags": {"Owner": "a team"}}, {"warnings": "the CloudFormation stack x "}),
    (
        {"policy": policy(to_service("lambda"))},
        {"lambdaPull": True},
        {"warnings": WROTE, "loses": f"{LOST} {BY_LAMBDA}: {{"},
    ),
    (
        {"policy": policy(to_service("codebuild", Sid="Builds"))},
        {},
        {"warnings": "CodeBuild pulls by its own credentials", "loses": f"{LOST} Builds: {{"},
    ),
    ({"policy": policy(PULL)}, {}, {"loses": f"{LOST} Pull: {json.dumps(PULL)}"}),
    ({"lifecycle_policy": RETENTION}, {}, {"loses": "lifecycle policy rule 1 (Keep the newest 5"}),
]


@pytest.mark.parametrize(("change", "entry", "beginnings"), CASES, ids=str)
def test_what_adopting_means(
    prod: DeclaredStack,
    change: dict[str, Any],
    entry: dict[str, Any],
    beginnings: dict[str, str],
) -> None:
    """What is unlike BARE; the entry; and how what blocks, what warns and what is lost begins."""
    adopted = adoption(replace(BARE, **change), prod, cache_prefixes=["mirror"])
    assert adopted["entry"] == {"import": True, **entry}
    for key in ("blocks", "warnings", "loses"):
        assert len(adopted[key]) == (key in beginnings)
        assert all(text.startswith(beginnings[key]) for text in adopted[key])
    assert bool(to_yaml([adopted])) is ("blocks" not in beginnings)
    changed = {each["setting"] for each in adopted["changes"] or ()}
    assert adopted["blocks"] or changed >= {"tagMutability", "repository policy"}


def test_the_stacks_own_entry_counts(prod: DeclaredStack) -> None:
    live = intended(prod, NAME)
    adopted = adoption(live, prod)
    assert (adopted["changes"], adopted["loses"]) == ([], [])
    [warning] = adopted["warnings"]
    assert "has no import: true" in warning
    # A second entry for the same name would be no YAML.
    assert (adopted["entry"], to_yaml([adopted])) == (None, "")
    [block] = adoption(replace(live, encryption="KMS_DSSE", kms_key=KEY), None)["blocks"]
    assert block == "encryption: no setting declares KMS_DSSE; leave it out"
    blocks = adoption(replace(live, encryption="KMS", kms_key=KEY), prod)["blocks"]
    assert [block.partition(":")[0] for block in blocks] == ["encryption", "kmsKey"]


def test_images_that_would_expire_at_once_are_counted(prod: DeclaredStack) -> None:
    now = datetime.now(UTC)
    images = [
        Image(digest=f"sha256:{age}", tags=(f"dev-{age}",), pushed_at=now - timedelta(30.5 * age))
        for age in range(1, 5)
    ]
    latest = Image(digest="sha256:i", tags=("latest",), pushed_at=now)
    [warning] = adoption(BARE, prod, [*images, latest])["warnings"]
    assert "would expire or archive up to 4 of 5 images" in warning
    assert adoption(BARE, prod, [latest])["warnings"] == []


# --- Lambda's grants ------------------------------------------------------------------------------

OWN, OTHER, THIRD = "111122223333", "444455556666", "777788889999"
SOURCE, ACCOUNT = "aws:SourceArn", "aws:SourceAccount"
DENY = {"Effect": "Deny", "Principal": "*", "Action": "ecr:*", "Condition": {"Bool": {"a": "b"}}}


def functions(account: str, name: str = "*", region: str = "eu-west-2") -> str:
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


@pytest.mark.parametrize(
    ("condition", "elements", "accounts"),
    [
        (None, {}, [OWN]),
        ({"ArnLike": {SOURCE: [functions(OWN, "web"), functions(OTHER)]}}, {}, [OWN, OTHER]),
        ({"ArnEquals": {SOURCE: functions(OTHER, "web-*:live")}}, {}, [OTHER]),
        ({"StringEquals": {ACCOUNT: [OTHER, THIRD]}}, {}, [OTHER, THIRD]),
        ({"StringLike": {SOURCE: "*"}, "StringEquals": {ACCOUNT: OTHER}}, {}, [OTHER]),
        # Both conditions have to be met, and no account meets them.
        ({"ArnLike": {SOURCE: functions(OWN)}, "StringEquals": {ACCOUNT: OTHER}}, {}, []),
        # A function's images are in its own Region.
        ({"ArnLike": {SOURCE: functions(OWN, region="eu-west-1")}}, {}, []),
        ({"StringNotEquals": {ACCOUNT: OTHER}}, {}, [OWN]),
        ({"StringEquals": {"aws:SourceOrgID": "o-exampleorgid"}}, {}, []),
        (None, {"Action": "ecr:BatchGetImage"}, []),
        (None, {"Effect": "Deny"}, None),
        (None, {"Principal": {"Service": ["ecs.amazonaws.com", "lambda.amazonaws.com"]}}, [OWN]),
        (None, {"Principal": {"AWS": OTHER}}, None),
        (None, {"Principal": "*"}, None),
    ],
    ids=str,
)
def test_whose_functions_may_pull(
    condition: Any, elements: dict[str, Any], accounts: list[str] | None
) -> None:
    """None: nothing is granted to Lambda by name."""
    statement = to_service("lambda", condition, **elements)
    adopted = adoption(replace(BARE, policy=policy(statement, DENY)), None)
    remarks = " ".join(adopted["warnings"])
    assert ("lambdaPull" in adopted["entry"]) is (OWN in (accounts or ()))
    others = [account for account in accounts or () if account != OWN]
    assert ("not known to be this account's" in remarks) is (accounts not in ([OWN], None))
    assert (f"lambdaPullAccounts: {json.dumps(others)}" in remarks) is bool(others)


# --- The entries ----------------------------------------------------------------------------------

_LETTERS = st.characters(categories=["L", "N", "Zs", "Zl", "Zp"], include_characters="_.:/=+-@")
_NAMES = ("2026-01-31", "null", "on", "0o17", "1e5", "123", "x-1", "quay/a_b.c", NAME)


@given(tags=st.dictionaries(st.text(_LETTERS).map("x{}".format), st.text(_LETTERS)))
@example(tags={"yes": "0x1f", "\u2028": "a: #b", "~": "", "a": "TRUE", "b": "1_000"})
def test_readers_of_every_version_of_yaml_read_the_same_entries(tags: dict[str, str]) -> None:
    adoptions = [adoption(replace(BARE, name=name, tags=tags), None) for name in _NAMES]
    reader = YAML(typ="safe", pure=True)
    for reader.version in ((1, 1), (1, 2)):
        assert reader.load(to_yaml(adoptions)) == {
            each["repository"]: each["entry"] for each in adoptions
        }


# --- The command ----------------------------------------------------------------------------------


def test_a_live_repository_is_adopted(ecr: ECRClient) -> None:
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


def test_a_whole_registry_is_filtered_by_name(ecr: ECRClient, answers: dict[Any, Any]) -> None:
    for name in (OLD, "old-two", "quay/new"):
        create(ecr, replace(BARE, name=name))
    done = run("adopt", "--all", "--filter", "old-*", "--json")
    repositories = json.loads(done.stdout)["repositories"]
    assert [each["repository"] for each in repositories] == [OLD, "old-two"]
    assert repositories[0]["changes"] is None
    operation = "DescribePullThroughCacheRules"
    answers[operation] = {"pullThroughCacheRules": [{"ecrRepositoryPrefix": "quay"}]}
    done = run("adopt", "--all", "--stack", "prod")
    assert done.stdout.count("import: true") == 3
    assert "a repository of the pull-through cache quay" in done.stdout
    answers[operation] = "AccessDeniedException"
    done = run("adopt", "--all", "--stack", "prod")
    assert "pull-through caches are recognized by name alone: no permission" in done.stderr
    assert "no repository matches nobodys-*" in refused("adopt", "--all", "--filter", "nobodys-*")


def test_what_cannot_be_adopted_ends_in_a_failure_and_does_not_stop_the_others(
    ecr: ECRClient,
) -> None:
    create(ecr, BARE)
    create(ecr, replace(BARE, name="other", encryption="KMS_DSSE", kms_key=KEY))
    done = run("adopt", OLD, "other", "--stack", "prod")
    assert done.exit_code == 1
    assert "other:" not in done.stdout
    assert f"    {OLD}:" in done.stdout
    assert "cannot be adopted: other (encryption: KMS_DSSE" in done.stderr
    arn = f"arn:aws:ecr:eu-west-2:{OTHER}:repository/{OLD}"
    assert f"is in account {OTHER}, and you call as" in refused("adopt", arn)


@pytest.mark.usefixtures("sign_in")
def test_wrong_usage() -> None:
    for arguments, problem in (
        ([], "or --all"),
        ([OLD, "--all", "--stack", "prod"], "or --all"),
        ([OLD, "--filter", "x"], "goes with --all"),
        ([f"{OLD}:latest"], "names an image"),
    ):
        assert problem in refused("adopt", *arguments, status=2)
