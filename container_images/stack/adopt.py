"""Pure: the entry in a stack file for an existing repository, and what its adoption changes."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final

from container_images.access.claims import Subject, guarded
from container_images.access.evaluation import Principal
from container_images.access.policy import LAMBDA, SERVICE, Policy, within
from container_images.aws.image import Image
from container_images.lifecycle.document import read_policy
from container_images.lifecycle.simulation import Simulation
from container_images.policies.ecr_actions import LAMBDA_PULL
from container_images.policies.invalid_input import InvalidInputError
from container_images.stack.declared import DeclaredStack
from container_images.stack.registry import is_cached
from container_images.stack.state import AWS_TAGS, REPLACING, State, describe, differences, intended

Adoption = dict[str, Any]
"""What becomes of a repository when a stack adopts it: `entry`, `blocks`, `warnings`, `loses` and
`changes` of docs/adoption.md. No entry where the stack has one, no changes without a stack."""


def adoption(
    live: State,
    stack: DeclaredStack | None,
    images: Sequence[Image] = (),
    cache_prefixes: Iterable[str] = (),
) -> Adoption:
    """What adopting a repository means, for a stack where one is given.

    The stack's own entry for it counts, if there is one, or else the entry that is proposed: what
    differs from the defaults and from the stack's settings. `cache_prefixes` are those of the
    registry's pull-through cache rules.
    """
    own = stack.settings.repositories.get(live.name) if stack else None
    default_tags = stack.default_tags if stack else {}
    repository = guarded(live.arn, json.loads(live.policy or '{"Statement": []}'))
    lambdas = lambda_accounts(repository)
    pull = repository.account in lambdas and not (stack and stack.settings.lambda_pull)
    tags = {
        key: value
        for key, value in sorted(live.tags.items())
        if key not in default_tags and not key.startswith(AWS_TAGS)
    }
    entry = {
        "import": True,
        **({"kmsKey": live.kms_key} if live.kms_key else {}),
        **({} if live.scan_on_push else {"scanOnPush": False}),
        **({"lambdaPull": True} if pull else {}),
        **({"tags": tags} if tags else {}),
    }
    warnings = [*_warnings(live, repository, lambdas, cache_prefixes)]
    if stack and own and not own.import_existing:
        warnings.append(
            f"its entry in Pulumi.{stack.name}.yaml has no import: true; unless the stack has "
            "adopted it already, the update tries to create it and fails"
        )
    differing, blocks = [], []
    if not stack and live.encryption not in {"AES256", "KMS"}:
        blocks.append(f"encryption: no setting declares {live.encryption}; leave it out")
    try:
        if stack:
            adopting = stack if own else stack.changed(repositories={live.name: entry})
            declared = intended(adopting, live.name)
            differing = differences(live, declared)
            rules = read_policy(declared.lifecycle_policy or "")
            verdicts = Simulation(rules, images, datetime.now(UTC)).verdicts
            if expiring := sum(verdict.action != "keep" for verdict in verdicts):
                warnings.append(
                    f"the stack's lifecycle policy would expire or archive up to {expiring:,} of "
                    f"{len(verdicts):,} images; once the entry is in the stack file, list them: "
                    f"container-images images {live.name} --stack {stack.name} --planned --expiring"
                )
    except InvalidInputError as error:
        blocks += map(str, error.problems)
    blocks += (describe(change) for change in differing if change["setting"] in REPLACING)
    changes = [change for change in differing if change["setting"] not in REPLACING]
    return {
        "repository": live.name,
        "entry": None if own else entry,
        "changes": changes if stack else None,
        "loses": [f"{each['setting']} {part}" for each in differing for part in each["undeclared"]],
        "blocks": blocks,
        "warnings": warnings,
    }


def to_yaml(adoptions: Iterable[Adoption]) -> str:
    """The new entries of those that nothing blocks, as they stand under the settings' key."""
    lines = []
    for adopted in adoptions:
        if adopted["entry"] and not adopted["blocks"]:
            name = adopted["repository"]
            # Text to every reader of YAML: its words are shorter, and no number begins so.
            is_plain = re.fullmatch(r"[a-z][a-z0-9/_-]{5,}", name)
            lines.append(f"{name if is_plain else json.dumps(name)}:\n")
            for key, value in adopted["entry"].items():
                text = json.dumps(value, ensure_ascii=False)
                # To some readers of YAML, these two characters end a line.
                text = text.replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")
                lines.append(f"  {key}: {text}\n")
    return "".join(lines)


