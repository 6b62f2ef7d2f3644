"""Whether an ECR repository of any stack carries the guard."""

import json
from typing import Any

import pytest

from container_images.policies.repository_policy import Access, repository_policy
from container_images.policies.retention import lifecycle_policy
from container_images.policypack.guard import LIFECYCLE_POLICY, REPOSITORY, REPOSITORY_POLICY
from tests.policypack.analysis import GOOD, UNKNOWN, Verdict, judge, judge_stack, later, resource

POLICY = "guarded-repository"
FILTERS = "imageTagMutabilityExclusionFilters"


def repository(mode: str | None, *filters: Any) -> dict[str, Any]:
    written = [{"filter": pattern, "filterType": "WILDCARD"} for pattern in filters]
    return {"name": "forms", "imageTagMutability": mode, FILTERS: written or None}


# --- Tag mutability -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("props", "says"),
    [
        (repository("MUTABLE"), ""),
        (repository(None), ""),  # AWS's default
        (repository("MUTABLE_WITH_EXCLUSION", "prod-*"), ""),
        (repository("IMMUTABLE_WITH_EXCLUSION", "latest"), ""),
        (repository("MUTABLE", UNKNOWN), ""),  # filters have no say in this mode
        (repository("IMMUTABLE"), "no tag can move in it, and ADR040 needs one that does"),
        (repository("IMMUTABLE_WITH_EXCLUSION", "stable"), "['stable'], the tag latest cannot"),
        (repository("MUTABLE_WITH_EXCLUSION", "l*"), "['l*'], the tag latest cannot move; leave"),
    ],
)
def test_the_movable_tags_must_be_able_to_move(props: dict[str, Any], says: str) -> None:
    violations, unknown = judge(POLICY, REPOSITORY, props)
    assert unknown is None
    assert len(violations) == bool(says)
    assert all(
        message.startswith(f'Repository it imageTagMutability = "{props["imageTagMutability"]}": ')
        and says in message
        for message in violations
    )


@pytest.mark.parametrize(
    ("props", "where"),
    [
        (repository(UNKNOWN), "imageTagMutability"),
        (repository("MUTABLE_WITH_EXCLUSION", UNKNOWN), f"{FILTERS}.0.filter"),
        (repository("MUTABLE_WITH_EXCLUSION") | {FILTERS: UNKNOWN}, FILTERS),
    ],
)
def test_mutability_that_is_not_known_yet_is_judged_later(
    props: dict[str, Any], where: str
) -> None:
    assert judge(POLICY, REPOSITORY, props) == later(where)


@pytest.mark.parametrize(
    ("props", "immutable"),
    [
        (repository("MUTABLE"), False),
        (repository("MUTABLE_WITH_EXCLUSION", "prod-*"), True),
        (repository("MUTABLE_WITH_EXCLUSION", "p*"), True),
        (repository("MUTABLE_WITH_EXCLUSION", "prod-a*"), False),
        (repository("MUTABLE_WITH_EXCLUSION", "*-1", "stg-*"), False),
        (repository("IMMUTABLE_WITH_EXCLUSION", "latest"), True),
        (repository("IMMUTABLE_WITH_EXCLUSION", "latest", "prod-1"), False),
        (repository("IMMUTABLE_WITH_EXCLUSION", "latest", "*"), False),
    ],
)
def test_tags_are_immutable_where_that_was_decided(
    props: dict[str, Any], *, immutable: bool
) -> None:
    violations, _ = judge(POLICY, REPOSITORY, props, immutableTags=["prod-*"])
    assert (violations == []) == immutable
    assert judge(POLICY, REPOSITORY, props) == GOOD


# --- The repository policy ------------------------------------------------------------------------


@pytest.fixture
def document(access: Access) -> dict[str, Any]:
    return repository_policy(access)


