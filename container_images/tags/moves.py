"""Tags moved, added and moved back, without an image being pulled.

ECR has no compare-and-swap: the last one to put a tag wins. So each put is read back, and the
move that lost a race fails. The pipeline has to let one job at a time move tags.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep
from typing import Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws.errors import AwsError, RefusedError, explain, is_denied_by_resource
from container_images.aws.image import NEVER, Image
from container_images.aws.images import Put, Repository

READ_AGAIN_SECONDS: Final = (0.25, 0.5, 1.0, 2.0)
"""Waits before the next look where ECR has taken a put and still shows the tag where it was."""


Order = Literal["convention", "semver", "pushed"]
"""What told that an image is not older than another: the times in their tags, the versions there,
or when ECR says that they were pushed. (An image keeps that time when it gets another tag.)"""


@dataclass(frozen=True, kw_only=True)
class Move:
    """A tag that went from one image to another, or would have."""

    repository: str
    tag: str
    before: Image | None
    """Where the tag was. None where it did not exist."""
    after: Image
    """Where the tag is, with the tags that the image has now."""
    moved: bool
    """Whether this move, and no other, put it there."""
    dry_run: bool
    order: Order | None
    """What told that the image is not older. None where nothing had to be ordered."""
    time: datetime


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """An image that reached a stage."""

    tag: str
    digest: str
    missing: bool
    """Whether the image had no such tag before."""
    added: bool
    """Whether it has one now for that reason: not in a dry run."""
    moves: tuple[Move, ...]
    """Those of the movable tags that were asked for."""
    dry_run: bool


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
    show what it took. Nothing is put where the tag is there already, with `dry_run`, and where the
    move is refused: a RefusedError for an image that is not there or archived; for a tag that is
    not on the image `expect`, a tag or a digest too; for an image that is older than the one that
    the tag is on, or that may be, unless `allow_older`. Also raised where the tag turns
    out to be immutable, or was moved elsewhere meanwhile.
    """
    image, current = repository.image_and_place(source, tag)
    repository.refuse_archived(image)
    arrived = _digest(current) == image.digest
    order: Order | None = None
    if not arrived:
        if expect and (current is None or expect not in {current.digest, *current.tags}):
            raise RefusedError(
                f"{tag} of {repository} is {_on(repository, current)}, and not on the expected "
                f"{expect}; see what moved it (history), then expect that image"
            )
        if not allow_older:
            order = _refuse_older(repository, image, tag, current)
    moved = False
    after = image
    if not arrived and not dry_run:
        after, moved = _put(repository, image, tag, current)
    return Move(
        repository=repository.name,
        tag=tag,
        before=current,
        after=after,
        moved=moved,
        dry_run=dry_run,
        order=order,
        time=datetime.now(UTC),
    )


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
    of that stage keeps it. A `RefusedError` where no tag can be made, where the tag is on another
    image, and where one of the movable tags would not move: nothing is put in any of these cases.
    If anything fails later, the next run finds the tag and goes on from there.
    """
    names = [*movable, *([tag] if tag else ())] or [source]
    looked_up = {name: repository.image_and_place(source, name) for name in names}
    image, holder = looked_up[names[-1]]
    repository.refuse_archived(image)
    for name in movable:
        if _digest(looked_up[name][1]) != image.digest:
            _refuse_older(repository, image, name, looked_up[name][1])
    if tag is None:
        tag = _tag_of(repository, image, stage or "")
        # Even with a commit and this second in it: two images may have been built from one commit.
        holder = None if tag in image.tags else repository.image(tag)
    else:
        _refuse_second_tag(repository, image, tag)
    missing = tag not in image.tags
    if missing:
        if holder:
            raise RefusedError(
                f"{tag} of {repository} is {_on(repository, holder)} already, and a unique tag "
                f"stays on its image; run the command again if the tag has the time in it, or give "
                f"{image.digest} another one with --as"
            )
        if not dry_run:
            _put(repository, image, tag, None)
    moves: list[Move] = []
    for name in movable:
        try:
            moves.append(move(repository, image.digest, name, dry_run=dry_run))
        except RefusedError as error:
            done = [tag] * missing + [moved.tag for moved in moves if moved.moved]
            if dry_run or not done:
                raise
            raise RefusedError(f"{', '.join(done)} put on {image.digest}, but {error}") from None
    return Promotion(
        tag=tag,
        digest=image.digest,
        missing=missing,
        added=missing and not dry_run,
        moves=tuple(moves),
        dry_run=dry_run,
    )


def _tag_of(repository: Repository, image: Image, stage: str) -> str:
    """The image's tag of a stage, or the one that it is to get."""
    convention = repository.convention
    try:
        if "sha" in convention.stages[stage].placeholders:
            convention.commit(image.tags)
        present = (tag.text for tag in convention.unique_tags(image.tags) if tag.stage == stage)
        return next(present, None) or convention.write(stage, image.tags, datetime.now(UTC))
    except ValueError as error:
        raise RefusedError(
            f"{image.digest} of {repository}: {error}; {_OTHER_CONVENTION}, or give the tag itself "
            "with --as"
        ) from None


