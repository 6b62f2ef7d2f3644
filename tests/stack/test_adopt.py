"""adopt: what a repository that exists would be in a stack, and what that changes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from container_images.aws.image import Image
from container_images.lifecycle.listing import RepositoryImages
from container_images.policies.retention import lifecycle_policy
from container_images.stack.adopt import adoption, to_yaml
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import intended
from tests.builds import build
from tests.cli.test_cli import refused, run
from tests.stack.conftest import BARE, NAME, Answers, create, policy
from tests.stack.test_grants import from_lambda

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

OLD = BARE.name
KEY = "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PULL = {
    "Sid": "Pull",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::555566667777:root"},
    "Action": ["ecr:BatchGetImage"],
    "Condition": {"Bool": {"aws:SecureTransport": "true"}},
}
RETENTION = json.dumps(lifecycle_policy([], [{"any": True, "keep_newest": 5}]))
ALIAS = KEY.replace("key/", "alias/")
OWNED = {"Owner": "a team", "aws:cloudformation:stack-name": "x", "Service": "forms"}
CACHED = "it looks like a repository of"


@pytest.mark.parametrize(
    "case",
    [
        ({}, {}, "", "", ""),
        ({"encryption": "KMS", "kms_key": KEY}, {"kmsKey": KEY}, "", "", ""),
        ({"encryption": "KMS"}, {}, "encryption: KMS -> ", "", ""),
        (
            *({"encryption": "KMS", "kms_key": ALIAS}, {"kmsKey": ALIAS}),
            *("repositories.old-repository.kmsKey = ", "", ""),
        ),
        (
            *({"encryption": "KMS_DSSE", "kms_key": KEY}, {"kmsKey": KEY}),
            *("encryption: KMS_DSSE -> KMS; no update changes it", "", ""),
        ),
        ({"name": "Old"}, {}, "repositories", "", ""),
        ({"name": "quay/x"}, {}, "", CACHED, ""),
        ({"name": "mirror/x"}, {}, "", CACHED, ""),
        ({"scan_on_push": False}, {"scanOnPush": False}, "", "", ""),
        ({"tags": OWNED}, {"tags": {"Owner": "a team"}}, "", "the CloudFormation stack x ", ""),
        (
            *({"policy": policy(from_lambda())}, {"lambdaPull": True}, ""),
            "Lambda wrote statement LambdaECRImageRetrievalPolicy itself; lambdaPull replaces it",
            "repository policy statement LambdaECRImageRetrievalPolicy: {",
        ),
        (
            *({"policy": policy(PULL)}, {}, "", ""),
            f"repository policy statement Pull: {json.dumps(PULL)}",
        ),
        ({"lifecycle_policy": RETENTION}, {}, "", "", "lifecycle policy rule 1 (Keep the newest 5"),
    ],
    ids=str,
)
def test_what_adopting_means(case: tuple[Any, ...], stack: DeclaredStack) -> None:
    """What is unlike BARE; the entry; and how what blocks, what warns and what is lost begins."""
    change, entry, blocks, warns, loses = case
    adopted = adoption(replace(BARE, **change), stack, cache_prefixes=["mirror"])
    assert adopted["entry"] == {"import": True, **entry}
    for texts, beginning in (
        (adopted["blocks"], blocks),
        (adopted["warnings"], warns),
        (adopted["loses"], loses),
    ):
        assert len(texts) == bool(beginning)
        assert all(text.startswith(beginning) for text in texts)
    assert bool(to_yaml([adopted])) is not bool(blocks)
    changed = {each["setting"] for each in adopted["changes"] or ()}
    assert blocks or changed >= {"tagMutability", "repository policy", "lifecycle policy"}


def test_the_stacks_own_entry_counts(stack: DeclaredStack) -> None:
    live = intended(stack, NAME)
    adopted = adoption(live, stack)
    assert (adopted["changes"], adopted["loses"]) == ([], [])
    [warning] = adopted["warnings"]
    assert "has no import: true" in warning
    # A second entry for the same name would be no YAML.
    assert (adopted["entry"], to_yaml([adopted])) == (None, "")
    [block] = adoption(replace(live, encryption="KMS_DSSE", kms_key=KEY), None)["blocks"]
    assert block == "encryption: no setting declares KMS_DSSE; leave it out"
    blocks = adoption(replace(live, encryption="KMS", kms_key=KEY), stack)["blocks"]
    assert [block.partition(":")[0] for block in blocks] == ["encryption", "kmsKey"]


def test_images_that_would_expire_at_once_are_counted(stack: DeclaredStack) -> None:
    now = datetime.now(UTC)
    months = [
        Image(digest=f"sha256:{age}", tags=(f"dev-{age}",), pushed_at=now - timedelta(30.5 * age))
        for age in range(1, 5)
    ]
    media_type = "application/vnd.oci.image.index.v1+json"
    index = Image(digest="sha256:i", tags=("latest",), media_type=media_type, pushed_at=now)
    for images, warning in (
        (months, "would expire or archive 4 of 4 images"),
        ([*months, index], "would expire or archive up to 4 of 5 images"),
        ([index], ""),
    ):
        adopted = adoption(BARE, stack, RepositoryImages(images=tuple(images)))
        assert warning in "".join(adopted["warnings"])
        assert bool(warning) is bool(adopted["warnings"])


_TEXTS = st.text(
    st.characters(categories=["L", "N", "Zs", "Zl", "Zp"], include_characters="_.:/=+-@"),
    max_size=40,
)
_NAMES = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+){0,2}(/[a-z0-9]+)?", fullmatch=True)


@given(
    names=st.lists(_NAMES, min_size=1, max_size=3, unique=True),
    tags=st.dictionaries(_TEXTS.map("x{}".format), _TEXTS, max_size=4),
)
@example(names=["null", "123", "1e5", "on", "2026-01-31", "0o17", "08"], tags={})
@example(names=["x-1"], tags={"yes": "0x1f", "\u2028": "a: #b", "~": "", "a": "TRUE", "b": "1_000"})
def test_readers_of_every_version_of_yaml_read_the_same_entries(
    names: list[str], tags: dict[str, str]
) -> None:
    adoptions = [adoption(replace(BARE, name=name, tags=tags), None) for name in names]
    for version in ((1, 1), (1, 2)):
        reader = YAML(typ="safe", pure=True)
        reader.version = version
        assert reader.load(to_yaml(adoptions)) == {
            each["repository"]: each["entry"] for each in adoptions
        }


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


def test_a_whole_registry_is_filtered_by_name(ecr: "ECRClient", answers: Answers) -> None:
    for name in (OLD, "old-two", "quay/new"):
        create(ecr, replace(BARE, name=name))
    done = run("adopt", "--all", "--filter", "old-*", "--json")
    repositories = json.loads(done.stdout)["repositories"]
    assert [each["repository"] for each in repositories] == [OLD, "old-two"]
    assert repositories[0]["changes"] is None
    answers["DescribePullThroughCacheRules", "eu-west-2"] = "AccessDeniedException"
    done = run("adopt", "--all", "--stack", "prod")
    assert done.stdout.count("import: true") == 3
    assert "a repository of the pull-through cache quay" in done.stdout
    assert "pull-through caches are recognized by name alone: no permission" in done.stderr
    assert "no repository matches nobodys-*" in refused("adopt", "--all", "--filter", "nobodys-*")


def test_what_is_blocked_ends_in_a_failure_and_is_not_printed(ecr: "ECRClient") -> None:
    create(ecr, BARE)
    create(ecr, replace(BARE, name="other", encryption="KMS_DSSE", kms_key=KEY))
    done = run("adopt", OLD, "other", "--stack", "prod")
    assert done.exit_code == 1
    assert "other:" not in done.stdout
    assert f"    {OLD}:" in done.stdout
    assert "cannot be adopted: other (encryption: KMS_DSSE" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "or --all"),
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
    arn = f"arn:aws:ecr:eu-west-2:444455556666:repository/{OLD}"
    assert "is in account 444455556666, and you call as" in refused("adopt", arn)
    # Those that can be read are adopted all the same.
    done = run("adopt", "nobodys", OLD, "--json")
    missing, adopted = json.loads(done.stdout)["repositories"]
    assert (done.exit_code, missing["repository"], adopted["repository"]) == (1, "nobodys", OLD)
    assert "RepositoryNotFoundException" in done.stderr
