"""Whether an ECR repository of any stack carries the guard."""

import json
from typing import Any

import pytest

from container_images.policies.repository_policy import Access, repository_policy
from container_images.policies.retention import lifecycle_policy
from container_images.policies.tag_mutability import TAG_MUTABILITIES
from container_images.policypack.guard import LIFECYCLE_POLICY, REPOSITORY, REPOSITORY_POLICY
from tests.policypack.analysis import UNKNOWN, Verdict, judge, judge_stack, later, resource, urn

POLICY = "guarded-repository"
GOOD: Verdict = ([], None)
CANNOT_MOVE = "the tag latest cannot move; leave latest out of the immutable tags"


def repository(mode: str | None, *filters: Any) -> dict[str, Any]:
    written = [{"filter": it, "filterType": "WILDCARD"} for it in filters]
    return {
        "name": "forms",
        "imageTagMutability": mode,
        "imageTagMutabilityExclusionFilters": written or None,
    }


# --- Tag mutability -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "props",
    [
        repository("MUTABLE"),
        repository(None),  # AWS's default
        repository("MUTABLE_WITH_EXCLUSION", "prod-*"),
        repository("IMMUTABLE_WITH_EXCLUSION", "latest"),
        # Filters have no say in this mode.
        repository("MUTABLE", UNKNOWN),
    ],
)
def test_a_repository_in_which_latest_moves_passes(props: dict[str, Any]) -> None:
    assert judge(POLICY, REPOSITORY, props) == GOOD


@pytest.mark.parametrize(
    ("props", "message"),
    [
        (
            repository("IMMUTABLE"),
            '"IMMUTABLE": no tag can move in it, and ADR040 needs one that does; write one of '
            + ", ".join(TAG_MUTABILITIES),
        ),
        (
            repository("IMMUTABLE_WITH_EXCLUSION", "stable"),
            "\"IMMUTABLE_WITH_EXCLUSION\": with the exclusion filters ['stable'], " + CANNOT_MOVE,
        ),
        (
            repository("MUTABLE_WITH_EXCLUSION", "l*"),
            "\"MUTABLE_WITH_EXCLUSION\": with the exclusion filters ['l*'], " + CANNOT_MOVE,
        ),
    ],
)
def test_a_repository_in_which_latest_cannot_move_fails(
    props: dict[str, Any], message: str
) -> None:
    told = f"Repository it imageTagMutability = {message}"
    assert judge(POLICY, REPOSITORY, props) == ([told], None)


@pytest.mark.parametrize(
    ("props", "where"),
    [
        (repository(UNKNOWN), "imageTagMutability"),
        (
            repository("MUTABLE_WITH_EXCLUSION", UNKNOWN),
            "imageTagMutabilityExclusionFilters.0.filter",
        ),
        (
            repository("MUTABLE_WITH_EXCLUSION") | {"imageTagMutabilityExclusionFilters": UNKNOWN},
            "imageTagMutabilityExclusionFilters",
        ),
    ],
)
def test_mutability_that_is_not_known_yet_is_judged_later(
    props: dict[str, Any], where: str
) -> None:
    assert judge(POLICY, REPOSITORY, props) == ([], later(where))


@pytest.mark.parametrize(
    ("props", "stays"),
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
def test_write_once_tags_stay_where_that_was_decided(props: dict[str, Any], *, stays: bool) -> None:
    violations, _ = judge(POLICY, REPOSITORY, props, config={"immutableTags": ["prod-*"]})
    assert (violations == []) == stays
    assert judge(POLICY, REPOSITORY, props) == GOOD


# --- The repository policy ------------------------------------------------------------------------


@pytest.fixture
def document(access: Access) -> dict[str, Any]:
    return repository_policy(access)


def guarded(document: Any) -> Verdict:
    props = {"repository": "forms", "policy": json.dumps(document)}
    return judge(POLICY, REPOSITORY_POLICY, props)


def test_the_policy_of_this_project_passes(document: dict[str, Any]) -> None:
    assert guarded(document) == GOOD


def test_a_policy_that_is_an_object_is_read_as_its_text_is(document: dict[str, Any]) -> None:
    props = {"repository": "forms", "policy": document}
    assert judge(POLICY, REPOSITORY_POLICY, props) == GOOD
    document["Statement"][0]["Condition"] = UNKNOWN
    where = "policy.Statement.0.Condition"
    assert judge(POLICY, REPOSITORY_POLICY, props) == ([], later(where))


def test_a_policy_said_otherwise_passes(document: dict[str, Any]) -> None:
    push, administer = document["Statement"][:2]
    [condition] = push["Condition"].values()
    said = push | {
        "Principal": {"AWS": ["*"]},
        "Action": ["ecr:putimage", "ECR:BatchImport*"],
        "Condition": {"StringNotEquals": {"AWS:principalARN": condition["aws:PrincipalArn"][0]}},
    }
    assert guarded({"Statement": [said, administer]}) == GOOD


def test_denies_that_overlap_exempt_those_whom_all_of_them_exempt(document: dict[str, Any]) -> None:
    push, administer = document["Statement"][:2]
    both = [it["Condition"]["ArnNotEquals"]["aws:PrincipalArn"][0] for it in (push, administer)]
    everything = push | {
        "Action": "ecr:*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": both}},
    }
    assert guarded({"Statement": [everything, push, administer]}) == GOOD
    [message], _ = guarded({"Statement": [everything]})
    assert "whoever may push and change the guard could move a tag" in message
    assert both[0] in message