def _refuse_second_tag(repository: Repository, image: Image, tag: str) -> None:
    """Refuse a unique tag of a stage of which the image has another one."""
    convention = repository.convention
    written = convention.read(tag)
    for other in convention.unique_tags(image.tags):
        if written and other.stage == written.stage and other.text != tag:
            raise RefusedError(
                f"{image.digest} of {repository} has {other} for the stage {other.stage} already, "
                f"and gets no other; leave --as {tag} out, or promote with --stage {other.stage}"
            )


_OTHER_CONVENTION: Final = "if the stack has another convention, name it with --stack"
"""The likeliest reason why tags cannot be read, so the first fix."""


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
    now = _on(repository, holder)
    again = "let one job at a time move tags, and run the command again if the move is still wanted"
    if put is Put.DONE and _digest(holder) == _digest(current):
        raise RefusedError(
            f"{tag} of {repository} is {now} {sum(READ_AGAIN_SECONDS):g} s after ECR "
            f"accepted its move to {image.digest}: somebody has moved it back, or ECR is late to "
            f"show the move; see which with resolve and history, {again}"
        )
    if holder and current and holder.digest == current.digest:
        raise RefusedError(
            f"{tag} of {repository} stays {now}: the repository's tag mutability makes it an "
            "immutable tag; choose another tag, or let this one move (movableTags, immutableTags)"
        )
    raise RefusedError(
        f"{tag} of {repository} was moved by somebody else meanwhile and is now {now}, "
        f"not on {image.digest}; see who it was (history), {again}"
    )


def _denied_by_guard(error: ClientError, repository: Repository) -> AwsError:
    """What the guard refused, with the roles that it exempts where its policy can be read."""
    from container_images.tags.history import pipeline_roles  # noqa: PLC0415 a move does not wait

    message = explain(error)
    with suppress(ClientError, BotoCoreError):
        if roles := pipeline_roles(repository.policy()):
            message += f" ({', '.join(sorted(roles))})"
    return AwsError(message, error)


def _digest(image: Image | None) -> str | None:
    return image.digest if image else None


def _refuse_older(
    repository: Repository, image: Image, tag: str, current: Image | None
) -> Order | None:
    """Refuse an image unless it is known not to be older than that of the tag. What told it."""
    convention = repository.convention
    anyway = f"{_OTHER_CONVENTION}; otherwise, move --allow-older moves the tag anyway"
    if convention.tells_time and convention.built_at(image.tags) is None:
        raise RefusedError(
            f"the build time of {image.digest} in {repository} is unknown: none of its tags has "
            f"it ({', '.join(image.tags) or 'it has none'}; the convention is {convention}); "
            f"{anyway}"
        )
    if current is None:
        return None
    if convention.tells_time and convention.built_at(current.tags) is None:
        raise RefusedError(
            f"{tag} of {repository} is {_on(repository, current)}, whose tags have no build "
            f"time, so {image.digest} may be older; {anyway}"
        )
    if not (convention.unique_tag(image.tags) or convention.unique_tag(current.tags)):
        raise RefusedError(
            f"{image.digest} in {repository} ({', '.join(image.tags) or 'no tag'}) may be older "
            f"than {current.digest}, which {tag} is on ({', '.join(current.tags)}): neither has a "
            f"tag of the convention ({convention}); {anyway}"
        )
    order = convention.order(image.tags, current.tags) or _order_of_push(image, current)
    if order is None:
        raise RefusedError(
            f"neither the tags of {image.digest} in {repository} nor the times of the push tell "
            f"whether it is older than {current.digest}, which {tag} is on; {anyway}"
        )
    by, compared = order
    if compared < 0:
        one, other = (_age(repository, dated, by) for dated in (image, current))
        raise RefusedError(
            f"{image.digest} in {repository} {one}, before the image that {tag} is on, which "
            f"{other} ({current.digest}); rollback goes back, and move --allow-older moves the tag "
            "anyway"
        )
    return by


def _order_of_push(image: Image, other: Image) -> tuple[Order, int] | None:
    """By the times of the push; None where they are the same, or ECR does not tell them."""
    one, two = image.pushed_at, other.pushed_at
    if one == two or NEVER in (one, two):
        return None
    return "pushed", 1 if one > two else -1


def _age(repository: Repository, image: Image, by: Order) -> str:
    """Its age, for a message."""
    if by == "semver":
        return f"is {repository.convention.unique_tag(image.tags)}"
    if by == "pushed":
        return f"was pushed {image.pushed_at:%Y-%m-%d %H:%M:%S} UTC"
    tag = repository.convention.unique_tag(image.tags)
    if tag and tag.date and tag.number:  # the day alone may not tell them apart
        return f"was built as {tag}"
    built = repository.convention.built_at(image.tags)
    return f"was built {built:%Y-%m-%d %H:%M:%S} UTC"


def _on(repository: Repository, image: Image | None) -> str:
    return f"on {repository.named(image) if image else 'no image'}"
