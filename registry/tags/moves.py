"""Tags moved, added and moved back, without an image being pulled.

ECR has no compare-and-swap: the last one to put a tag wins. So each put is read back, and whoever
lost a race is told. One mover at a time is the pipeline's own business.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from time import sleep
from typing import Final

from policies import tag_convention
from registry.aws.errors import RefusedError
from registry.aws.image import Image
from registry.aws.images import Put, Repository

READ_AGAIN_SECONDS: Final = (0.25, 0.5, 1.0, 2.0)
"""Waits before the next look where ECR has taken a put and still shows the tag where it was."""


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
    time: datetime


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """An image that reached a stage."""

    tag: str
    digest: str
    missing: bool
    """Whether the image had no tag of this stage before."""
    added: bool
    """Whether it has one now for that reason: not in a dry run."""
    latest: Move | None
    """The move of the movable tag, where one was asked for."""
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
    not on the image `expect`, a tag or a digest too; for an image that was built before the one
    that the tag is on, or that may have been, unless `allow_older`. Also raised where the tag turns
    out to be write-once, or was moved elsewhere meanwhile.
    """
    image, current = repository.image_and_place(source, tag)
    repository.refuse_archived(image)
    there = _digest(current) == image.digest
    if not there:
        if expect and (current is None or expect not in {current.digest, *current.tags}):
            raise RefusedError(
                f"{tag} of {repository} is {_on(current)}, and not on the expected {expect}; "
                "see what moved it (history), then expect that image"
            )
        if not allow_older:
            _refuse_older(repository, image, tag, current)
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
        time=datetime.now(UTC),
    )


def promote(
    repository: Repository,
    source: str,
    stage: tag_convention.Stage,
    *,
    latest: str | None = None,
    dry_run: bool = False,
) -> Promotion:
    """Give an image the unique tag of a stage, unless it has one; then move the tag `latest` names.

    If anything fails between the two, the next run finds the tag and goes on from there. An image
    to which `latest` would not move gets no tag either: a refusal leaves all as it was, and so does
    `dry_run`.
    """
    image, current = repository.image_and_place(source, latest or source)
    repository.refuse_archived(image)
    try:
        sha = tag_convention.commit(image.tags)
    except tag_convention.UnknownBuildError as error:
        raise RefusedError(str(error)) from None
    if latest is not None and _digest(current) != image.digest:
        _refuse_older(repository, image, latest, current)

    tags = (it for it in tag_convention.unique_tags(image.tags) if it.stage == stage)
    tag = next(tags, None)
    missing = tag is None
    if tag is None:
        now = int(datetime.now(UTC).timestamp())
        tag = tag_convention.UniqueTag(stage=stage, sha=sha, epoch=now)
        if not dry_run:
            _put(repository, image, str(tag), None)
    return Promotion(
        tag=str(tag),
        digest=image.digest,
        missing=missing,
        added=missing and not dry_run,
        latest=move(repository, image.digest, latest, dry_run=dry_run) if latest else None,
        dry_run=dry_run,
    )


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
    again = "let one mover run at a time, and run the command again if it is still wanted"
    if put is Put.DONE and _digest(found) == _digest(current):
        raise RefusedError(
            f"{tag} of {repository} is {_on(found)} {sum(READ_AGAIN_SECONDS):g} s after ECR "
            f"accepted its move to {image.digest}: somebody has moved it back, or ECR is late to "
            f"show the move; see which with resolve and history, {again}"
        )
    if found and current and found.digest == current.digest:
        raise RefusedError(
            f"{tag} of {repository} stays {_on(found)}: the repository's tag mutability makes it a "
            "write-once tag; choose another tag, or let this one move (movableTags, writeOnceTags)"
        )
    raise RefusedError(
        f"{tag} of {repository} was moved by somebody else meanwhile and is now {_on(found)}, "
        f"not on {image.digest}; see who it was (history), {again}"
    )


def _digest(image: Image | None) -> str | None:
    return image.digest if image else None


def _refuse_older(repository: Repository, image: Image, tag: str, current: Image | None) -> None:
    """Refuse an image unless its build is known, and not before that of the tag's image."""
    built = tag_convention.build_time(image.tags)
    anyway = "with --allow-older it is moved all the same"
    if built is None:
        raise RefusedError(
            f"the build time of {image.digest} in {repository} is unknown: none of its tags tells "
            f"it ({', '.join(image.tags) or 'it has none'}); {anyway}"
        )
    if current is None:
        return
    newest = tag_convention.build_time(current.tags)
    if newest is None:
        raise RefusedError(
            f"{tag} of {repository} is {_on(current)}, whose build time none of its tags tells, so "
            f"{image.digest} may be older; {anyway}"
        )
    if built < newest:
        raise RefusedError(
            f"{image.digest} in {repository} was built {_date(built)}, before the image that {tag} "
            f"is on ({_date(newest)}, {current.digest}); {anyway}, and rollback goes back"
        )


def _on(image: Image | None) -> str:
    return f"on {image or 'no image'}"


def _date(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
