"""Whether a call is allowed, where test_finite.py, which has an oracle for it, does not go."""

from dataclasses import replace
from typing import Any

import pytest

from container_images.access.evaluation import Principal, Request, decide
from container_images.access.paths import attempt
from container_images.access.policy import NO_POLICY, covers, parse
from tests.access.accounts import (
    ACCOUNT,
    IAM,
    OTHER,
    REPOSITORY,
    allow,
    deny,
    is_allowed,
    policy,
)

ROLE = f"{IAM}role/team/amy"
USER = f"{IAM}user/amy"
PUSH = "ecr:PutImage"


def principal(*statements: Any, arn: str = ROLE, **more: Any) -> Principal:
    policies = (parse(policy(*statements)),)
    account = arn.split(":")[4]
    return replace(Principal(arn=arn, account=account, named=arn, policies=policies), **more)


def request(*statements: Any, action: str = PUSH, on: str = REPOSITORY, **more: Any) -> Request:
    resource_policy = parse(policy(*statements)) if statements else NO_POLICY
    call = Request(action=action, resource=on, account=ACCOUNT, policy=resource_policy)
    return replace(call, **more)


def granting(effect: str, name: Any, **more: Any) -> dict[str, Any]:
    """A statement of a repository's policy."""
    return {"Effect": effect, "Principal": name, "Action": PUSH, **more}


def where(operator: str, key: str, *values: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: list(values)}}}


GUARDED = granting("Deny", "*", **where("ArnNotEquals", "aws:PrincipalArn", f"{IAM}role/push"))


class TestEvaluation:
    def test_a_grant_to_a_roles_arn_stays_within_its_boundary(self) -> None:
        """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html"""
        narrow = parse(policy(allow("s3:*")))
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/amy/laptop"
        for name, arn, allowed in (
            ({"AWS": ROLE}, ROLE, False),
            ({"AWS": session}, ROLE, True),
            ({"AWS": [ROLE, session]}, ROLE, True),
            ({"AWS": USER}, USER, True),
            ("*", ROLE, True),
        ):
            caller = principal(arn=arn, boundary=narrow)
            assert is_allowed(caller, request(granting("Allow", name))) is allowed
        denying = parse(policy(allow("*"), deny("ecr:*")))
        assert not is_allowed(principal(boundary=denying), request(granting("Allow", "*")))

    def test_a_trust_policy_has_to_allow_it_in_any_case(self) -> None:
        def assume(name: Any) -> Request:
            statement = {"Effect": "Allow", "Principal": name, "Action": "sts:AssumeRole"}
            return request(statement, action="sts:AssumeRole", on=f"{IAM}role/push", is_trust=True)

        root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        assert not is_allowed(principal(allow("*")), assume({"AWS": USER}))
        assert is_allowed(principal(allow("*")), assume(root))
        assert not is_allowed(principal(), assume(root))
        assert is_allowed(principal(), assume({"AWS": ROLE}))


class TestThePrincipalsArn:
    def test_is_the_roles_with_its_path(self) -> None:
        assert not is_allowed(principal(allow("*")), request(GUARDED))
        assert is_allowed(principal(allow("*"), arn=f"{IAM}role/push"), request(GUARDED))
        assert not is_allowed(principal(allow("*"), arn=f"{IAM}role/other/push"), request(GUARDED))

    def test_that_is_absent_is_denied(self) -> None:
        service = Principal(arn="", account="", named="service:codebuild.amazonaws.com")
        by_service = granting("Allow", {"Service": "codebuild.amazonaws.com"})
        assert is_allowed(service, request(by_service))
        assert not is_allowed(service, request(by_service, GUARDED))

    def test_that_is_a_pattern_is_whoever_no_narrower_pattern_fits(self) -> None:
        new = principal(allow("*"), arn=f"{IAM}role/*", named="")
        assert decide(new, request(GUARDED)) is None
        exempting = {"ArnNotLike": {"aws:PrincipalArn": [f"{IAM}role/ci-*", f"{IAM}role/*-prod"]}}
        guarded = request(granting("Deny", "*", Condition=exempting))
        assert decide(new, guarded) is None
        assert decide(replace(new, arn=f"{IAM}role/ci-*"), guarded) == ()
        assert decide(replace(new, arn=f"{IAM}role/ci-1*"), guarded) == ()
        users = replace(new, arn=f"{IAM}user/*")
        assert decide(users, guarded) is None

    def test_two_patterns_that_overlap_are_not_decided(self) -> None:
        exempting = {"ArnNotLike": {"aws:PrincipalArn": f"{IAM}role/*-prod"}}
        guarded = request(granting("Deny", "*", Sid="Guard", Condition=exempting))
        answer = decide(principal(allow("*"), arn=f"{IAM}role/ci-*", named=""), guarded)
        assert answer == (f"not (aws:principalarn ArnNotLike {IAM}role/*-prod)",)


UNKNOWN = "aws:PrincipalTag/team"
YES, NO = True, False


