"""Tags moved and added, without an image being pulled.

ECR has no compare-and-swap: the last one to put a tag wins. So each put is read back, and the
move that lost a race fails. The pipeline has to let one job at a time move tags.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep
from typing import Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws.errors import (
    AwsError,
    RefusedError,
    explain,
    is_denied_by_resource,
    refused,
)
from container_images.aws.image import NEVER, Image
from container_images.aws.images import Put, Repository

READ_AGAIN_SECONDS: Final = (0.25, 0.5, 1.0, 2.0)
"""Waits before the next look where ECR has taken a put and still shows the tag where it was."""

Order = Literal["convention", "semver", "pushed"]
"""What told that an image is not older than another: the times or the versions in their tags, or
the times of the push, which an image keeps when it gets another tag."""

_OTHER_CONVENTION: Final = "if the stack has another convention, name it with --stack"
"""The likeliest reason why tags cannot be read, so the first fix."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """A tag that went from one image to another, or would have."""

    tag: str
    before: Image | None
    """Where the tag was. None where it did not exist."""
    after: Image
    """Where the tag is, with the tags that the image has now."""
    moved: bool
    """Whether this move, and no other, put it there."""
    order: Order | None
    """What told that the image is not older. None where nothing had to be ordered."""


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """An image that reached a stage."""

    tag: str
    digest: str
    missing: bool
    """Whether the image had no such tag before: it has one now, if this was no dry run."""
    moves: Sequence[Move]
    """Those of the movable tags that were asked for."""


def move(  # noqa: PLR0913 the command's options, each a keyword
    repository: Repository,
    source: str,
    tag: str,
    *,
    expect: str | None = None,
    allow_older: bool = False,
    dry_run: bool = False,
) -> Move:
    """Put the tag on the image that `source`, a tag or a digest, names.

    Four calls of ECR, five where the tag does not exist yet, and more only where ECR is slow to
    show what it took. Raises RefusedError, and puts nothing, where the tag is not on the image
    `expect`, and unless `allow_older` where the image is or may be older than the tag's.
    """
    image, current = repository.image_and_place(source, tag)
    repository.refuse_archived(image)
    after, moved = image, False
    order: Order | None = None
    if _digest(current) != image.digest:
        if expect and (current is None or expect not in {current.digest, *current.tags}):
            raise RefusedError(
                f"{tag} of {repository} is {_on(repository, current)}, and not on the expected "
                f"{expect}; see what moved it (history), then expect that image"
            )
        if current and not allow_older:
            order = _refuse_older(repository, image, tag, current)
        if not dry_run:
            after, moved = _put(repository, image, tag, current)
    return Move(tag=tag, before=current, after=after, moved=moved, order=order)


def promote(  # noqa: PLR0913 the command's options, each a keyword
    repository: Repository,
    source: str,
    stage: str | None = None,
    *,
    tag: str | None = None,
    movable: Sequence[str] = (),
    dry_run: bool = False,
) -> Promotion:
    """Give an image a unique tag, unless it has it; then move the `movable` tags to it, in order.

    The tag is either given, or made for a stage of the convention: then an image that has any tag
    of that stage keeps it. All that can be refused is refused before anything is put. If anything
    fails later, the next run finds the tag and goes on from there.
    """
    moves = [move(repository, source, name, dry_run=True) for name in movable]
    image, _ = repository.image_and_place(source, source)
    repository.refuse_archived(image)
    tag = _unique_tag(repository, image, stage, tag)
    missing = tag not in image.tags
    # Even with a commit and this second in it: two images may have been built from one commit.
    if missing and (holder := repository.image(tag)):
        raise RefusedError(
            f"{tag} of {repository} is {_on(repository, holder)} already, and a unique tag stays "
            f"on its image; run the command again if the tag has the time in it, or give "
            f"{image.digest} another one with --as"
        )
    if not dry_run:
        if missing:
            _put(repository, image, tag, None)
        moves = _moves(repository, image.digest, movable, [tag] * missing)
    return Promotion(tag=tag, digest=image.digest, missing=missing, moves=moves)


def _moves(
    repository: Repository, digest: str, movable: Sequence[str], tags_put: list[str]
) -> list[Move]:
    """The tags moved in order. What fails says which tags were put before."""
    moves: list[Move] = []
    for tag in movable:
        try:
            with refused():
                moves.append(move(repository, digest, tag))
        except RefusedError as error:
            if tags_put:
                error.args = (f"{', '.join(tags_put)} put on {digest}, but {error}",)
            raise
        tags_put += [tag] * moves[-1].moved
    return moves


def _unique_tag(repository: Repository, image: Image, stage: str | None, tag: str | None) -> str:
    """The tag that is given, or the image's tag of the stage, or the one that it is to get."""
    convention = repository.convention
    written = convention.read(tag) if tag else None
    stage = written.stage if written else stage
    present = [own.text for own in convention.unique_tags(image.tags) if own.stage == stage]
    if tag is None and present:
        return present[0]
    if tag is None:
        try:
            return convention.write(stage or "", image.tags, datetime.now(UTC))
        except ValueError as error:
            raise RefusedError(
                f"{image.digest} of {repository}: {error}; {_OTHER_CONVENTION}, or give the tag "
                "itself with --as"
            ) from None
    if present and tag not in present:
        raise RefusedError(
            f"{image.digest} of {repository} has {present[0]} for the stage {stage} already, and "
            f"gets no other; leave --as {tag} out, or promote with --stage {stage}"
        )
    return tag