def test_a_policy_without_one_of_the_denies_fails(document: dict[str, Any]) -> None:
    push, administer, *allows = document["Statement"]
    [message], _ = guarded({"Statement": [administer, *allows]})
    assert "no Deny stops everybody but the pipeline roles from ecr:BatchImport" in message
    [message], _ = guarded({"Statement": [push, *allows]})
    assert "no Deny stops everybody but the administrators from ecr:BatchDeleteImage" in message
    administer["Action"].remove("ecr:PutLifecyclePolicy")
    [message], _ = guarded(document)
    assert "everybody but the administrators from ecr:PutLifecyclePolicy; declare" in message


def unless(operator: str, *arns: str, key: str = "aws:PrincipalArn") -> dict[str, Any]:
    return {"Condition": {operator: {key: list(arns)}}}


PUSH = "arn:aws:iam::111122223333:role/pipeline/push"
WEAK: list[tuple[dict[str, Any], str]] = [
    ({"Effect": "Allow"}, "no Deny stops everybody but the pipeline roles"),
    ({"Principal": {"AWS": PUSH}}, "does not apply to everybody"),
    ({"Principal": {"AWS": "*", "Service": "lambda.amazonaws.com"}}, "does not apply to everybody"),
    ({"Resource": "arn:aws:ecr:eu-west-2:111122223333:repository/other"}, "names a Resource"),
    ({"Condition": None}, "exempts nobody"),
    (unless("ArnNotEquals"), "exempts an empty list"),
    (unless("ArnNotEquals", "arn:aws:iam::111122223333:role/*"), "role/*, which is not the exact"),
    (unless("StringNotEquals", f"{PUSH}${{aws:username}}"), "which is not the exact ARN of one"),
    (unless("ArnNotEquals", "arn:aws:iam::111122223333:root"), ":root, which is not the exact ARN"),
    (unless("StringNotEquals", "x", key="aws:PrincipalTag/team"), "aws:PrincipalTag/team instead"),
    (unless("ArnNotEqualsIfExists", PUSH), "depends on ArnNotEqualsIfExists aws:PrincipalArn"),
    (unless("ArnEquals", PUSH), "depends on ArnEquals aws:PrincipalArn"),
    (
        {
            "Condition": {
                "ArnNotEquals": {"aws:PrincipalArn": PUSH},
                "Bool": {"aws:SecureTransport": 0},
            }
        },
        "has more than one condition",
    ),
    (
        {
            "Condition": {
                "ArnNotEquals": {"aws:PrincipalArn": PUSH, "aws:SourceArn": "arn:aws:s3:::a"}
            }
        },
        "has more than one condition",
    ),
]


