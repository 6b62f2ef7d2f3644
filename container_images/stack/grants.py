"""Pure: what a repository policy says that another does not.

This compares what is written, and proves nothing: a grant counts as kept only where the other
policy names its principal, or everybody, for its action, under the same condition or none. So a
grant that the other policy makes in another way is listed as lost, and every lost grant is listed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from container_images.policies.document import listed, names_action
from container_images.policies.ecr_actions import LAMBDA_PULL, Effect, actions
from container_images.stack.state import canonical, principals, spoken_of, statements

_Statement = Mapping[str, Any]


def lost_statements(found: str | None, declared: str | None, account_id: str) -> list[str]:
    """What the policy `found`, of a repository in this account, says and the other does not."""
    kept = statements(declared)
    same = set(map(canonical, kept))
    lost = []
    for number, it in enumerate(statements(found), start=1):
        if canonical(it) in same:
            continue
        told = f"policy {spoken_of(it, number)}"
        if it.get("Effect") != "Allow":
            lost.append(f"{told}: a Deny of {', '.join(_written(it))}")
        elif not {"Principal", "Action"} <= it.keys():
            lost.append(f"{told}: an Allow of everything but what it names")
        elif losses := list(_losses(it, kept, account_id)):
            lost.append(f"{told}: {'; '.join(losses)}")
    return lost


def lets_lambda_pull(policy: str | None) -> bool:
    """Whether a statement is there with which Lambda makes functions from the images."""
    lambda_service = ("Service", "lambda.amazonaws.com")
    granting = [
        it
        for it in statements(policy)
        if it.get("Effect") == "Allow" and lambda_service in principals(it.get("Principal", {}))
    ]
    return all(any(names_action(_written(it), one) for it in granting) for one in LAMBDA_PULL)


def _losses(it: _Statement, kept: Sequence[_Statement], account_id: str) -> Iterator[str]:
    """For principals that lose the same: who they are, and the actions."""
    acting, losers = _expanded(it), defaultdict[tuple[str, ...], list[str]](list)
    for kind, name in sorted(principals(it["Principal"])):
        able = [
            one
            for one in kept
            if one["Effect"] == "Allow"
            and _covers(principals(one["Principal"]), (kind, name), account_id)
        ]
        alike = [one for one in able if _condition(one) in (_condition({}), _condition(it))]
        granted, still = ({it for one in them for it in _expanded(one)} for them in (able, alike))
        if lost := [action for action in acting if action not in still]:
            written = _written(it) if lost == acting else lost
            other = ["which the stack grants under another condition"] * (granted >= {*lost})
            losers[*written, *other].append(name)
    for those, names in losers.items():
        yield f"{', '.join(names)} for {', '.join(those)}"


def _covers(named: Iterable[tuple[str, str]], principal: tuple[str, str], account_id: str) -> bool:
    """Whether a statement that names those is also about this principal.

    Another account grants its principals access itself, where the repository's policy names the
    account. The repository's own account is different: a policy that names a role grants it access
    without any policy of its own.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
    """
    kind, name = principal
    parts = name.split(":")
    account = parts[4] if name.startswith("arn:") else name
    everybody = kind == "AWS" and ("AWS", "*") in named
    return everybody or principal in named or (account != account_id and ("AWS", account) in named)


_OF_A_REPOSITORY: Final = actions(
    *{*Effect} - {Effect.CREATE_REPOSITORY, Effect.CHANGE_REGISTRY, Effect.READ_REGISTRY}
)


def _expanded(statement: _Statement) -> list[str]:
    """The actions of a repository that a statement is about, and those that are not known here."""
    known = {it for it in _OF_A_REPOSITORY if names_action(_written(statement), it)}
    unknown = {it for it in _written(statement) if not {"*", "?"} & set(it)}
    named = {it.lower() for it in known}
    return sorted(known | {it for it in unknown if it.lower() not in named})


def _written(statement: _Statement) -> list[str]:
    return listed(statement.get("Action", statement.get("NotAction")))


def _condition(statement: _Statement) -> str:
    return canonical({"Condition": statement.get("Condition", {})})
