"""Tags moved, added and moved back, without an image being pulled.

ECR has no compare-and-swap: the last one to put a tag wins. So each put is read back, and the
move that lost a race fails. The pipeline has to let one job at a time move tags.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep
from typing import Final, Literal

from container_images.aws.errors import RefusedError
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
    there = _digest(current) == image.digest
    order: Order | None = None
    if not there:
        if expect and (current is None or expect not in {current.digest, *current.tags}):
            raise RefusedError(
                f"{tag} of {repository} is {_on(repository, current)}, and not on the expected "
                f"{expect}; see what moved it (history), then expect that image"
            )
        if not allow_older:
            order = _refuse_older(repository, image, tag, current)
    moved = False
    after = image
    if not there and not dry_run:
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
    found = {it: repository.image_and_place(source, it) for it in names}
    image, other = found[names[-1]]
    repository.refuse_archived(image)
    for it in movable:
        if _digest(found[it][1]) != image.digest:
            _refuse_older(repository, image, it, found[it][1])
    if tag is None:
        tag = _tag_of(repository, image, stage or "")
        made = repository.convention.read(tag)
        # With a commit and this second in it, it is nowhere else.
        other = repository.image(tag) if made and made.epoch is None else None
    missing = tag not in image.tags
    if missing:
        if other:
            raise RefusedError(
                f"{tag} of {repository} is {_on(repository, other)} already, and a unique tag "
                f"stays on its image; give {image.digest} another one with --as"
            )
        if not dry_run:
            _put(repository, image, tag, None)
    moves: list[Move] = []
    for it in movable:
        try:
            moves.append(move(repository, image.digest, it, dry_run=dry_run))
        except RefusedError as error:
            done = [tag] * missing + [it.tag for it in moves if it.moved]
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
        there = (it.text for it in convention.unique_tags(image.tags) if it.stage == stage)
        return next(there, None) or convention.write(stage, image.tags, datetime.now(UTC))
    except ValueError as error:
        raise RefusedError(
            f"{image.digest} of {repository}: {error}; give the tag itself with --as"
        ) from None


def _put(
    repository: Repository, image: Image, tag: str, current: Image | None
) -> tuple[Image, bool]:
    """Put the tag and read it back: the image as it is then, and whether this put did it."""
    put = repository.put(repository.manifest(image.digest), tag)
    found = repository.image(tag)
    # A read right after a put may still show what was there before it.
    for seconds in READ_AGAIN_SECONDS if put is not Put.EXISTS else ():
        if _digest(found) != _digest(current):
            break
        sleep(seconds)
        found = repository.image(tag)
    if found and found.digest == image.digest:
        return found, put is not Put.EXISTS
    now = _on(repository, found)
    again = "let one job at a time move tags, and run the command again if the move is still wanted"
    if put is Put.DONE and _digest(found) == _digest(current):
        raise RefusedError(
            f"{tag} of {repository} is {now} {sum(READ_AGAIN_SECONDS):g} s after ECR "
            f"accepted its move to {image.digest}: somebody has moved it back, or ECR is late to "
            f"show the move; see which with resolve and history, {again}"
        )
    if found and current and found.digest == current.digest:
        raise RefusedError(
            f"{tag} of {repository} stays {now}: the repository's tag mutability makes it a "
            "immutable tag; choose another tag, or let this one move (movableTags, immutableTags)"
        )
    raise RefusedError(
        f"{tag} of {repository} was moved by somebody else meanwhile and is now {now}, "
        f"not on {image.digest}; see who it was (history), {again}"
    )


def _digest(image: Image | None) -> str | None:
    return image.digest if image else None


def _refuse_older(
    repository: Repository, image: Image, tag: str, current: Image | None
) -> Order | None:
    """Refuse an image unless it is known not to be older than that of the tag. What told it."""
    convention = repository.convention
    anyway = "move --allow-older moves the tag anyway"
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
    found = convention.order(image.tags, current.tags) or _order_of_push(image, current)
    if found is None:
        raise RefusedError(
            f"neither the tags of {image.digest} in {repository} nor the times of the push tell "
            f"whether it is older than {current.digest}, which {tag} is on; {anyway}"
        )
    by, compared = found
    if compared < 0:
        one, other = (_age(repository, it, by) for it in (image, current))
        raise RefusedError(
            f"{image.digest} in {repository} {one}, before the image that {tag} is on, which "
            f"{other} ({current.digest}); rollback goes back, and {anyway}"
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
