"""Find the image that a tag was on before, and move the tag back to it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import NoSuchImageError, Repository
from container_images.aws.trail import PUT, NoTrailError, Record
from container_images.lifecycle.live import UnknownExpiryError, expiry_of
from container_images.policies.tag_convention import TagConvention
from container_images.tags.moves import Move, move

Basis = Literal["cloudtrail", "tags", "given"]
"""What says where a tag goes back to: its places in CloudTrail, the unique tags in the repository,
or the caller."""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """A tag that was moved back."""

    move: Move
    basis: Basis
    notes: tuple[str, ...]
    """What whoever relies on it should know."""


@dataclass(frozen=True, kw_only=True)
class Puts:
    """The images that CloudTrail saw put in a repository."""

    records: Sequence[Record]
    """The oldest first."""
    pipeline_roles: frozenset[str] = frozenset()
    """Their ARNs. Empty where no guard names them: then whoever put an image counts."""

    def of(self, tag: str) -> list[Record]:
        """Where a tag was put, as far as CloudTrail has the digest and the tag."""
        return [record for record in self._done if tag in (record.tags or ())]

    def by_others(self) -> dict[str | None, Record]:
        """The last put of each image, by its digest, where no pipeline role put the image."""
        pipelines = {record.put for record in self._done if not self.is_by_other(record)}
        return {record.put: record for record in self._done if record.put not in pipelines}

    def is_by_other(self, record: Record) -> bool:
        """Whether somebody else than the pipeline put it."""
        return bool(self.pipeline_roles) and record.principal not in self.pipeline_roles

    @property
    def _done(self) -> list[Record]:
        return [
            record
            for record in self.records
            if record.event == PUT and record.put and not record.error
        ]


def rollback(
    repository: Repository,
    tag: str,
    read_puts: Callable[[], Puts],
    *,
    to: str | None = None,
    dry_run: bool = False,
) -> Rollback:
    """Move the tag to where it was before, however old, or to the image `to`, a tag or a digest.

    `read_puts` reads CloudTrail, or raises NoTrailError. A place where somebody else than the
    pipeline put the tag is skipped. Raises RefusedError where nothing says where the tag was
    before, where that image is gone, archived or about to expire, and where the tag is moved by
    somebody else meanwhile.
    """
    if to is None:
        current = repository.image(tag)
        target, basis, notes = _target(repository, tag, current, read_puts)
    else:
        image, current = repository.image_and_place(to, tag)
        target, basis, notes = image.digest, "given", ()
    if current is None or current.digest != target:
        notes = (*notes, *_refuse_expiring(repository, tag, target))
    try:
        moved = move(
            repository,
            target,
            tag,
            expect=current.digest if current else None,
            allow_older=True,
            dry_run=dry_run,
        )
    except NoSuchImageError:
        raise RefusedError(
            f"{target}, which {tag} of {repository} would go back to, is gone: it has expired or "
            "was deleted; name another image with --to"
        ) from None
    return Rollback(move=moved, basis=basis, notes=notes)


def _refuse_expiring(repository: Repository, tag: str, target: str) -> tuple[str, ...]:
    """Notes where it is not known. Raises RefusedError for an image that is about to expire.

    Even where the tag would shield it: ECR may have chosen it for this day already.
    """
    try:
        expiry = expiry_of(repository, target)
    except UnknownExpiryError as error:
        return (f"it is not known whether the lifecycle policy would keep {target}: {error}",)
    if expiry is None:
        return ()
    raise RefusedError(
        f"{target}, which {tag} of {repository} would go back to, will not be kept: {expiry}; "
        "name another image with --to, or move the tag anyway with move --allow-older"
    )


def _target(
    repository: Repository, tag: str, current: Image | None, read_puts: Callable[[], Puts]
) -> tuple[str, Basis, tuple[str, ...]]:
    """Digest of the image to go back to, what says so, and notes."""
    why, or_else = f"CloudTrail has no image that {tag} was on before the present one", ";"
    try:
        puts = read_puts()
    except NoTrailError as error:
        puts, why, or_else = Puts(records=()), str(error), ", or"  # the error has a fix itself
    here = current.digest if current else _NOWHERE
    before, notes = _before(tag, here, puts)
    if before:
        return before, "cloudtrail", notes
    others = puts.by_others()
    convention = repository.convention
    images = list(repository.images()) if current else []
    older = current and next_older(
        convention, current, (image for image in images if image.digest not in others)
    )
    if older is None:
        raise RefusedError(
            f"it is not known where {tag} of {repository} was before: no image has an older unique "
            f"tag of the same stage, and {why}{or_else} name the image with --to"
            + "".join(f" ({note})" for note in notes)
        )
    return older.digest, "tags", (*notes, f"the unique tags decided: {why}")


def _before(tag: str, here: str, puts: Puts) -> tuple[str | None, tuple[str, ...]]:
    """The place before the present one, without those where others than the pipeline put the tag.

    And notes: who put it there, and what may be missing.
    """
    records = puts.of(tag)
    last_seen = records[-1].put if records else here
    notes = []
    while before := place_before([*(record.put or "" for record in records), here]):
        last = [record for record in records if record.put == before][-1]
        if not puts.is_by_other(last):
            break
        records.remove(last)
        notes.append(
            f"skipped {before}: {last.principal or 'somebody unknown'}, which is no pipeline role, "
            f"put {tag} on it at {last.time:%Y-%m-%d %H:%M:%S} UTC; --to goes there all the same"
        )
    if before and last_seen != here:
        notes.append(
            f"CloudTrail has {tag} on {last_seen} last, and it is on {here} now: its events come "
            "some minutes late, so a move in between may be missing"
        )
    return before, tuple(notes)


_NOWHERE: Final = "no image"


def place_before(places: Sequence[str]) -> str | None:
    """Where a tag was before it came to its last place, given its places, the oldest first.

    A tag that comes back to an earlier place has been rolled back, and what it was on in between is
    out of the question: another rollback goes behind that place. None where nothing is behind it.
    """
    standing: list[str] = []
    for place in places:
        if place in standing:
            del standing[standing.index(place) + 1 :]
        else:
            standing.append(place)
    return standing[-2] if len(standing) > 1 else None


def next_older(convention: TagConvention, current: Image, images: Iterable[Image]) -> Image | None:
    """The image with the next older unique tag of the stage that the current one has reached.

    Where nothing in the tags of that stage orders them, the times of the push do.
    """

    def age(image: Image) -> tuple[tuple[str, bool], Any] | None:
        tag = convention.unique_tag(image.tags)
        if tag is None:
            return None
        # Where releases are deployed, pre-releases were not.
        return (tag.stage, "-" in (tag.semver or "")), tag.version or (image.pushed_at,)

    current_age = age(current)
    if current_age is None:
        return None
    older = [
        (image_age[1], image.digest, image)
        for image in images
        if (image_age := age(image))
        and image_age[0] == current_age[0]
        and image_age[1] < current_age[1]
    ]
    return max(older, key=lambda ranked: ranked[:2])[2] if older else None