class TestUnknownKeysHideNothing:
    """A condition on a key that is not known never hides an ability."""

    @pytest.mark.parametrize(
        "condition",
        [
            where("StringEquals", UNKNOWN, "a"),
            where("StringLike", UNKNOWN, "*"),
            where("StringNotLike", UNKNOWN, "*"),  # met where the key is absent
            where("Null", UNKNOWN, YES),
            where("Null", UNKNOWN, NO),
            where("Bool", "aws:MultiFactorAuthPresent", YES),
            where("IpAddress", "aws:SourceIp", "10.0.0.0/8"),
            where("NumericLessThan", "aws:EpochTime", 7),
            where("ForAllValues:StringEquals", "aws:TagKeys", "a"),
            where("StringEquals", UNKNOWN, "${aws:PrincipalTag/other}"),
        ],
    )
    def test_of_an_allow(self, condition: Any) -> None:
        assert is_allowed(principal(allow(PUSH, **condition)), request())
        # Nor does the same condition on a Deny; whoever meets the one may not meet the other.
        assert is_allowed(principal(allow(PUSH), deny(PUSH, **condition)), request())

    def test_what_would_have_to_be_so_is_named(self) -> None:
        office = where("StringEquals", "aws:SourceVpc", "vpc-a")
        elsewhere = where("StringNotEquals", "aws:SourceVpc", "vpc-b")
        answer = decide(principal(allow(PUSH, **office), deny(PUSH, **elsewhere)), request())
        assert [*(answer or ())] == [
            "aws:sourcevpc StringEquals vpc-a",
            "not (aws:sourcevpc StringNotEquals vpc-b)",
        ]
        certain = decide(principal(allow(PUSH, **office), allow("ecr:*")), request())
        assert certain == ()

    def test_conditions_are_not_held_against_each_other(self) -> None:
        """So this may be a false alarm."""
        office = where("StringEquals", "aws:SourceVpc", "vpc-a")
        assert decide(principal(allow(PUSH, **office), deny(PUSH, **office)), request())

    def test_a_known_key_is_not_free(self) -> None:
        own = where("StringEquals", "aws:PrincipalAccount", OTHER)
        assert not is_allowed(principal(allow(PUSH, **own)), request())
        passed = where("StringEquals", "iam:PassedToService", "ec2.amazonaws.com")
        for service, allowed in (("ec2.amazonaws.com", True), ("lambda.amazonaws.com", False)):
            call = request(action="iam:PassRole", context=(("iam:passedtoservice", service),))
            assert is_allowed(principal(allow("iam:*", **passed)), call) is allowed


class TestVariables:
    OWN = f"{IAM}user/${{aws:username}}"

    def calls(self, caller: Principal, on: str) -> bool:
        return is_allowed(caller, request(action="iam:CreateAccessKey", on=on))

    def test_without_a_value_fit_nothing(self) -> None:
        assert not self.calls(principal(allow("iam:*", on=self.OWN)), f"{IAM}user/amy")

    def test_that_are_not_known_widen_an_allow_and_narrow_a_deny(self) -> None:
        """The evaluator widens both, which would take a Deny for larger than it is."""
        tagged = f"{IAM}user/${{aws:PrincipalTag/name}}"
        assert self.calls(principal(allow("iam:*", on=tagged)), USER)
        assert self.calls(principal(allow("iam:*"), deny("iam:*", on=tagged)), USER)
        but_tagged = {"Effect": "Allow", "Action": "iam:*", "NotResource": tagged}
        assert self.calls(principal(but_tagged), USER)
        assert self.calls(principal(allow("*"), but_tagged | {"Effect": "Deny"}), USER)


class TestPatterns:
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
    def test_cover_or_overlap(self, pattern: str, subject: str, *, covered: bool | None) -> None:
        assert covers(pattern, subject) is covered

    def test_any_call_that_fits_is_looked_for_in_all_policies(self) -> None:
        def tried(*statements: Any, **more: Any) -> tuple[str, str] | None:
            call = request(action="lambda:*", on="*", is_any=True)
            path = attempt(principal(*statements, **more), call)
            return (path.calls[0].action, path.calls[0].resource) if path else None

        function = "arn:aws:lambda:*:*:function:a"
        assert tried(allow("lambda:UpdateCode", on=function)) == ("lambda:UpdateCode", function)
        assert tried(allow("lambda:Get*", "lambda:InvokeFunction")) is None
        reading = parse(policy(allow("lambda:Get*", "s3:*")))
        assert tried(allow("*"), boundary=reading) is None
        assert tried(allow("*"), deny("lambda:*")) is None
        assert tried(allow("*"), deny("lambda:Update*")) == ("lambda:*", "*")
        but_code = {"Effect": "Deny", "NotAction": "lambda:UpdateCode", "Resource": "*"}
        assert tried(allow("*"), but_code) == ("lambda:UpdateCode", "*")
        powers = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}
        assert tried(powers) == ("lambda:*", "*")
        assert tried(allow("lambda:*", on="arn:aws:s3:::bucket")) is None


def test_what_a_principal_element_says_that_no_case_decides_is_assumed() -> None:
    but_user = {"NotPrincipal": {"AWS": USER}, "Action": PUSH}
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/amy/laptop"
    everything, nothing = principal(allow("*")), principal()
    named = f"the principal is none of {USER}"
    assert decide(nothing, request({"Effect": "Allow", **but_user})) == (named,)
    assert decide(everything, request({"Effect": "Deny", **but_user})) == (f"not ({named})",)
    named = f"the principal is {session}"
    assert decide(nothing, request(granting("Allow", {"AWS": session}))) == (named,)
    assert decide(everything, request(granting("Deny", {"AWS": session}))) == (f"not ({named})",)
    bob = principal(arn=f"{IAM}role/bob")
    assert decide(bob, request(granting("Allow", {"AWS": session}))) is None
