"""Pure: policies in files, by themselves or as the AWS CLI prints them."""

import json
from collections.abc import Mapping
from typing import Any

from components.fault import Fault, InvalidInputError
from registry.evaluation import EVERYTHING, Policy, UnreadablePolicyError, parse


def read_repository_policy(text: str) -> str:
    """The text of a policy, or of the one that `aws ecr get-repository-policy` prints.

    Raises InvalidInputError for anything else.
    """
    return _document(text, ("policyText",), "aws ecr get-repository-policy")


def read_service_control_policy(text: str) -> Policy:
    """A policy, or the one that `aws organizations describe-policy` prints.

    A file stands for one level of the organization. AWS wants an Allow at each: a policy that only
    denies has AWS's own FullAWSAccess beside it. Raises InvalidInputError for anything else.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
    """
    policy = parse(_document(text, ("Policy", "Content"), "aws organizations describe-policy"))
    if any(it.allows for it in policy.statements):
        return policy
    return Policy((*EVERYTHING.statements, *policy.statements))


def _document(text: str, keys: tuple[str, ...], command: str) -> str:
    """The policy under these keys, where they are there, or else the whole."""
    try:
        found: Any = json.loads(text)
        for key in keys:
            found = found.get(key, found) if isinstance(found, Mapping) else found
        written = found if isinstance(found, str) else json.dumps(found)
        parse(written)
    except (ValueError, UnreadablePolicyError) as error:
        raise InvalidInputError(
            [
                Fault(
                    where=(),
                    rule=f"the file is a policy, or what {command} prints ({error})",
                    fix="print it with --output json",
                )
            ]
        ) from None
    return written
