"""Pure: the trust policy of a pipeline role, and its own permissions."""

from typing import Any, NotRequired, TypedDict

from container_images.policies.document import allow, document_of


class Oidc(TypedDict):
    """Jobs with tokens of an OIDC provider, which has to exist in the role's account."""

    provider: str
    """Its URL without https://, such as gitlab.com."""
    audience: str
    """The `aud` claim of the tokens."""
    subjects: list[str]
    """Their `sub` claims, exact, each with an environment, a branch or a tag."""


class Trust(TypedDict):
    """Who may assume a pipeline role. ARNs and subjects are exact: no wildcards."""

    partition: str
    """The AWS partition of the role's account: aws, aws-cn, aws-us-gov, …"""
    account_id: str
    """The account that holds the role: 12 digits."""
    codebuild_projects: list[str]
    """ARNs of the CodeBuild projects of this account whose builds run as the role."""
    github_subjects: list[str]
    """`sub` claims of the GitHub Actions jobs that may assume the role. The account's OIDC
    provider for token.actions.githubusercontent.com has to exist."""
    roles: list[str]
    """ARNs of the roles that may assume the role."""
    oidc: NotRequired[Oidc]
    """The jobs of another OIDC provider than GitHub's that may assume the role. Default: none."""


def federations(trust: Trust) -> list[tuple[str, str, Oidc]]:
    """The OIDC providers whose jobs may assume the role: the statement's Sid, the ARN, the jobs."""
    github: Oidc = {
        "provider": "token.actions.githubusercontent.com",
        "audience": "sts.amazonaws.com",
        "subjects": trust["github_subjects"],
    }
    arn = f"arn:{trust['partition']}:iam::{trust['account_id']}:oidc-provider/"
    trusted = (("GitHubActions", github), ("Oidc", trust.get("oidc")))
    return [(sid, arn + of["provider"], of) for sid, of in trusted if of and of["subjects"]]


def trust_policy(trust: Trust) -> dict[str, Any]:
    """The policy that lets them assume the role.

    https://docs.aws.amazon.com/codebuild/latest/userguide/cross-service-confused-deputy-prevention.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html
    """
    statements = []
    if projects := sorted(trust["codebuild_projects"]):
        conditions = {
            "ArnEquals": {"aws:SourceArn": projects},
            "StringEquals": {"aws:SourceAccount": trust["account_id"]},
        }
        principal = {"Service": "codebuild.amazonaws.com"}
        statements.append(allow("CodeBuild", principal, ["sts:AssumeRole"], Condition=conditions))
    for sid, federation, oidc in federations(trust):
        provider, subjects = oidc["provider"], sorted(oidc["subjects"])
        claims = {f"{provider}:aud": oidc["audience"], f"{provider}:sub": subjects}
        actions, condition = ["sts:AssumeRoleWithWebIdentity"], {"StringEquals": claims}
        statements.append(allow(sid, {"Federated": federation}, actions, Condition=condition))
    if roles := sorted(trust["roles"]):
        statements.append(allow("Roles", {"AWS": roles}, ["sts:AssumeRole"]))
    return document_of(statements)


def pipeline_role_policy() -> dict[str, Any]:
    """The pipeline role's own policy: a login to the registry, which AWS grants on `*` only.

    The role's other permissions are in the policy of each repository.
    """
    login = {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}
    return document_of([login])
