"""Whether an ECR repository of any stack carries the guard."""

import json
from typing import Any

import pytest

from container_images.policies.repository_policy import Access, repository_policy
from container_images.policies.retention import lifecycle_policy
from container_images.policypack.guard import (
    LIFECYCLE_POLICY,
    REGISTRY_POLICY,
    REPOSITORY,
    REPOSITORY_POLICY,
    WAYS_ROUND,
)
from tests.policypack.analysis import GOOD, UNKNOWN, Verdict, judge, judge_stack, later, resource
from tests.policypack.test_images import registered

POLICY = "guarded-repository"
ROUND = "no-way-round-the-guard"
FILTERS = "imageTagMutabilityExclusionFilters"
MUTABLE, IMMUTABLE = "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"


def repository(mode: str | None, *filters: Any) -> dict[str, Any]:
    written = [{"filter": pattern, "filterType": "WILDCARD"} for pattern in filters]
    return {"name": "forms", "imageTagMutability": mode, FILTERS: written or None}


@pytest.mark.parametrize(
    ("props", "immutable", "error"),
    [
        (repository("MUTABLE"), [], ""),
        (repository(None), [], ""),  # AWS's default
        (repository("MUTABLE", UNKNOWN), [], ""),  # filters have no say in this mode
        (repository("IMMUTABLE"), [], "no tag can move in it, and ADR040 needs one that does"),
        (repository(IMMUTABLE, "stable"), [], "['stable'], the tag latest cannot move; leave"),
        (repository(MUTABLE, "l*"), [], "['l*'], the tag latest cannot move; leave latest out"),
        (repository(MUTABLE, "prod-*"), ["prod-*"], ""),
        (repository(MUTABLE, "p*"), ["prod-*"], ""),
        (repository(IMMUTABLE, "latest"), ["prod-*"], ""),
        (repository("MUTABLE"), ["prod-*"], "tags that match prod-* can move"),
        (repository(MUTABLE, "prod-a*"), ["prod-*"], "tags that match prod-* can move"),
        (repository(MUTABLE, "*-1", "stg-*"), ["prod-*"], "tags that match prod-* can move"),
        (repository(IMMUTABLE, "latest", "prod-1"), ["prod-*"], "match prod-* can move"),
        (repository(IMMUTABLE, "latest", "*"), ["prod-*"], "tags that match prod-* can move"),
    ],
)
def test_movable_tags_move_and_immutable_ones_do_not(
    props: dict[str, Any], immutable: list[str], error: str
) -> None:
    violations, unknown = judge(POLICY, REPOSITORY, props, immutableTags=immutable)
    assert unknown is None
    assert len(violations) == bool(error)
    for message in violations:
        mode = props["imageTagMutability"]
        assert message.startswith(f'Repository it: imageTagMutability = "{mode}": ')
        assert error in message


@pytest.mark.parametrize(
    ("type_", "props", "config", "where"),
    [
        (REPOSITORY, repository(UNKNOWN), {}, "imageTagMutability"),
        (REPOSITORY, repository(MUTABLE, UNKNOWN), {}, f"{FILTERS}.0.filter"),
        (REPOSITORY, repository(MUTABLE) | {FILTERS: UNKNOWN}, {}, FILTERS),
        (REPOSITORY_POLICY, {"repository": "forms", "policy": UNKNOWN}, {}, "policy"),
        (LIFECYCLE_POLICY, {"repository": "forms", "policy": UNKNOWN}, {}, "policy"),
        (REGISTRY_POLICY, {"policy": UNKNOWN}, {}, "policy"),
        # Whose policy it is decides only where some are exempt.
        (REPOSITORY_POLICY, {"repository": UNKNOWN}, {"exempt": ["forms"]}, "repository"),
    ],
)
def test_what_is_not_known_yet_is_judged_later(
    type_: str, props: dict[str, Any], config: dict[str, Any], where: str
) -> None:
    policy = ROUND if type_ == REGISTRY_POLICY else POLICY
    assert judge(policy, type_, props, **config) == later(where)


# --- The repository policy ------------------------------------------------------------------------


@pytest.fixture
def document(access: Access) -> dict[str, Any]:
    return repository_policy(access)


def guarded(document: Any, **config: Any) -> Verdict:
    props = {"repository": "forms", "policy": json.dumps(document)}
    return judge(POLICY, REPOSITORY_POLICY, props, **config)


def test_a_policy_is_read_as_text_and_as_an_object(document: dict[str, Any]) -> None:
    assert guarded(document) == GOOD
    props = {"repository": "forms", "policy": document}
    assert judge(POLICY, REPOSITORY_POLICY, props) == GOOD
    document["Statement"][0]["Condition"] = UNKNOWN
    assert judge(POLICY, REPOSITORY_POLICY, props) == later("policy.Statement.0.Condition")


