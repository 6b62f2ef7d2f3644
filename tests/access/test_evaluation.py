"""Whether a call is allowed, where test_finite.py, which has an oracle for it, does not go."""

from dataclasses import replace
from typing import Any

import pytest

from container_images.access.evaluation import Principal, Request, decide
from container_images.access.policy import NO_POLICY, covers, parse
from container_images.access.who_can import attempt
from tests.access.accounts import (
    ACCOUNT,
    IAM,
    OTHER,
    REPOSITORY,
    Document,
    allow,
    deny,
    is_allowed,
    policy,
    where,
)

ROLE = f"{IAM}role/team/amy"
USER = f"{IAM}user/amy"
ROOT = {"AWS": f"{IAM}root"}
SESSION = {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/amy/laptop"}
PUSH = "ecr:PutImage"
ALL = allow("*")


def principal(*statements: Document, arn: str = ROLE, **more: Any) -> Principal:
    policies, account = (parse(policy(*statements)),), arn.split(":")[4]
    return replace(Principal(arn=arn, account=account, named=arn, policies=policies), **more)


def request(
    *statements: Document, action: str = PUSH, on: str = REPOSITORY, **more: Any
) -> Request:
    """A call, with the policy of its resource."""
    resource_policy = parse(policy(*statements)) if statements else NO_POLICY
    call = Request(action=action, resource=on, account=ACCOUNT, policy=resource_policy)
    return call._replace(**more)


def granting(effect: str, name: Any, **more: Any) -> Document:
    """A statement of a repository's policy."""
    return {"Effect": effect, "Principal": name, "Action": PUSH, **more}


def guard(*exempt: str) -> Document:
    return granting("Deny", "*", **where("ArnNotLike", "aws:PrincipalArn", *exempt))


def test_a_grant_to_a_roles_arn_stays_within_its_boundary() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html"""
    narrow, denying = parse(policy(allow("s3:*"))), parse(policy(ALL, deny("ecr:*")))
    for name, arn, allowed in (
        ({"AWS": ROLE}, ROLE, False),
        (SESSION, ROLE, True),
        ({"AWS": [ROLE, SESSION["AWS"]]}, ROLE, True),
        ({"AWS": USER}, USER, True),
        ("*", ROLE, True),
    ):
        call = request(granting("Allow", name))
        assert is_allowed(principal(arn=arn, boundary=narrow), call) is allowed
        assert not is_allowed(principal(arn=arn, boundary=denying), call)


def test_a_trust_policy_has_to_allow_it_in_any_case() -> None:
    for statements, trusted, allowed in (
        ([ALL], {"AWS": USER}, False),
        ([ALL], {"AWS": f"{IAM}root"}, True),
        ([], {"AWS": f"{IAM}root"}, False),
        ([], {"AWS": ROLE}, True),
    ):
        assuming = request(granting("Allow", trusted), on=f"{IAM}role/push", is_trust=True)
        assert is_allowed(principal(*statements), assuming) is allowed


CI, PROD = f"{IAM}role/ci-*", f"{IAM}role/*-prod"


@pytest.mark.parametrize(
    ("arn", "exempt", "answer"),
    [
        (ROLE, [f"{IAM}role/push"], None),
        (f"{IAM}role/push", [f"{IAM}role/push"], ()),
        (f"{IAM}role/other/push", [f"{IAM}role/push"], None),
        # Whoever fits a pattern, and no narrower one.
        (f"{IAM}role/*", [f"{IAM}role/push"], None),
        (f"{IAM}role/*", [CI, PROD], None),
        (f"{IAM}user/*", [CI, PROD], None),
        (CI, [CI, PROD], ()),
        (f"{IAM}role/ci-1*", [CI, PROD], ()),
        # Two that overlap: it is not decided.
        (CI, [PROD], (f"not (aws:principalarn ArnNotLike {PROD})",)),
    ],
)
def test_the_principals_arn_has_its_path(arn: str, exempt: list[str], answer: Any) -> None:
    assert decide(principal(ALL, arn=arn, named=""), request(guard(*exempt))) == answer


def test_an_absent_arn_is_denied() -> None:
    caller = Principal(arn="", account="", named="service:codebuild.amazonaws.com")
    by_service = granting("Allow", {"Service": "codebuild.amazonaws.com"})
    assert is_allowed(caller, request(by_service))
    assert not is_allowed(caller, request(by_service, guard(ROLE)))


OFFICE = where("StringEquals", "aws:SourceVpc", "vpc-a")
ELSEWHERE = where("StringNotEquals", "aws:SourceVpc", "vpc-b")


@pytest.mark.parametrize(
    "condition",
    [
        where("StringNotLike", "aws:PrincipalTag/team", "*"),  # met where the key is absent
        where("Null", "aws:PrincipalTag/team", "true"),
        where("Bool", "aws:MultiFactorAuthPresent", "true"),
        where("IpAddress", "aws:SourceIp", "10.0.0.0/8"),
        where("NumericLessThan", "aws:EpochTime", 7),
        where("ForAllValues:StringEquals", "aws:TagKeys", "a"),
        where("StringEquals", "aws:PrincipalTag/team", "${aws:PrincipalTag/other}"),
    ],
)
def test_an_unknown_key_hides_nothing(condition: Document) -> None:
    """Of an Allow or of a Deny; that both cannot be so at once is not seen: a false alarm."""
    assert is_allowed(principal(allow(PUSH, **condition)), request())
    assert is_allowed(principal(allow(PUSH), deny(PUSH, **condition)), request())
    assert is_allowed(principal(allow(PUSH, **condition), deny(PUSH, **condition)), request())


def test_what_would_have_to_be_so_is_named() -> None:
    answer = decide(principal(allow(PUSH, **OFFICE), deny(PUSH, **ELSEWHERE)), request())
    assert [*(answer or ())] == [
        "aws:sourcevpc StringEquals vpc-a",
        "not (aws:sourcevpc StringNotEquals vpc-b)",
    ]
    assert decide(principal(allow(PUSH, **OFFICE), allow("ecr:*")), request()) == ()


def test_what_a_principal_element_says_that_no_case_decides_is_assumed() -> None:
    for element, assumed in (
        ({"NotPrincipal": {"AWS": USER}}, f"the principal is none of {USER}"),
        ({"Principal": SESSION}, f"the principal is {SESSION['AWS']}"),
    ):
        allows, denies = (
            {"Effect": effect, "Action": PUSH, **element} for effect in ("Allow", "Deny")
        )
        assert decide(principal(), request(allows)) == (assumed,)
        assert decide(principal(ALL), request(denies)) == (f"not ({assumed})",)
    bob = principal(arn=f"{IAM}role/bob")
    assert decide(bob, request(granting("Allow", SESSION))) is None


def test_a_known_key_is_not_free() -> None:
    own = where("StringEquals", "aws:PrincipalAccount", OTHER)
    assert not is_allowed(principal(allow(PUSH, **own)), request())


TAGGED = f"{IAM}user/${{aws:PrincipalTag/name}}"
BUT_TAGGED = {"Effect": "Allow", "Action": "iam:*", "NotResource": TAGGED}


def test_unknown_variables_widen_an_allow_and_narrow_a_deny() -> None:
    call = request(action="iam:CreateAccessKey", on=USER)
    assert is_allowed(principal(allow("iam:*", on=TAGGED)), call)
    assert is_allowed(principal(allow("iam:*"), deny("iam:*", on=TAGGED)), call)
    assert is_allowed(principal(BUT_TAGGED), call)
    assert is_allowed(principal(ALL, BUT_TAGGED | {"Effect": "Deny"}), call)
    without_a_value = allow("iam:*", on=f"{IAM}user/${{aws:username}}")
    assert not is_allowed(principal(without_a_value), call)


@pytest.mark.parametrize(
    ("pattern", "subject", "covered"),
    [
        ("role/*", "role/a", True),
        ("role/*", "role/app-*", True),
        ("role/app-*", "role/*", False),  # the narrower one is asked about by itself
        ("role/app-*", "role/ci-*", False),
        ("role/app-*", "role/*-prod", None),
        ("role/?", "role/*", False),
        ("role/??", "role/a?", True),
        ("role/?", "role/ab", False),
        ("role/a?*", "role/ab*", True),
        ("*", "**", True),
        ("a*c", "*b*", None),
        ("a*c", "b*", False),
        ("a", "b?", False),
    ],
)
def test_patterns_cover_or_overlap(pattern: str, subject: str, *, covered: bool | None) -> None:
    assert covers(pattern, subject) is covered


def test_any_call_that_fits_is_looked_for_in_all_policies() -> None:
    function, reading = "arn:aws:lambda:*:*:function:a", parse(policy(allow("lambda:Get*")))
    but_code = {"Effect": "Deny", "NotAction": "lambda:UpdateCode", "Resource": "*"}
    powers = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}
    for caller, call in (
        (principal(allow("lambda:UpdateCode", on=function)), ("lambda:UpdateCode", function)),
        (principal(allow("lambda:Get*", "lambda:InvokeFunction")), None),
        (principal(ALL, boundary=reading), None),
        (principal(ALL, deny("lambda:*")), None),
        (principal(ALL, deny("lambda:Update*")), ("lambda:*", "*")),
        (principal(ALL, but_code), ("lambda:UpdateCode", "*")),
        (principal(powers), ("lambda:*", "*")),
        (principal(allow("lambda:*", on="arn:aws:s3:::bucket")), None),
    ):
        path = attempt(caller, request(action="lambda:*", on="*", is_any=True))
        assert (path and path.calls[0][1:]) == call
