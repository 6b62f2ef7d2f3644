"""Find the image that a tag was on before, and move the tag back to it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import NoSuchImageError, Repository
from container_images.aws.trail import NoTrailError
from container_images.lifecycle.fate import UnknownFateError, fate
from container_images.policies.tag_convention import TagConvention
from container_images.tags.moves import Move, move

Basis = Literal["cloudtrail", "tags", "given"]
"""What says where a tag goes back to: its places in CloudTrail, the unique tags in the repository,
or whoever asks."""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """A tag that was moved back."""

    move: Move
    basis: Basis
    notes: tuple[str, ...]
    """What whoever relies on it should know."""


def rollback(
    repository: Repository,
    tag: str,
    read_places: Callable[[], Sequence[str]],
    *,
    to: str | None = None,
    dry_run: bool = False,
) -> Rollback:
    """Move the tag to where it was before, however old, or to the image `to`, a tag or a digest.

    `read_places` gives the digests of the images that CloudTrail saw the tag put on, the oldest
    first, or raises NoTrailError. Raises RefusedError where nothing says where the tag was before,
    where that image is gone, archived or about to expire, and where the tag is
    moved by somebody else meanwhile.
    """
    if to is None:
        current = repository.image(tag)
        target, basis, notes = _target(repository, tag, current, read_places)
    else:
        image, current = repository.image_and_place(to, tag)
        target, basis, notes = image.digest, "given", ()
    if current is None or current.digest != target:
        notes = (*notes, *_refuse_going(repository, tag, target))
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


def _refuse_going(repository: Repository, tag: str, target: str) -> tuple[str, ...]:
    """Notes where it is not known. Raises RefusedError for an image that ECR is about to take.

    Even where the tag would shield it: ECR may have chosen it for this day already.
    """
    try:
        going = fate(repository, target)
    except UnknownFateError as error:
        return (f"it is not known whether the lifecycle policy would keep {target}: {error}",)
    if going is None:
        return ()
    raise RefusedError(
        f"{target}, which {tag} of {repository} would go back to, will not be kept: {going}; "
        "name another image with --to, or move the tag anyway with move --allow-older"
    )


def _target(
    repository: Repository,
    tag: str,
    current: Image | None,
    read_places: Callable[[], Sequence[str]],
) -> tuple[str, Basis, tuple[str, ...]]:
    why, or_else = f"CloudTrail has no image that {tag} was on before the present one", ";"
    try:
        places = list(read_places())
    except NoTrailError as error:
        places, why, or_else = [], str(error), ", or"  # the error says what to do itself
    here = current.digest if current else _NOWHERE
    if before := place_before([*places, here]):
        late = (
            f"CloudTrail has {tag} on {places[-1]} last, and it is on {here} now: its events come "
            "some minutes late, so a move in between may be missing"
        )
        return before, "cloudtrail", () if places[-1] == here else (late,)
    convention = repository.convention
    older = next_older(convention, current, repository.images()) if current else None
    if older is None:
        raise RefusedError(
            f"it is not known where {tag} of {repository} was before: no image has an older unique "
            f"tag of the same stage, and {why}{or_else} name the image with --to"
        )
    return older.digest, "tags", (f"the unique tags decided: {why}",)


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

    reached = age(current)
    if reached is None:
        return None
    older = [
        (found[1], image.digest, image)
        for image in images
        if (found := age(image)) and found[0] == reached[0] and found[1] < reached[1]
    ]
    return max(older, key=lambda it: it[:2])[2] if older else None