def guarded(document: Any) -> Verdict:
    props = {"repository": "forms", "policy": json.dumps(document)}
    return judge(POLICY, REPOSITORY_POLICY, props)


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
    push, administer, *allows = document["Statement"]
    [message], _ = guarded({"Statement": [administer, *allows]})
    assert message.startswith(
        "RepositoryPolicy it: no Deny stops everybody but the pipeline roles from ecr:BatchImport"
    )
    [message], _ = guarded({"Statement": [push, *allows]})
    assert "no Deny stops everybody but the administrators from ecr:BatchDeleteImage" in message
    weak = push | {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": []}}}
    [message], _ = guarded({"Statement": [weak, administer]})
    assert f"(statement {push['Sid']} exempts an empty list" in message
    administer["Action"].remove("ecr:PutLifecyclePolicy")
    [message], _ = guarded(document)
    assert "everybody but the administrators from ecr:PutLifecyclePolicy; declare" in message


@pytest.mark.parametrize("nothing", [{}, [], None, {"Statement": ["Deny"]}])
def test_what_is_no_policy_denies_nothing(nothing: Any) -> None:
    violations, _ = guarded(nothing)
    assert len(violations) == 2


@pytest.mark.parametrize("type_", [REPOSITORY_POLICY, LIFECYCLE_POLICY])
def test_a_policy_that_is_no_json_fails_and_one_not_known_yet_is_judged_later(type_: str) -> None:
    [message], _ = judge(POLICY, type_, {"repository": "forms", "policy": "{"})
    assert 'Policy it policy = "{": the policy is not JSON' in message
    assert judge(POLICY, type_, {"repository": "forms", "policy": UNKNOWN}) == later("policy")


# --- The lifecycle policy -------------------------------------------------------------------------


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
    assert message.startswith('LifecyclePolicy it policy = {"rules": []}: ')


# --- Exempt repositories --------------------------------------------------------------------------


def test_an_exempt_repository_is_not_judged() -> None:
    assert judge(POLICY, REPOSITORY, repository("IMMUTABLE"), exempt=["forms"]) == GOOD
    props = {"repository": "forms", "policy": "{}"}
    assert judge(POLICY, REPOSITORY_POLICY, props, exempt=["forms"]) == GOOD
    assert judge(POLICY, REPOSITORY_POLICY, props, exempt=["other"]) != GOOD


def test_whose_policy_it_is_decides_only_where_some_are_exempt() -> None:
    props = {"repository": UNKNOWN, "policy": "{}"}
    assert judge(POLICY, REPOSITORY_POLICY, props, exempt=["forms"]) == later("repository")
    violations, unknown = judge(POLICY, REPOSITORY_POLICY, props)
    assert (len(violations), unknown) == (2, None)


# --- Complete repositories ------------------------------------------------------------------------

FORMS = resource(REPOSITORY, "forms", {"name": "forms", "region": "eu-west-2"})
UNNAMED = resource(REPOSITORY, "unnamed", {"name": UNKNOWN})
POLICY_OF_FORMS = resource(REPOSITORY_POLICY, "p", {"repository": "forms"})
OF_UNNAMED = [
    resource(REPOSITORY_POLICY, "p", {"repository": UNKNOWN}, UNNAMED),
    resource(LIFECYCLE_POLICY, "l", {"repository": UNKNOWN}, UNNAMED),
]


@pytest.mark.parametrize("region", [None, "eu-west-2"])
def test_a_repository_with_both_policies_is_complete(region: str | None) -> None:
    lifecycle = resource(LIFECYCLE_POLICY, "l", {"repository": "forms", "region": region})
    assert judge_stack(FORMS, POLICY_OF_FORMS, lifecycle) == GOOD


def test_a_repository_without_its_policies_is_not() -> None:
    others = [
        resource(REPOSITORY_POLICY, "p", {"repository": "other"}),
        resource(LIFECYCLE_POLICY, "l", {"repository": "forms", "region": "us-east-1"}),
        resource(LIFECYCLE_POLICY, "m", {"repository": "forms"}, provider="another-account"),
    ]
    violations, unknown = judge_stack(FORMS, *others)
    for message, lack in zip(violations, ("RepositoryPolicy", "LifecyclePolicy"), strict=True):
        assert message.startswith(f"Repository forms: this stack has no {lack} for it: ")
        assert message.endswith("; declare the repository with ImageRepository, which writes it")
    assert unknown is None
    assert judge_stack(FORMS, *others, exempt=["forms"]) == GOOD


def test_a_policy_belongs_to_the_repository_that_its_name_comes_from() -> None:
    assert judge_stack(UNNAMED, *OF_UNNAMED) == GOOD
    violations, _ = judge_stack(UNNAMED, resource(REPOSITORY, "x", {"name": "x"}), *OF_UNNAMED)
    assert [message.partition(":")[0] for message in violations] == ["Repository x"] * 2


def test_what_is_unknown_is_left_open_and_the_rest_is_judged() -> None:
    of_unknown = resource(REPOSITORY_POLICY, "p", {"repository": UNKNOWN})
    [message], unknown = judge_stack(FORMS, of_unknown)
    assert "no LifecyclePolicy" in message
    assert unknown == later("repository")[1]
    assert judge_stack(UNNAMED, exempt=["forms"]) == later("name")
    assert judge_stack(UNNAMED, of_unknown, *OF_UNNAMED) == GOOD


def test_what_a_stack_names_is_printed_with_its_control_characters_escaped() -> None:
    """A name or a value of another team's stack must not erase the message about it."""
    [message], _ = judge(POLICY, REPOSITORY, repository("x\x9b2K\u202e"))
    assert r'"x\x9b2K\u202e"' in message
    violations, _ = judge_stack(resource(REPOSITORY, "forms\x1b[2K\r", {"name": "forms"}))
    assert len(violations) == 2
    assert all(message.startswith(r"Repository forms\x1b[2K\r: ") for message in violations)