@pytest.mark.parametrize(("change", "says"), WEAK)
def test_a_deny_that_is_weakened_fails_and_says_how(
    document: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    document["Statement"][0] |= change
    [message], unknown = guarded(document)
    assert message.startswith("RepositoryPolicy it: no Deny stops everybody but the pipeline roles")
    assert says in message
    assert unknown is None


@pytest.mark.parametrize("nothing", [{}, [], "Deny", None, {"Statement": ["Deny"]}])
def test_what_is_no_policy_denies_nothing(nothing: Any) -> None:
    violations, _ = guarded(nothing)
    assert len(violations) == 2


def test_a_policy_that_is_no_json_fails() -> None:
    [message], _ = judge(POLICY, REPOSITORY_POLICY, {"repository": "forms", "policy": "{"})
    assert message.startswith('RepositoryPolicy it policy = "{": the policy is not JSON')


def test_a_policy_that_is_not_known_yet_is_judged_later() -> None:
    for type_ in (REPOSITORY_POLICY, LIFECYCLE_POLICY):
        props = {"repository": "forms", "policy": UNKNOWN}
        assert judge(POLICY, type_, props) == ([], later("policy"))


# --- The lifecycle policy -------------------------------------------------------------------------


def kept(document: Any, **config: Any) -> Verdict:
    props = {"repository": "forms", "policy": json.dumps(document)}
    return judge(POLICY, LIFECYCLE_POLICY, props, config=config)


def test_a_lifecycle_policy_that_shields_the_movable_tags_passes() -> None:
    rules = lifecycle_policy(["latest", "stable"], [{"any": True, "keep_newest": 5}])
    assert kept(rules, movableTags=["latest", "stable"]) == GOOD


def test_one_that_may_expire_a_movable_tag_fails() -> None:
    rules = lifecycle_policy(["latest"], [{"any": True, "keep_newest": 5}])
    [message], _ = kept(rules, movableTags=["latest", "stable"])
    assert message == (
        "LifecyclePolicy it: rule 2 may expire the image that stable names; before it, "
        'write a rule with "tagPatternList": ["stable"] and "imageCountMoreThan" 1'
    )


def test_one_that_cannot_be_read_fails() -> None:
    [message], _ = kept({"rules": []})
    assert message.startswith('LifecyclePolicy it policy = {"rules": []}: ')


# --- Exempt repositories --------------------------------------------------------------------------


def test_an_exempt_repository_is_not_judged() -> None:
    config = {"exempt": ["forms"]}
    assert judge(POLICY, REPOSITORY, repository("IMMUTABLE"), config=config) == GOOD
    props = {"repository": "forms", "policy": "{}"}
    assert judge(POLICY, REPOSITORY_POLICY, props, config=config) == GOOD
    violations, _ = judge(POLICY, REPOSITORY_POLICY, props, config={"exempt": ["other"]})
    assert violations


def test_whose_policy_it_is_decides_where_some_are_exempt() -> None:
    props = {"repository": UNKNOWN, "policy": "{}"}
    exempt = judge(POLICY, REPOSITORY_POLICY, props, config={"exempt": ["forms"]})
    assert exempt == ([], later("repository"))
    violations, unknown = judge(POLICY, REPOSITORY_POLICY, props)
    assert violations
    assert unknown is None


# --- Complete repositories ------------------------------------------------------------------------


def test_a_repository_with_both_policies_is_complete() -> None:
    forms = resource(REPOSITORY, "forms", {"name": "forms", "region": "eu-west-2"})
    policy = resource(REPOSITORY_POLICY, "p", {"repository": "forms"})
    for region in (None, "eu-west-2"):
        lifecycle = resource(LIFECYCLE_POLICY, "l", {"repository": "forms", "region": region})
        assert judge_stack("complete-repository", [forms, policy, lifecycle]) == ([], None)


def test_a_repository_without_its_policies_is_not() -> None:
    forms = resource(REPOSITORY, "forms", {"name": "forms", "region": "eu-west-2"})
    other = [
        resource(REPOSITORY_POLICY, "p", {"repository": "other"}),
        resource(LIFECYCLE_POLICY, "l", {"repository": "forms", "region": "us-east-1"}),
        resource(LIFECYCLE_POLICY, "m", {"repository": "forms"}, provider="another-account"),
    ]
    violations, unknown = judge_stack("complete-repository", [forms, *other])
    lacks = "Repository forms: this stack has no"
    open_to_all = "every principal with ECR permissions in the account may move its tags"
    unkept = "nothing keeps movable tags, and nothing expires old images"
    fix = "declare the repository with ImageRepository, which writes it"
    assert [message for message, _ in violations] == [
        f"{lacks} RepositoryPolicy for it: {open_to_all}; {fix}",
        f"{lacks} LifecyclePolicy for it: {unkept}; {fix}",
    ]
    assert {of for _, of in violations} == {urn(REPOSITORY, "forms")}
    assert unknown is None
    exempt = judge_stack("complete-repository", [forms, *other], {"exempt": ["forms"]})
    assert exempt == ([], None)


def test_a_policy_belongs_to_the_repository_that_its_name_comes_from() -> None:
    forms = resource(REPOSITORY, "forms", {"name": UNKNOWN})
    other = resource(REPOSITORY, "other", {"name": UNKNOWN})
    policies = [
        resource(REPOSITORY_POLICY, "p", {"repository": UNKNOWN}, forms),
        resource(LIFECYCLE_POLICY, "l", {"repository": UNKNOWN}, forms),
    ]
    assert judge_stack("complete-repository", [forms, *policies]) == ([], None)
    violations, _ = judge_stack("complete-repository", [forms, other, *policies])
    assert {of for _, of in violations} == {urn(REPOSITORY, "other")}


def test_a_policy_of_an_unknown_repository_leaves_it_open_and_the_others_are_judged() -> None:
    forms = resource(REPOSITORY, "forms", {"name": "forms"})
    policy = resource(REPOSITORY_POLICY, "p", {"repository": UNKNOWN})
    violations, unknown = judge_stack("complete-repository", [forms, policy])
    assert len(violations) == 1
    assert "no LifecyclePolicy" in violations[0][0]
    assert unknown == later("repository")


def test_a_repository_of_unknown_name_may_be_exempt() -> None:
    forms = resource(REPOSITORY, "forms", {"name": UNKNOWN})
    violations, unknown = judge_stack("complete-repository", [forms], {"exempt": ["forms"]})
    assert violations == []
    assert unknown == later("name")
