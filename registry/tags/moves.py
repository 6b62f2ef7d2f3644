"""Tags moved, added and moved back, without an image being pulled.

ECR has no compare-and-swap: the last one to put a tag wins. So each put is read back, and whoever
lost a race is told. One mover at a time is the pipeline's own business.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from policies import tag_convention
from registry.aws.errors import RefusedError
from registry.aws.image import Image
from registry.aws.images import Put, Repository


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
    added: bool
    """False where the image had a tag of this stage already."""
    latest: Move | None


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

    Four calls of ECR, five where the tag does not exist yet. Nothing is put where the tag is there
    already, with `dry_run`, and where the move is refused: a RefusedError for an image that is not
    there or archived; for a tag that is not on `expect`; for an image that was built before the one
    that the tag is on, or that may have been, unless `allow_older`. Also raised where the tag turns
    out to be write-once, or was moved elsewhere meanwhile.
    """
    image, current = repository.image_and_place(source, tag)
    repository.refuse_archived(image)
    there = current is not None and current.digest == image.digest
    if not there:
        if expect is not None and (current is None or current.digest != expect):
            raise RefusedError(
                f"{tag} of {repository} is {_on(current)}, and not on the expected {expect}; "
                "look at what moved it (history), then expect that digest"
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
    repository: Repository, source: str, stage: tag_convention.Stage, *, latest: str | None = None
) -> Promotion:
    """Give an image the unique tag of a stage, unless it has one; then move `latest`, if named.

    If anything fails between the two, the next run finds the tag and goes on from there. An image
    to which `latest` would not move gets no tag either: a refusal leaves all as it was.
    """
    if latest is None:
        image, current = repository.image_and_place(source, source)
    else:
        image, current = repository.image_and_place(source, latest)
    repository.refuse_archived(image)
    try:
        sha = tag_convention.commit(image.tags)
    except tag_convention.UnknownBuildError as error:
        raise RefusedError(str(error)) from None
    if latest is not None and (current is None or current.digest != image.digest):
        _refuse_older(repository, image, latest, current)

    tags = (it for it in tag_convention.unique_tags(image.tags) if it.stage == stage)
    tag = next(tags, None)
    added = tag is None
    if tag is None:
        now = int(datetime.now(UTC).timestamp())
        tag = tag_convention.UniqueTag(stage=stage, sha=sha, epoch=now)
        _put(repository, image, str(tag), None)
    return Promotion(
        tag=str(tag),
        digest=image.digest,
        added=added,
        latest=None if latest is None else move(repository, image.digest, latest),
    )


def _put(
    repository: Repository, image: Image, tag: str, current: Image | None
) -> tuple[Image, bool]:
    """Put the tag and read it back: the image as it is then, and whether this put did it."""
    put = repository.put(repository.manifest(image.digest), tag)
    found = repository.image(tag)
    if found and found.digest == image.digest:
        return found, put is not Put.EXISTS
    if put is not Put.DONE and found and current and found.digest == current.digest:
        raise RefusedError(
            f"{tag} of {repository} stays on {found.digest}: the repository's tag mutability makes "
            "it a write-once tag; choose another tag, or let this one move (movableTags, "
            "writeOnceTags)"
        )
    raise RefusedError(
        f"{tag} of {repository} was moved by somebody else meanwhile and is now {_on(found)}, "
        f"not on {image.digest}; see who it was (history), let one mover run at a time, and run "
        "the command again if it is still wanted"
    )


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
