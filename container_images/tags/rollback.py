"""Find the image that a tag was on before, and move the tag back to it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import NoSuchImageError, Repository
from container_images.aws.trail import Record
from container_images.lifecycle.live import expiry_of
from container_images.policies.tag_convention import TagConvention
from container_images.tags.moves import move

Puts = tuple[Sequence[Record], Collection[str]]
"""CloudTrail's records of the images that were put in a repository, the oldest first; and the ARNs
of the pipeline roles. Where no guard names any, whoever put an image counts."""


def rollback(  # noqa: PLR0913 the command's options, each a keyword
    repository: Repository,
    tag: str,
    read_puts: Callable[[], Puts],
    note: Callable[[str], None] = lambda _: None,
    *,
    to: str | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Move the tag to where it was before, however old, or to the image `to`, a tag or a digest.

    `read_puts` asks CloudTrail, unless it raises RefusedError. A place where somebody else than the
    pipeline put the tag is skipped, and an image that is gone, or is about to go, is refused.
    Returns the record of the move, with what told the image: `cloudtrail`, `tags` or `given`.
    """
    basis = "given"
    if to is None:
        current = repository.image(tag)
        target, basis = _target(repository, tag, current, read_puts, note)
    else:
        image, current = repository.image_and_place(to, tag)
        target = image.digest
    expiry = None
    try:
        # Even where the tag would shield it: ECR may have chosen it for this day already.
        if current is None or current.digest != target:
            expiry = expiry_of(repository, target)
    except RefusedError as error:
        note(f"it is not known whether the lifecycle policy would keep {target}: {error}")
    if expiry:
        raise RefusedError(
            f"{target}, which {tag} of {repository} would go back to, will not be kept: {expiry}; "
            "name another image with --to, or move the tag anyway with move --allow-older"
        )
    try:
        expect = current.digest if current else None
        moved = move(repository, target, tag, expect=expect, allow_older=True, dry_run=dry_run)
    except NoSuchImageError:
        raise RefusedError(
            f"{target}, which {tag} of {repository} would go back to, is gone: it has expired or "
            "was deleted; name another image with --to"
        ) from None
    return {**moved, "basis": basis}


def _target(
    repository: Repository,
    tag: str,
    current: Image | None,
    read_puts: Callable[[], Puts],
    note: Callable[[str], None],
) -> tuple[str, str]:
    """Digest of the image to go back to, and what says so."""
    try:
        records, roles = read_puts()
        why = f"CloudTrail has no image that {tag} was on before the present one"
    except RefusedError as error:
        records, roles, why = [], [], str(error)
    puts = [record for record in records if record.put and not record.error]
    trusted = {record for record in puts if not roles or record.principal in roles}
    if before := _before(tag, current.digest if current else "no image", puts, trusted, note):
        return before, "cloudtrail"
    strangers = {record.put for record in puts} - {record.put for record in trusted}
    images = (image for image in repository.images() if image.digest not in strangers)
    older = next_older(repository.convention, current, images) if current else None
    if older is None:
        raise RefusedError(
            f"it is not known where {tag} of {repository} was before: no image has an older unique "
            f"tag of the same stage, and {why}; name the image with --to"
        )
    note(f"the unique tags decided: {why}")
    return older.digest, "tags"


def _before(
    tag: str,
    here: str,
    puts: Sequence[Record],
    trusted: Collection[Record],
    note: Callable[[str], None],
) -> str | None:
    """The place before the present one, without those where others than the pipeline put the tag.

    It notes who put it there, and what may be missing.
    """
    records = [record for record in puts if tag in (record.tags or ())]
    last_seen = records[-1].put if records else here
    places = [record.put or "" for record in records if record in trusted]
    stranger_is_last = bool(records) and records[-1] not in trusted
    if stranger_is_last and last_seen == here and places[-1:] != [here]:
        before = next(reversed(places), None)  # even where the pipeline had left that place before
    else:
        before = place_before([*places, here])
    for record in reversed(records):
        if record.put == before and record in trusted:
            break
        if record.put != here and record not in trusted:
            who = record.principal or "somebody unknown"
            note(
                f"skipped {record.put}: {who}, which is no pipeline role, put {tag} on it at "
                f"{record.time:%Y-%m-%d %H:%M:%S} UTC; --to goes there all the same"
            )
    if before and last_seen != here:
        note(
            f"CloudTrail has {tag} on {last_seen} last, and it is on {here} now: its events come "
            "some minutes late, so a move in between may be missing"
        )
    return before


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
    here = convention.unique_tag(current.tags)
    older: list[tuple[Any, str, Image]] = []
    for image in images:
        tag = convention.unique_tag(image.tags)
        if here is None or tag is None or tag.stage != here.stage:
            continue
        # Where releases are deployed, pre-releases were not.
        prereleases = {"-" in each.parts.get("semver", "") for each in (tag, here)}
        age = (tag.version, image.pushed_at)
        if len(prereleases) == 1 and age < (here.version, current.pushed_at):
            older.append((age, image.digest, image))
    return max(older, key=lambda ranked: ranked[:2])[2] if older else None