def lambda_accounts(repository: Subject) -> list[str]:
    """Ids of the accounts whose Lambda functions the grants of a repository policy let pull.

    Those are looked at that the conditions name, and the repository's own.
    https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
    """
    statements = (each for each in repository.policy.statements if each.allows)
    granted = Policy(tuple(each for each in statements if LAMBDA in each.principals))
    functions = granted.compared("aws:sourcearn")
    named = " ".join([*functions, *granted.compared("aws:sourceaccount")])
    accounts = {repository.account, *re.findall(r"\b\d{12}\b", named)}
    place, lets_pull = repository.access, set[str]()
    for account, function in product(accounts, ("*", *functions)):
        any_function = f"arn:{place['partition']}:lambda:{place['region']}:{account}:function:*"
        source = within(function, any_function) or any_function
        context = (("aws:sourceaccount", account), ("aws:sourcearn", source))
        caller = Principal(arn="", account="", named=LAMBDA, context=context)
        if not replace(repository, policy=granted).denial(caller, LAMBDA_PULL):
            lets_pull.add(account)
    return sorted(lets_pull)


_CONSOLE_PREFIXES: Final = [
    "docker-hub",
    "ecr-public",
    "quay",
    "kubernetes",
    "github",
    "gitlab",
    "azure",
    "chainguard",
]
"""The prefixes that AWS's console and documentation give to pull-through cache rules."""
_DELETED: Final = re.compile(r"A(ROA|IDA)[A-Z0-9]{16,}")
"""The unique id that IAM shows in place of a deleted role's or user's ARN.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html"""


def _warnings(
    live: State, repository: Subject, lambdas: Sequence[str], cache_prefixes: Iterable[str]
) -> Iterator[str]:
    """Who else manages it, and what its policy grants AWS's services: Lambda in these accounts.

    https://docs.aws.amazon.com/codebuild/latest/userguide/sample-ecr.html
    """
    if owner := live.tags.get("aws:cloudformation:stack-name"):
        yield (
            f"the CloudFormation stack {owner} manages it too, and may set it back; take it out "
            "there first, with DeletionPolicy: Retain"
        )
    prefixes = [*cache_prefixes, *_CONSOLE_PREFIXES]
    if prefix := next((each for each in prefixes if is_cached(live.name, each)), None):
        yield (
            f"it looks like a repository of the pull-through cache {prefix}: pulls would no longer "
            "update it, since the guard lets only the pipeline roles put images; leave it out, or "
            "copy the image to a repository of the stack"
        )
    own, policy, by_lambda = repository.account, repository.policy, "LambdaECRImageRetrievalPolicy"
    others = [account for account in lambdas if account != own]
    if own in lambdas and by_lambda in {each.label for each in policy.statements}:
        yield f"Lambda wrote statement {by_lambda} itself; lambdaPull replaces it"
    if LAMBDA in policy.admitted and lambdas != [own]:
        yield (
            "Lambda pulls for functions that are not known to be this account's: see the "
            "conditions of what is lost"
            + (f"; lambdaPullAccounts: {json.dumps(others)}" if others else "")
        )
    if deleted := sorted(filter(_DELETED.fullmatch, policy.admitted)):
        yield f"the policy names roles or users that have been deleted: {', '.join(deleted)}"
    if f"{SERVICE}codebuild.amazonaws.com" in policy.admitted:
        yield (
            "CodeBuild pulls by its own credentials, which no setting grants; let the projects use "
            "their service role (imagePullCredentialsType SERVICE_ROLE)"
        )