def test_no_role_may_be_exempted_from_both_denies(document: dict[str, Any]) -> None:
    push, administer = document["Statement"][:2]
    both = [deny["Condition"]["ArnNotEquals"]["aws:PrincipalArn"][0] for deny in (push, administer)]
    condition = {"ArnNotEquals": {"aws:PrincipalArn": both}}
    everything = push | {"Action": "ecr:*", "Condition": condition}
    # Of Denies that overlap, those are exempt whom all of them exempt.
    assert guarded({"Statement": [everything, push, administer]}) == GOOD
    [message], _ = guarded({"Statement": [everything]})
    assert "whoever may push and change the guard could move a tag" in message
    assert both[0] in message


def test_a_policy_without_one_of_the_denies_fails_and_says_what_is_open(
    document: dict[str, Any],
) -> None:
    push, administer, *_ = document["Statement"]
    weak = push | {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": []}}}
    kept = [action for action in administer["Action"] if action != "ecr:PutLifecyclePolicy"]
    pushing = "no Deny stops everybody but the pipeline roles from ecr:BatchImport"
    administering = "no Deny stops everybody but the administrators from ecr:"
    for statements, error in (
        ([administer], pushing),
        ([weak, administer], f"(statement {push['Sid']} exempts an empty list"),
        ([push], f"{administering}BatchDeleteImage"),
        ([push, administer | {"Action": kept}], f"{administering}PutLifecyclePolicy; declare"),
    ):
        [message], _ = guarded({"Statement": statements})
        assert message.startswith("RepositoryPolicy it: no Deny stops ")
        assert error in message


@pytest.mark.parametrize("nothing", [{}, [], None, {"Statement": ["Deny"]}])
def test_what_is_no_policy_denies_nothing(nothing: Any) -> None:
    violations, unknown = guarded(nothing)
    assert (len(violations), unknown) == (2, None)
    assert guarded(nothing, exempt=["other"]) == (violations, None)
    assert guarded(nothing, exempt=["forms"]) == GOOD
    assert judge(POLICY, REPOSITORY, repository("IMMUTABLE"), exempt=["forms"]) == GOOD


@pytest.mark.parametrize(
    ("policy", "type_"),
    [(POLICY, REPOSITORY_POLICY), (POLICY, LIFECYCLE_POLICY), (ROUND, REGISTRY_POLICY)],
)
def test_a_policy_that_is_no_json_fails(policy: str, type_: str) -> None:
    [message], _ = judge(policy, type_, {"repository": UNKNOWN, "policy": "{"})
    assert 'Policy it: policy = "{": the policy is not JSON' in message


def test_a_lifecycle_policy_must_never_expire_a_movable_tag() -> None:
    document = lifecycle_policy(["latest"], [{"any": True, "keep_newest": 5}])
    props = {"repository": "forms", "policy": json.dumps(document)}
    assert judge(POLICY, LIFECYCLE_POLICY, props) == GOOD
    [message], _ = judge(POLICY, LIFECYCLE_POLICY, props, movableTags=["latest", "stable"])
    assert message == (
        "LifecyclePolicy it: rule 2 may expire the image that stable names; before it, "
        'write a rule with "tagPatternList": ["stable"] and "imageCountMoreThan" 1'
    )
    [message], _ = judge(POLICY, LIFECYCLE_POLICY, {"repository": "x", "policy": '{"rules": []}'})
    assert message.startswith('LifecyclePolicy it: policy = {"rules": []}: ')


def test_what_a_stack_names_is_printed_with_its_control_characters_escaped() -> None:
    """A name or a value of another team's stack must not erase the message about it."""
    [message], _ = judge(POLICY, REPOSITORY, repository("x\x9b2K\u202e"))
    assert r'"x\x9b2K\u202e"' in message
    named = resource(REPOSITORY, {"name": "forms"}, name="forms\x1b[2K\r")
    violations, _ = judge_stack(named)
    assert len(violations) == 2
    assert all(message.startswith(r"Repository forms\x1b[2K\r: ") for message in violations)


# --- Complete repositories ------------------------------------------------------------------------

FORMS = resource(REPOSITORY, {"name": "forms", "region": "eu-west-2"}, name="forms")
UNNAMED = resource(REPOSITORY, {"name": UNKNOWN}, name="unnamed")
OF_UNKNOWN = resource(REPOSITORY_POLICY, {"repository": UNKNOWN})


def test_a_repository_needs_both_of_its_policies() -> None:
    policy = resource(REPOSITORY_POLICY, {"repository": "forms"})
    for region in (None, "eu-west-2"):
        lifecycle = resource(LIFECYCLE_POLICY, {"repository": "forms", "region": region})
        assert judge_stack(FORMS, policy, lifecycle) == GOOD
    others = [
        resource(REPOSITORY_POLICY, {"repository": "other"}),
        resource(LIFECYCLE_POLICY, {"repository": "forms", "region": "us-east-1"}),
        resource(LIFECYCLE_POLICY, {"repository": "forms"}, provider="another-account"),
    ]
    violations, unknown = judge_stack(FORMS, *others)
    for message, lack in zip(violations, ("RepositoryPolicy", "LifecyclePolicy"), strict=True):
        assert message.startswith(f"Repository forms: this stack has no {lack} for it: ")
        assert message.endswith("; declare the repository with ImageRepository, which writes it")
    assert unknown is None
    assert judge_stack(FORMS, *others, exempt=["forms"]) == GOOD


def test_a_policy_belongs_to_the_repository_that_its_name_comes_from() -> None:
    of_unnamed = [
        resource(type_, {"repository": UNKNOWN}, UNNAMED)
        for type_ in (REPOSITORY_POLICY, LIFECYCLE_POLICY)
    ]
    assert judge_stack(UNNAMED, *of_unnamed, OF_UNKNOWN) == GOOD
    other = resource(REPOSITORY, {"name": "x"}, name="x")
    violations, _ = judge_stack(UNNAMED, other, *of_unnamed)
    assert [message.partition(":")[0] for message in violations] == ["Repository x"] * 2


def test_what_is_unknown_is_left_open_and_the_rest_is_judged() -> None:
    [message], unknown = judge_stack(FORMS, OF_UNKNOWN)
    assert "no LifecyclePolicy" in message
    assert unknown == later("repository")[1]
    assert judge_stack(UNNAMED, exempt=["forms"]) == later("name")


# --- What goes round the guard --------------------------------------------------------------------


@pytest.mark.parametrize("kind", WAYS_ROUND)
def test_a_way_round_the_guard_is_refused_unless_it_is_allowed_by_name(kind: str) -> None:
    type_ = f"aws:ecr/{kind[0].lower()}{kind[1:]}:{kind}"
    [message], unknown = judge(ROUND, type_, {"prefix": UNKNOWN})
    assert message.startswith(f"{kind} it: {WAYS_ROUND[kind]}; leave it out, or have shop/prod/it")
    assert unknown is None
    assert judge(ROUND, type_, {}, allowed=["shop/prod/it"]) == GOOD
    assert judge(ROUND, type_, {}, allowed=["it", "shop/dev/it", "shop/prod/it2"]) != GOOD


@pytest.mark.parametrize(
    ("statement", "granted"),
    [
        ({"Action": ["ecr:ReplicateImage", "ecr:CreateRepository"]}, "ecr:CreateRepository"),
        ({"Action": "ecr:BatchImportUpstreamImage"}, "ecr:BatchImportUpstreamImage"),
        ({"Action": "*"}, "ecr:BatchDeleteImage"),
        ({"NotAction": "ecr:Get*"}, "ecr:BatchDeleteImage"),
        ({"Action": ["ecr:BatchGetImage", "ecr:DescribeRegistry"]}, ""),
        ({"Effect": "Deny", "Action": "*"}, ""),
        ({"Action": "s3:*"}, ""),
    ],
)
def test_a_registry_policy_may_let_nobody_write(statement: dict[str, Any], granted: str) -> None:
    whole = {"Effect": "Allow", "Principal": {"AWS": "444455556666"}} | statement
    props = {"policy": json.dumps({"Version": "2012-10-17", "Statement": whole})}
    violations, _ = judge(ROUND, REGISTRY_POLICY, props)
    assert len(violations) == bool(granted)
    for message in violations:
        assert message.startswith("RegistryPolicy it: policy = [")
        assert granted in message
    assert judge(ROUND, REGISTRY_POLICY, props, allowed=["shop/prod/it"]) == GOOD


def test_every_type_of_ecr_is_classified() -> None:
    """A new version of pulumi-aws may bring another way round the guard."""
    harmless = {"PullTimeUpdateExclusion", "RegistryScanningConfiguration"}
    guarded = {"Repository", "RepositoryPolicy", "LifecyclePolicy", "RegistryPolicy"}
    kinds = {token.rpartition(":")[2] for token, _ in registered()["pulumi_aws.ecr"]}
    assert kinds == guarded | WAYS_ROUND.keys() | harmless
