"""The time that it takes to say who could move a tag, by principals and by policies."""

import time
from typing import Any, Final

from rich.console import Console

from container_images.access.account import account_of
from container_images.access.movers import findings
from container_images.access.policy import parse
from container_images.access.proofs import guarded
from container_images.policies.document import to_json
from container_images.policies.repository_policy import Access, repository_policy

_ACCOUNT: Final = "111122223333"
_IAM: Final = f"arn:aws:iam::{_ACCOUNT}:"
_PER_TEAM: Final = 25

Document = dict[str, Any]


def main(console: Console) -> None:
    """Print a line for each number of principals, and one for ten policies."""
    for principals, policies in ((250, 1), (500, 1), (1_000, 1), (1_000, 10)):
        details = an_account(principals)
        start = time.perf_counter()
        evaluate(details, policies)
        seconds = time.perf_counter() - start
        console.print(
            f"movers, {principals:>5,} principals, 50 repositories of {policies:>2} policies: "
            f"{seconds:5.1f} s, {1_000 * seconds / principals:4.1f} ms each"
        )


def evaluate(details: Document, policies: int) -> int:
    """How many principals could move a tag in any of the repositories, of which some are alike."""
    texts = [to_json(repository_policy(_access(number % policies))) for number in range(50)]
    repositories = [
        guarded(f"arn:aws:ecr:eu-west-2:{_ACCOUNT}:repository/app-{number}", parse(text))
        for number, text in enumerate(texts)
    ]
    return len(
        {
            mover.principal
            for found in findings(account_of(details), repositories)
            for mover in found.movers
            if mover.paths["moveTags"]
        }
    )


def _access(number: int) -> Access:
    return {
        "partition": "aws",
        "account_id": _ACCOUNT,
        "region": "eu-west-2",
        "pipeline_roles": [f"{_IAM}role/pipeline/push-{number}"],
        "administrator_roles": [f"{_IAM}role/platform/deploy"],
        "pull_accounts": ["444455556666"],
        "pull_organization": "",
        "lambda_pull": False,
    }


# --- An account -----------------------------------------------------------------------------------


def an_account(principals: int) -> Document:
    """As many roles and users as that, as they are found in accounts where many teams work."""
    roles = [_role(f"pipeline/push-{number}", [], trust=_CODEBUILD) for number in range(10)]
    roles.append(_role("platform/deploy", ["AdministratorAccess"], trust=_DEPLOYER))
    users = []
    for number in range(principals - len(roles)):
        at = f"team-{number // _PER_TEAM}"
        name = f"{at}/{number}"
        match number % 10:
            case 0:
                roles.append(_role(f"{name}-admin", ["AdministratorAccess"], trust=_SINGLE_SIGN_ON))
            case 1:
                roles.append(_role(f"{name}-developer", ["PowerUser", at], trust=_SINGLE_SIGN_ON))
            case 2:
                roles.append(_role(f"{name}-ci", [f"{at}-deploy"], trust=_CODEBUILD, bounded=True))
            case 3:
                users.append(_user(name, ["ReadOnly", f"{at}-assume"]))
            case 4 | 5:
                roles.append(_role(f"{name}-deployer", [at], trust=_ACCOUNTS_OWN))
            case _:
                roles.append(_role(f"{name}-function", [at], trust=_LAMBDA))
    return {
        "UserDetailList": users,
        "GroupDetailList": [],
        "RoleDetailList": roles,
        "Policies": [
            _managed(name, statements)
            for name, statements in (_POLICIES | _of_teams(principals)).items()
        ],
    }


def _allow(*actions: str, resource: str = "*", **more: Any) -> Document:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


_POLICIES: Final[dict[str, list[Document]]] = {
    "AdministratorAccess": [_allow("*")],
    "PowerUser": [
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*"], "Resource": "*"},
        _allow("iam:List*", "iam:Get*"),
    ],
    "ReadOnly": [_allow("ecr:Get*", "ecr:BatchGet*", "s3:Get*", "s3:List*", "logs:*")],
    "Boundary": [
        _allow("s3:*", "logs:*", "lambda:*", "ecs:*", "ecr:*", "sts:*"),
        {"Effect": "Deny", "Action": "sts:*", "Resource": f"{_IAM}role/pipeline/*"},
    ],
}


def _of_teams(principals: int) -> dict[str, list[Document]]:
    policies = {}
    for team in (f"team-{number}" for number in range(principals // _PER_TEAM + 1)):
        roles = f"{_IAM}role/{team}/*"
        policies[team] = [
            _allow("s3:*", resource=f"arn:aws:s3:::{team}-*"),
            _allow("ecr:PutImage", "ecr:BatchGetImage", "ecr:GetAuthorizationToken"),
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringNotEquals": {"aws:RequestedRegion": "eu-west-2"}},
            },
        ]
        policies[f"{team}-assume"] = [_allow("sts:AssumeRole", resource=f"{roles}-deployer")]
        policies[f"{team}-deploy"] = [
            _allow("lambda:*", "ecs:*", "ecr:*", "cloudformation:*"),
            _allow("iam:PassRole", resource=roles),
            _allow(
                "iam:CreateRole",
                "iam:PutRolePolicy",
                resource=roles,
                Condition={"StringEquals": {"iam:PermissionsBoundary": f"{_IAM}policy/Boundary"}},
            ),
        ]
    return policies


def _managed(name: str, statements: list[Document]) -> Document:
    document = {"Version": "2012-10-17", "Statement": statements}
    return {
        "Arn": f"{_IAM}policy/{name}",
        "DefaultVersionId": "v1",
        "PolicyVersionList": [{"VersionId": "v1", "Document": document}],
    }


def _trust(principal: Document, **more: Any) -> Document:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


_LAMBDA: Final = _trust({"Service": "lambda.amazonaws.com"})
_CODEBUILD: Final = _trust({"Service": "codebuild.amazonaws.com"})
_ACCOUNTS_OWN: Final = _trust({"AWS": f"{_IAM}root"})
_SINGLE_SIGN_ON: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Federated": f"{_IAM}saml-provider/single-sign-on"},
            "Action": "sts:AssumeRoleWithSAML",
            "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
        }
    ],
}
_DEPLOYER: Final = _trust({"AWS": f"{_IAM}role/team-0/0-admin"})


def _role(name: str, policies: list[str], *, trust: Document, bounded: bool = False) -> Document:
    boundary = {"PermissionsBoundary": {"PermissionsBoundaryArn": f"{_IAM}policy/Boundary"}}
    return {
        "Arn": f"{_IAM}role/{name}",
        "AssumeRolePolicyDocument": trust,
        "AttachedManagedPolicies": _attached(policies),
        **(boundary if bounded else {}),
    }


def _user(name: str, policies: list[str]) -> Document:
    return {"Arn": f"{_IAM}user/{name}", "AttachedManagedPolicies": _attached(policies)}


def _attached(policies: list[str]) -> list[Document]:
    return [{"PolicyArn": f"{_IAM}policy/{it}"} for it in policies]


if __name__ == "__main__":
    main(Console())
