"""The oracle says what AWS's own examples say, and refuses what AWS leaves open.

The pages are files of https://docs.aws.amazon.com/IAM/latest/UserGuide/
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.access import iam_strategies as arbitrary
from tests.access.finite_iam import (
    EVERYTHING,
    Caller,
    Document,
    allowed,
    anybody,
    possible,
)
from tests.access.iam_strategies import ACTIONS, WORLD

ACCOUNT = "111122223333"
OTHER = "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/examplerole"
USER = f"arn:aws:iam::{ACCOUNT}:user/path/exampleuser"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
FOREIGN = f"arn:aws:iam::{OTHER}:role/examplerole"
FOREIGN_ROOT = f"arn:aws:iam::{OTHER}:root"
FRESH_ROLE = f"arn:aws:iam::{ACCOUNT}:role/whom-no-policy-names"
FRESH_USER = f"arn:aws:iam::{ACCOUNT}:user/whom-no-policy-names"
BUCKET = "arn:aws:s3:::amzn-s3-demo-bucket"


def document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: str | list[str] = "*", **elements: Any) -> Document:
    return {"Effect": "Allow", "Action": action, "Resource": "*"} | elements


def deny(action: str | list[str] = "*", **elements: Any) -> Document:
    return {"Effect": "Deny", "Action": action, "Resource": "*"} | elements


def caller(arn: str, *policies: Document, **more: Any) -> Caller:
    return Caller(arn=arn, account=arn.split(":")[4], policies=policies, **more)


def asked(
    who: Caller,
    policy: Document | None = None,
    action: str = "s3:GetObject",
    resource: str = f"{BUCKET}/key",
    context: Mapping[str, str] | None = None,
) -> bool:
    return allowed(who, action, resource, account=ACCOUNT, policy=policy, context=context or {})


TAG = "aws:PrincipalTag/job-category"
ADMIN = {"StringEquals": {TAG: "iamuser-admin"}}
OVER_HTTP = {"Bool": {"aws:SecureTransport": "false"}}
NETWORK = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
NETWORKS = {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:DB8:1234:5678::/64"]}}
TOPIC_ARN = "arn:aws:sns:us-west-2:123456789012:TOPIC-ID"
TOPIC = {"ArnEquals": {"aws:SourceArn": TOPIC_ARN}}
ELSEWHERE = "arn:aws:sns:us-west-2:777788889999:TOPIC-ID"
TYPES = {"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*", "m3.*"]}}
TEMPORARY = {"Null": {"aws:TokenIssueTime": "false"}}
RECENT = {"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:01Z"}}
LATER = {"aws:TokenIssueTime": "2026-01-01T00:00:00Z"}
PAGE = {"NumericLessThanEquals": {"s3:max-keys": "10"}}
PREFIX = {"StringLike": {"s3:prefix": "home/${aws:username}/"}}
FINANCE = "arn:aws:someservice:*:111122223333:finance/*"
STORED = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"
TAG_KEY = {"ForAnyValue:StringEquals": {"aws:TagKeys": "environment"}}
DISTRIBUTION = "arn:aws:cloudfront::123456789012:distribution"
LOGS = {"ForAllValues:ArnLike": {"logs:LogGeneratingResourceArns": f"{DISTRIBUTION}/*"}}
TEAM = {"s3:ExistingObjectTag/Team": "${aws:PrincipalTag/Team}"}
OF_X = {"s3:ExistingObjectTag/Team": "x"}


@pytest.mark.parametrize(
    ("condition", "context", "met"),
    [
        # The tables of reference_policies_elements_condition_operators.html.
        (ADMIN, {TAG: "iamuser-admin"}, True),
        (ADMIN, {TAG: "dev-ops"}, False),
        (ADMIN, {}, False),
        (OVER_HTTP, {"aws:SecureTransport": "false"}, True),
        (OVER_HTTP, {"aws:SecureTransport": "true"}, False),
        (OVER_HTTP, {}, False),
        (NETWORK, {"aws:SourceIp": "203.0.113.1"}, True),
        (NETWORK, {"aws:SourceIp": "198.51.100.1"}, False),
        (NETWORKS, {"aws:SourceIp": "2001:db8:1234:5678::1"}, True),
        (TOPIC, {"aws:SourceArn": TOPIC_ARN}, True),
        (TOPIC, {"aws:SourceArn": ELSEWHERE}, False),
        (TOPIC, {}, False),
        (TYPES, {"ec2:InstanceType": "t1.micro"}, True),
        (TYPES, {"ec2:InstanceType": "m2.micro"}, False),
        (TYPES, {}, True),
        (TEMPORARY, LATER, True),
        (TEMPORARY, {}, False),
        (RECENT, LATER, True),
        (RECENT, {}, False),
        (PAGE, {"s3:max-keys": "10"}, True),
        (PAGE, {"s3:max-keys": "11"}, False),
        (TAG_KEY, {"aws:TagKeys": "environment"}, True),
        (TAG_KEY, {"aws:TagKeys": "Environment"}, False),
        (TAG_KEY, {}, False),
        (LOGS, {"logs:LogGeneratingResourceArns": f"{DISTRIBUTION}/costcenter"}, True),
        (LOGS, {"logs:LogGeneratingResourceArns": ELSEWHERE}, False),
        (LOGS, {}, True),
        # Its examples of a string operator that matches and an ARN operator that does not.
        ({"StringLike": {"aws:SourceArn": FINANCE}}, {"aws:SourceArn": STORED}, True),
        ({"ArnLike": {"aws:SourceArn": FINANCE}}, {"aws:SourceArn": STORED}, False),
        ({"ArnNotLike": {"aws:SourceArn": FINANCE}}, {"aws:SourceArn": STORED}, True),
        # Its rule for a key that is absent, and negated operators, with IfExists or without.
        ({"StringNotEquals": ADMIN["StringEquals"]}, {}, True),
        ({"StringNotLikeIfExists": ADMIN["StringEquals"]}, {}, True),
        ({"ArnNotEquals": TOPIC["ArnEquals"]}, {}, True),
        ({"NotIpAddress": NETWORK["IpAddress"]}, {}, True),
        ({"Null": {TAG: "true"}}, {}, True),
        # Its table of string operators: case counts or not.
        ({"StringEquals": {TAG: "Preprod"}}, {TAG: "preprod"}, False),
        ({"StringEqualsIgnoreCase": {TAG: "Preprod"}}, {TAG: "pREPROD"}, True),
        ({"StringNotEqualsIgnoreCase": {TAG: "Preprod"}}, {TAG: "pREPROD"}, False),
        # By reference_policies_variables.html: names of keys, values, none, and a default.
        (ADMIN, {TAG.upper(): "iamuser-admin"}, True),
        ({"StringEquals": TEAM}, OF_X | {"aws:PrincipalTag/Team": "x"}, True),
        ({"StringEquals": TEAM}, OF_X, False),
        ({"StringNotEquals": TEAM}, OF_X, True),
        ({"StringEquals": {TAG: "${aws:PrincipalTag/team, 'all'}"}}, {TAG: "all"}, True),
        ({"StringLike": {TAG: "a${*}"}}, {TAG: "a*"}, True),
        ({"StringLike": {TAG: "a${*}"}}, {TAG: "ab"}, False),
        # By reference_policies_condition-logic-multiple-context-keys-or-values.html
        ({"StringEquals": {TAG: ["a", "b"]}}, {TAG: "b"}, True),
        ({"StringNotEquals": {TAG: ["a", "b"]}}, {TAG: "b"}, False),
        (ADMIN | OVER_HTTP, {TAG: "iamuser-admin", "aws:SecureTransport": "true"}, False),
    ],
)
def test_a_condition(condition: Document, context: Mapping[str, str], *, met: bool) -> None:
    who = caller(ROLE, document(allow(Condition=condition)))
    assert asked(who, context=context) == met


@pytest.mark.parametrize(
    ("arn", "prefix", "met"),
    [
        # By reference_policies_variables.html#principaltable: users only have a name.
        (USER, "home/exampleuser/", True),
        (USER, "home/somebody/", False),
        (ROLE, "home/examplerole/", False),
    ],
)
def test_a_variable_is_filled_with_what_the_caller_says(
    arn: str, prefix: str, *, met: bool
) -> None:
    who = caller(arn, document(allow(Condition=PREFIX)))
    assert asked(who, context={"s3:prefix": prefix}) == met


def test_an_older_policy_has_no_variables() -> None:
    # By reference_policies_variables.html: "treated as literal strings"
    statement = allow(Resource=f"{BUCKET}/${{aws:username}}")
    assert asked(caller(USER, document(statement)), resource=f"{BUCKET}/exampleuser")
    old = {"Version": "2008-10-17", "Statement": statement}
    assert not asked(caller(USER, old), resource=f"{BUCKET}/exampleuser")


@pytest.mark.parametrize(
    ("elements", "covered"),
    [
        # By reference_policies_elements_resource.html
        ({"Resource": f"{BUCKET}/*/test/*"}, {"1/test/o.jpg", "1/2/test/3/o.jpg", "/test/o.jpg"}),
        ({"Resource": f"{BUCKET}/?/test/?*"}, {"1/test/o.jpg"}),
        ({"Resource": f"{BUCKET}/TEST/o.jpg"}, set()),
        ({"Resource": "arn:aws:s3:*"}, {"1/test/o.jpg", "1/2/test/3/o.jpg", "/test/o.jpg", "test"}),
        ({"NotResource": [f"{BUCKET}/*/*", "arn:aws:sqs:*"]}, {"test"}),
        # By reference_policies_variables.html: "will not match any resource"
        ({"Resource": f"{BUCKET}/${{aws:username}}*"}, set()),
        ({"NotResource": [f"{BUCKET}/${{aws:username}}*", f"{BUCKET}/*/*"]}, {"test"}),
    ],
)
def test_a_resource(elements: Document, covered: set[str]) -> None:
    statement = {"Effect": "Allow", "Action": "*", **elements}
    keys = ("1/test/o.jpg", "1/2/test/3/o.jpg", "/test/o.jpg", "test")
    who = caller(ROLE, document(statement))
    assert {key for key in keys if asked(who, resource=f"{BUCKET}/{key}")} == covered


@pytest.mark.parametrize(
    ("elements", "covered"),
    [
        # By reference_policies_elements_action.html, reference_policies_elements_notaction.html
        ({"Action": "IAM:listaccesskeys"}, {"iam:ListAccessKeys"}),
        ({"Action": ["iam:*AccessKey*", "s3:*"]}, {"iam:ListAccessKeys", "s3:GetObject"}),
        ({"NotAction": "iam:*"}, {"s3:GetObject"}),
    ],
)
def test_an_action(elements: Document, covered: set[str]) -> None:
    who = caller(ROLE, document({"Effect": "Allow", "Resource": "*", **elements}))
    actions = ("iam:ListAccessKeys", "iam:GetUser", "s3:GetObject")
    assert {action for action in actions if asked(who, action=action)} == covered


NOBODY = document()
ALL = EVERYTHING
NO_LOGS = document(allow(), deny(Resource="arn:aws:s3:::*demo*"))


def to(principal: Any, **elements: Any) -> Document:
    return document(allow(Principal=principal, **elements))


def but(*arns: str) -> Document:
    return document(allow(Principal="*"), deny("s3:GetObject", NotPrincipal={"AWS": list(arns)}))


@pytest.mark.parametrize(
    ("who", "policy", "expected"),
    [
        # By reference_policies_evaluation-logic_policy-eval-basics.html: "If either the
        # identity-based policy or the resource-based policy within the same account allows"
        (caller(ROLE), None, False),
        (caller(ROLE, ALL), None, True),
        (caller(USER), to({"AWS": USER}), True),
        (caller(USER), to({"AWS": ROLE}), False),
        # Its example: a Deny in the user's own policy, and an Allow in the bucket's
        (caller(USER, NO_LOGS), to({"AWS": USER}), False),
        (caller(USER, ALL), document(deny(Principal="*")), False),
        # By reference_policies_evaluation-logic-cross-account.html: both
        (caller(FOREIGN, ALL), None, False),
        (caller(FOREIGN), to({"AWS": FOREIGN}), False),
        (caller(FOREIGN, ALL), to({"AWS": FOREIGN}), True),
        (caller(FOREIGN, NO_LOGS), to({"AWS": FOREIGN}), False),
        # By reference_policies_elements_principal.html#principal-accounts: the ARN of an account's
        # root and its bare id name anybody of the account, and leave it to the account
        (caller(FOREIGN, ALL), to({"AWS": FOREIGN_ROOT}), True),
        (caller(FOREIGN, ALL), to({"AWS": OTHER}), True),
        (caller(FOREIGN, ALL), to({"AWS": ROOT}), False),
        (caller(FOREIGN), to({"AWS": OTHER}), False),
        (caller(ROLE), to({"AWS": ROOT}), False),
        # …and aws:PrincipalArn the root alone (reference_policies_condition-keys.html)
        (caller(ROLE), to("*", Condition={"ArnEquals": {"aws:PrincipalArn": ROOT}}), False),
        # By reference_policies_elements_principal.html#principal-anonymous: for "principals within
        # your account, no other permissions are required"
        (caller(ROLE), to("*"), True),
        (caller(FOREIGN), to("*"), False),
        (caller(FOREIGN, ALL), to({"AWS": "*"}), True),
        (Caller(arn=None, account=None), to("*"), True),
        (Caller(arn=None, account=None), to({"AWS": ROOT}), False),
        # …and its Deny for all but one; a request that is not signed has no aws:PrincipalArn
        *(
            (
                who,
                document(
                    allow(Principal="*"),
                    deny(Principal="*", Condition={"ArnNotEquals": {"aws:PrincipalArn": USER}}),
                ),
                expected,
            )
            for who, expected in (
                (caller(USER), True),
                (caller(ROLE, ALL), False),
                (caller(ROOT), False),
                (Caller(arn=None, account=None), False),
            )
        ),
        # By reference_policies_elements_principal.html#principal-services
        (
            Caller(arn=None, account=None, service="ecs.amazonaws.com"),
            to({"Service": ["ecs.amazonaws.com", "elasticloadbalancing.amazonaws.com"]}),
            True,
        ),
        (
            Caller(arn=None, account=None, service="sns.amazonaws.com"),
            to({"Service": "ecs.amazonaws.com"}),
            False,
        ),
        # By reference_policies_evaluation-logic_policy-eval-denyallow.html: "the AWS account root
        # user, which has full access"
        (caller(ROOT), None, True),
        (caller(ROOT), document(deny(Principal={"AWS": ACCOUNT})), False),
        (caller(FOREIGN_ROOT), None, False),
        (caller(FOREIGN_ROOT), to({"AWS": OTHER}), True),
        # By reference_policies_elements_notprincipal.html: the account and the principal are named;
        # "always deny any IAM principal that has a permissions boundary"
        (caller(USER), but(USER, ROOT), True),
        (caller(ROLE), but(f"{USER}2", FOREIGN_ROOT), False),
        (caller(USER, boundary=ALL), but(USER, ROOT), False),
        # …and its example for services
        *(
            (
                Caller(arn=None, account=None, service=service),
                document(
                    allow(Principal="*"),
                    deny(
                        Principal="*",
                        Condition={
                            "StringNotEqualsIfExists": {
                                "aws:PrincipalServiceName": "codebuild.amazonaws.com"
                            }
                        },
                    ),
                ),
                expected,
            )
            for service, expected in (
                ("codebuild.amazonaws.com", True),
                ("lambda.amazonaws.com", False),
            )
        ),
    ],
)
def test_a_request(who: Caller, policy: Document | None, *, expected: bool) -> None:
    assert asked(who, policy) == expected


EC2_ONLY = document(allow("ec2:*"))


@pytest.mark.parametrize(
    ("who", "policy", "expected"),
    [
        # By access_policies_boundaries.html: ShirleyRodriguez may only what both allow
        (caller(USER, ALL, boundary=EC2_ONLY), None, False),
        (caller(USER, ALL, boundary=ALL), None, True),
        (caller(USER, boundary=ALL), None, False),
        (caller(USER, ALL, boundary=NO_LOGS), to("*"), False),
        (caller(FOREIGN, ALL, boundary=EC2_ONLY), to({"AWS": FOREIGN}), False),
        # By reference_policies_evaluation-logic_policy-eval-denyallow.html: a user's ARN is "not
        # limited by an implicit deny", a role's is, and a wildcard is not
        (caller(USER, boundary=EC2_ONLY), to({"AWS": USER}), True),
        (caller(ROLE, boundary=EC2_ONLY), to({"AWS": ROLE}), False),
        (caller(ROLE, boundary=ALL), to({"AWS": ROLE}), True),
        (
            caller(ROLE, boundary=EC2_ONLY),
            to("*", Condition={"ArnEquals": {"aws:PrincipalArn": ROLE}}),
            True,
        ),
        # By orgs_manage_policies_scps_evaluation.html of Organizations: an Allow at every level,
        # no Deny at any; the root is bound, and a service-linked role is not
        (caller(ROLE, ALL, scps=[[ALL], [ALL, EC2_ONLY]]), None, True),
        (caller(ROLE, ALL, scps=[[ALL], [EC2_ONLY]]), None, False),
        (caller(ROLE, ALL, scps=[[ALL], []]), None, False),
        (caller(ROLE, ALL, scps=[[ALL], [ALL, NO_LOGS]]), None, False),
        (caller(ROLE, scps=[[EC2_ONLY]]), to("*"), False),
        (caller(ROOT, scps=[[EC2_ONLY]]), None, False),
        (
            caller(
                f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX",
                ALL,
                scps=[[EC2_ONLY]],
            ),
            None,
            True,
        ),
    ],
)
def test_a_request_within_limits(who: Caller, policy: Document | None, *, expected: bool) -> None:
    assert asked(who, policy) == expected


@pytest.mark.parametrize(
    ("who", "trust", "expected"),
    [
        # By API_AssumeRole.html of STS: a policy of the user's, "as long as the role's trust policy
        # trusts the account", or the user itself in the trust policy; never the root
        (caller(USER, ALL), NOBODY, False),
        (caller(USER, ALL), to({"AWS": ROOT}), True),
        (caller(USER), to({"AWS": ROOT}), False),
        (caller(USER), to({"AWS": USER}), True),
        (caller(USER), to("*"), True),
        (caller(ROLE), to({"AWS": ROLE}), True),
        (caller(FOREIGN), to({"AWS": FOREIGN}), False),
        (caller(FOREIGN, ALL), to({"AWS": OTHER}), True),
        (caller(ROOT), to({"AWS": ROOT}), False),
        (caller(FOREIGN_ROOT), to({"AWS": OTHER}), False),
        (Caller(arn=None, account=None), to("*"), False),
        (Caller(arn=None, account=None, service="x.amazonaws.com"), to("*"), True),
        # By id_roles_update-role-trust-policy.html: "it must allow the sts:AssumeRole action"
        (caller(USER, boundary=EC2_ONLY), to({"AWS": USER}), False),
        (caller(USER, boundary=ALL), to({"AWS": USER}), True),
        # By id_credentials_mfa_configure-api-require.html
        (
            caller(USER),
            to({"AWS": USER}, Condition={"Bool": {"aws:MultiFactorAuthPresent": True}}),
            False,
        ),
    ],
)
def test_becoming_a_role(who: Caller, trust: Document, *, expected: bool) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/another"
    found = allowed(
        who, "sts:AssumeRole", role, account=ACCOUNT, policy=trust, context={}, trust=True
    )
    assert found == expected


@pytest.mark.parametrize(
    "policy",
    [
        to({"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}),
        to({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/examplerole/session"}),
        to({"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}),
        to({"AWS": "AROAEXAMPLEID"}),
        document({"Effect": "Allow", "Action": "*", "NotPrincipal": {"AWS": ROLE}}),
        but(ROLE),
        but(ROOT),
        document(allow()),
        to("*", NotAction="s3:*"),
        to("*", Effect="allow"),
        to("*", Conditions={}),
        to("*", Resource="arn:aws:s3:::a*1"),
        to("*", Condition={"BinaryEquals": {"key": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}),
        to("*", Condition={"NullIfExists": {TAG: "true"}}),
        to("*", Condition={"ForAllValues:StringNotLike": {TAG: "x"}}),
        to("*", Condition={"ForAnyValue:StringLikeIfExists": {TAG: "x"}}),
        to("*", Condition={"StringEquals": {TAG: []}}),
        to("*", Condition={"ArnLike": {"aws:PrincipalArn": "*"}}),
        to("*", Condition={"Bool": {"aws:PrincipalIsAWSService": "${aws:username}"}}),
        {"Version": "2022-10-17", "Statement": [allow(Principal="*")]},
    ],
)
def test_what_is_not_known_is_refused(policy: Document) -> None:
    with pytest.raises(NotImplementedError):
        asked(caller(ROLE), policy, resource="arn:aws:s3:::a-bucket/key:1")


class TestAnyContext:
    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            (ADMIN, True),
            ({"StringEquals": {TAG: "a"}, "StringNotEquals": {TAG: ["b", "c"]}}, True),
            ({"StringEquals": {TAG: "a"}, "StringNotEqualsIgnoreCase": {TAG: "A"}}, False),
            ({"StringEquals": {TAG: "a"}, "Null": {TAG: True}}, False),
            ({"StringNotLike": {TAG: "?*"}}, True),
            ({"StringNotLike": {TAG: "?*"}, "Null": {TAG: False}}, False),
            ({"NumericLessThan": {"k": 3}, "NumericGreaterThan": {"k": 1}}, True),
            ({"NumericLessThan": {"k": 1}, "NumericGreaterThan": {"k": 3}}, False),
            ({**NETWORK, "NotIpAddress": {"aws:SourceIp": "203.0.113.0/25"}}, True),
            ({**NETWORK, "NotIpAddress": {"aws:SourceIp": "203.0.112.0/23"}}, False),
            ({"StringEquals": TEAM}, True),
            ({"StringNotEquals": TEAM, "Null": {"s3:ExistingObjectTag/Team": False}}, True),
            ({"StringEquals": {"aws:PrincipalArn": USER}}, False),
            ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
        ],
    )
    def test_is_tried(self, condition: Document, *, expected: bool) -> None:
        who = caller(ROLE, document(allow(Condition=condition)))
        found = possible(who, "s3:GetObject", f"{BUCKET}/key", account=ACCOUNT, policy=None)
        assert found == expected

    def test_fills_a_resource(self) -> None:
        own = document(
            allow(
                Resource=f"{BUCKET}/${{aws:PrincipalTag/team}}/*",
                Condition={"StringNotEquals": {"aws:PrincipalTag/team": "red"}},
            )
        )
        found = [
            possible(caller(ROLE, own), "s3:Get", f"{BUCKET}/{key}", account=ACCOUNT, policy=None)
            for key in ("blue/key", "red/key", "key")
        ]
        assert found == [True, False, False]


def test_what_one_context_allows_is_possible() -> None:
    found: Counter[bool] = Counter()

    @settings(max_examples=4 * settings().max_examples)  # of the profile's
    @given(
        who=st.builds(
            Caller,
            arn=st.sampled_from(WORLD.principals),
            account=st.just(WORLD.account),
            policies=st.lists(arbitrary.identity_policies(), min_size=1, max_size=2),
            boundary=arbitrary.boundaries(),
            scps=arbitrary.organizations(),
        ),
        action=st.sampled_from(ACTIONS),
        resource=st.sampled_from(arbitrary.resources(WORLD.principals)),
        context=arbitrary.contexts(),
    )
    def examine(who: Caller, action: str, resource: str, context: dict[str, str]) -> None:
        is_possible = possible(who, action, resource, account=WORLD.account, policy=None)
        is_allowed = allowed(
            who, action, resource, account=WORLD.account, policy=None, context=context
        )
        assert is_possible or not is_allowed
        found[is_possible] += 1

    examine()
    assert min(found[True], found[False]) > found.total() / 8


class TestAnybody:
    @pytest.mark.parametrize(
        ("policy", "expected"),
        [
            (None, {FRESH_ROLE, FRESH_USER, ROOT, None}),
            (document(deny(Principal="*")), set()),
            (
                document(
                    allow(Principal={"AWS": [FOREIGN, OTHER]}),
                    deny(Principal="*", Condition={"ArnNotEquals": {"aws:PrincipalArn": FOREIGN}}),
                ),
                {FOREIGN},
            ),
            (document(deny(Principal={"AWS": ROOT}), allow(Principal={"AWS": FOREIGN})), {FOREIGN}),
            (
                document(deny(Principal="*", Condition={"Null": {"aws:PrincipalArn": False}})),
                {None},
            ),
            (
                document(
                    deny(Principal={"AWS": ACCOUNT}),
                    allow(Principal={"Service": "x.amazonaws.com"}),
                ),
                {None},
            ),
        ],
    )
    def test_is_found(self, policy: Document | None, expected: set[str | None]) -> None:
        found: set[str | None] = set()
        while one := anybody(["ecr:PutImage"], "*", account=ACCOUNT, policy=policy, besides=found):
            found.add(one[0])
        assert found == expected

    def test_may_have_nothing_but_what_the_policy_allows(self) -> None:
        found = anybody(
            ["s3:Get", "s3:Put"],
            BUCKET,
            account=ACCOUNT,
            policy=to({"AWS": ROLE}, Action="s3:Put"),
            besides=[ROOT],
            everything=False,
        )
        assert found == (ROLE, "s3:Put")