def _put(
    repository: Repository, image: Image, tag: str, current: Image | None
) -> tuple[Image, bool]:
    """Put the tag and read it back: the image as it is then, and whether this put did it."""
    manifest = repository.manifest(image.digest)
    try:
        put = repository.put(manifest, tag)
    except ClientError as error:
        if is_denied_by_resource(error):
            raise _denied_by_guard(error, repository) from None
        raise
    holder = repository.image(tag)
    # A read right after a put may still show what was there before it.
    for seconds in READ_AGAIN_SECONDS if put is not Put.EXISTS else ():
        if _digest(holder) != _digest(current):
            break
        sleep(seconds)
        holder = repository.image(tag)
    if holder and holder.digest == image.digest:
        return holder, put is not Put.EXISTS
    again = "let one job at a time move tags, and run the command again if the move is still wanted"
    unmoved = _digest(holder) == _digest(current)
    if unmoved and put is Put.DONE:
        why = (
            f"{sum(READ_AGAIN_SECONDS):g} s after ECR accepted the move, somebody has moved it "
            f"back, or ECR is late to show it; see which with resolve and history, {again}"
        )
    elif unmoved and holder:
        why = (
            "the repository's tag mutability makes it an immutable tag; choose another tag, or let "
            "this one move (movableTags, immutableTags)"
        )
    else:
        why = f"somebody else has moved it meanwhile; see who it was (history), {again}"
    place = _on(repository, holder)
    raise RefusedError(f"{tag} of {repository} is {place}, not on {image.digest}: {why}")


def _denied_by_guard(error: ClientError, repository: Repository) -> AwsError:
    """What the guard refused, with the roles that it exempts where its policy can be read."""
    from container_images.policies.exemptions import exempted_roles  # noqa: PLC0415 no move waits

    message = explain(error)
    with suppress(ClientError, BotoCoreError):
        policy = json.loads(repository.policy() or "{}")
        if roles := exempted_roles(policy, f"ecr:{error.operation_name}"):
            message += f" ({', '.join(sorted(roles))})"
    return AwsError(message, error)


def _refuse_older(repository: Repository, image: Image, tag: str, current: Image) -> Order:
    """Refuse an image unless it is known not to be older than that of the tag. What told it."""
    convention = repository.convention
    named = [bool(convention.unique_tag(each.tags)) for each in (image, current)]
    order: tuple[Order, int] | None = None
    if all(named) or (any(named) and not convention.tells_time):
        order = convention.order(image.tags, current.tags) or _order_of_push(image, current)
    if order is None:
        tags, current_tags = (", ".join(each.tags) or "no tag" for each in (image, current))
        raise RefusedError(
            f"{image.digest} in {repository} ({tags}) may be older than {current.digest} "
            f"({current_tags}), which {tag} is on: by the convention {convention} their tags do "
            f"not tell, and the times of the push do not either; {_OTHER_CONVENTION}; otherwise, "
            "move --allow-older moves the tag anyway"
        )
    by, compared = order
    if compared < 0:
        age, current_age = (_age(repository, each, by) for each in (image, current))
        raise RefusedError(
            f"{image.digest} in {repository} ({age}) is older than {current.digest} "
            f"({current_age}), which {tag} is on; rollback goes back, and move --allow-older moves "
            "the tag anyway"
        )
    return by


def _order_of_push(image: Image, other: Image) -> tuple[Order, int] | None:
    """By the times of the push; None where they are the same, or ECR does not tell them."""
    times = image.pushed_at, other.pushed_at
    if NEVER in times or times[0] == times[1]:
        return None
    return "pushed", 1 if times[0] > times[1] else -1


def _age(repository: Repository, image: Image, by: Order) -> str:
    """What an image was ordered by, for a message."""
    if by == "pushed":
        return f"pushed {image.pushed_at:%Y-%m-%d %H:%M:%S} UTC"
    built = repository.convention.built_at(image.tags)
    tag = str(repository.convention.unique_tag(image.tags))
    return f"{tag}, built {built:%Y-%m-%d %H:%M:%S} UTC" if built else tag


def _digest(image: Image | None) -> str | None:
    return image.digest if image else None


def _on(repository: Repository, image: Image | None) -> str:
    return f"on {repository.named(image) if image else 'no image'}"
