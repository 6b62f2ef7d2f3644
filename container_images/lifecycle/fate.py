"""Whether a repository's lifecycle policy is about to expire or archive an image."""

from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws.errors import RefusedError, explain, is_denied
from container_images.aws.images import Repository
from container_images.lifecycle.live import live_listing, live_rules
from container_images.lifecycle.simulation import Verdict, simulate


class UnknownFateError(Exception):
    """It cannot be told, and why."""

    def __init__(self, reason: str, *, denied: bool = False) -> None:
        super().__init__(reason)
        self.denied = denied
        """For want of a permission: whoever may pull need not be allowed to read the policy."""


@dataclass(frozen=True, kw_only=True)
class Going:
    """An image is on its way out."""

    rule: int
    why: str

    def __str__(self) -> str:
        """Why, for a message."""
        return self.why


def fate(repository: Repository, digest: str) -> Going | None:
    """What is about to become of the image as it is now, with the tags that it has.

    None if it stays. Raises UnknownFateError where the caller may not know, or AWS does not say.
    """
    try:
        verdict = _verdict(repository, digest)
    except (ClientError, BotoCoreError) as error:
        raise UnknownFateError(explain(error, str(repository)), denied=is_denied(error)) from None
    except RefusedError as error:
        raise UnknownFateError(str(error)) from None
    if verdict is None or verdict.rule is None:
        return None
    why = f"{verdict.decided_by} of the lifecycle policy would {verdict.action} it within a day"
    return Going(rule=verdict.rule, why=why)


def _verdict(repository: Repository, digest: str) -> Verdict | None:
    """None without a policy. One call then; otherwise one more for each thousand images."""
    rules, now = live_rules(repository), datetime.now(UTC)
    verdict = None
    # To read an index is to pull it. What it lists can only stay because of that, so an image that
    # stays without stays with it.
    for lists in (False, True):
        images = live_listing(repository, lists=lists).images if rules else ()
        judged = {it.image.digest: it for it in simulate(rules, images, now)}
        verdict = judged.get(digest)
        if verdict is None or verdict.action == "keep":
            break
    return verdict
