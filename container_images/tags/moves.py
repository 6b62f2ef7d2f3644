"""Tags moved, added and resolved, without an image being pulled.

ECR has no compare-and-swap: the last one to put a tag wins. So each put is read back, and the
move that lost a race fails. The pipeline has to let one job at a time move tags.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import sleep
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws.errors import DENIED_BY_RESOURCE, RefusedError, code_of, explain, refused
from container_images.aws.image import NEVER, Image
from container_images.aws.images import Put, Repository
from container_images.aws.reference import is_digest

READ_AGAIN_SECONDS: Final = (0.25, 0.5, 1.0, 2.0)
"""Waits before the next look where ECR has taken a put and still shows the tag where it was."""

_OTHER_CONVENTION: Final = "if the stack has another convention, name it with --stack"
"""The likeliest reason why tags cannot be read, so the first fix."""


def move(  # noqa: PLR0913 the command's options, each a keyword
    repository: Repository,
    source: str,
    tag: str,
    *,
    expect: str | None = None,
    allow_older: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Put the tag on the image that `source`, a tag or a digest, names. Returns the record of it.

    Four calls of ECR, five where the tag does not exist yet, and more only where ECR is slow to
    show what it took. Raises RefusedError, and puts nothing, where the tag is not on the image
    `expect`, and unless `allow_older` where the image is or may be older than the tag's.
    """
    image, current = repository.image_and_place(source, tag)
    after, moved, order = image, False, None
    if _digest(current) != image.digest:
        if expect and (current is None or expect not in {current.digest, *current.tags}):
            raise RefusedError(
                f"{tag} of {repository} is {_on(repository, current)}, and not on the expected "
                f"{expect}; see what moved it (history), then expect that image"
            )
        if current and not allow_older:
            order = _refuse_older(repository, image, tag, current)
        if not dry_run:
            after, moved = _put(repository, image.digest, tag, current)
    return {
        "repository": repository.name,
        "tag": tag,
        "from": current and {"digest": current.digest, "tags": [*current.tags]},
        "to": {"digest": after.digest, "tags": [*after.tags]},
        "moved": moved,
        "order": order,
        "dryRun": dry_run,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def promote(  # noqa: PLR0913 the command's options, each a keyword
    repository: Repository,
    source: str,
    stage: str | None = None,
    *,
    tag: str | None = None,
    movable: Sequence[str] = (),
    dry_run: bool = False,
) -> dict[str, Any]:
    """Give an image a unique tag, unless it has it; then move the `movable` tags to it, in order.

    The tag is either given, or made for a stage of the convention: then an image that has any tag
    of that stage keeps it. All that can be refused is refused before anything is put. If anything
    fails later, the next run finds the tag and goes on from there. In a dry run `added` says that
    the tag would be.
    """
    moves = [move(repository, source, name, dry_run=True) for name in movable]
    if moves:
        digest, tags = moves[0]["to"]["digest"], moves[0]["to"]["tags"]
    else:
        image, _ = repository.image_and_place(source, source)
        digest, tags = image.digest, image.tags
    tag = _unique_tag(repository, digest, tags, stage, tag)
    missing = tag not in tags
    # Even with a commit and this second in it: two images may have been built from one commit.
    if missing and (holder := repository.image(tag)):
        raise RefusedError(
            f"{tag} of {repository} is {_on(repository, holder)} already, and a unique tag stays "
            f"on its image; run the command again if the tag has the time in it, or give "
            f"{digest} another one with --as"
        )
    tags_put = [tag] * (missing and not dry_run)
    if tags_put:
        _put(repository, digest, tag, None)
    for position, name in enumerate([] if dry_run else movable):
        try:
            with refused():
                moves[position] = move(repository, digest, name)
        except RefusedError as error:
            if tags_put:
                error.args = (f"{', '.join(tags_put)} put on {digest}, but {error}",)
            raise
        tags_put += [name] * moves[position]["moved"]
    return {"tag": tag, "digest": digest, "added": missing, "moves": moves}


def resolve(
    repository: Repository, name: str, note: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """What a tag means at this moment, or what a digest names, as in JSON. One call of ECR.

    It notes why the tags do not tell what was built. Raises NoSuchImageError where there is no such
    image, and RefusedError where it is archived.
    """
    image, _ = repository.image_and_place(name, name)
    convention = repository.convention
    tags = convention.unique_tags(image.tags)
    commit = None
    try:
        commit = convention.commit(image.tags)
    except ValueError as error:
        # A convention that leaves the commit out still tells which build it is.
        if not tags or any("sha" in tag.parts for tag in tags):
            tags = []
            note(f"commit, unique tag and build time of {name} are unknown: {error}")
    built = convention.built_at(image.tags) if tags else None
    return {
        "reference": f"{repository.uri(image.registry_id)}@{image.digest}",
        "digest": image.digest,
        "tag": None if is_digest(name) else name,
        "uniqueTag": tags[0].text if tags else None,
        "commit": commit,
        "builtAt": f"{built:%Y-%m-%dT%H:%M:%SZ}" if built else None,
        "tags": list(image.tags),
    }


def _unique_tag(
    repository: Repository, digest: str, tags: Sequence[str], stage: str | None, tag: str | None
) -> str:
    """The tag that is given, or the image's tag of the stage, or the one that it is to get."""
    convention = repository.convention
    written = convention.read(tag) if tag else None
    stage = written.stage if written else stage
    present = [own.text for own in convention.unique_tags(tags) if own.stage == stage]
    if tag is None and present:
        return present[0]
    if tag is None:
        try:
            return convention.write(stage or "", tags, datetime.now(UTC))
        except ValueError as error:
            raise RefusedError(
                f"{digest} of {repository}: {error}; {_OTHER_CONVENTION}, or give the tag itself "
                "with --as"
            ) from None
    if present and tag not in present:
        raise RefusedError(
            f"{digest} of {repository} has {present[0]} for the stage {stage} already, and gets "
            f"no other; leave --as {tag} out, or promote with --stage {stage}"
        )
    return tag


def _put(
    repository: Repository, digest: str, tag: str, current: Image | None
) -> tuple[Image, bool]:
    """Put the tag and read it back: the image as it is then, and whether this put did it."""
    manifest = repository.manifest(digest)
    try:
        put = repository.put(manifest, tag)
    except ClientError as error:
        if DENIED_BY_RESOURCE in str(error):
            roles: Collection[str] = ()
            with suppress(ClientError, BotoCoreError):
                roles = repository.pipeline_roles()
            exempted = f" ({', '.join(sorted(roles))})" if roles else ""
            raise RefusedError(explain(error) + exempted, code_of(error)) from None
        raise
    holder = repository.image(tag)
    # A read right after a put may still show what was there before it.
    for seconds in READ_AGAIN_SECONDS if put is not Put.EXISTS else ():
        if _digest(holder) != _digest(current):
            break
        sleep(seconds)
        holder = repository.image(tag)
    if holder and holder.digest == digest:
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
    raise RefusedError(f"{tag} of {repository} is {place}, not on {digest}: {why}")


def _refuse_older(repository: Repository, image: Image, tag: str, current: Image) -> str:
    """Refuse an image unless it is known not to be older than that of the tag. What told it.

    That is the convention: the times or the versions in their tags. Or else the times of the push,
    which an image keeps when it gets another tag.
    """
    convention = repository.convention
    named = [bool(convention.unique_tag(each.tags)) for each in (image, current)]
    order: tuple[str, int] | None = None
    if all(named) or (any(named) and not convention.tells_time):
        order = convention.order(image.tags, current.tags)
        times = image.pushed_at, current.pushed_at
        if order is None and NEVER not in times and times[0] != times[1]:
            order = "pushed", 1 if times[0] > times[1] else -1
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


def _age(repository: Repository, image: Image, by: str) -> str:
    """What an image was ordered by, for a message."""
    if by == "pushed":
        return f"pushed {image.pushed_at:%Y-%m-%d %H:%M:%S} UTC"
    built = repository.convention.built_at(image.tags)
    tag = repository.convention.unique_tags(image.tags)[0].text
    return f"{tag}, built {built:%Y-%m-%d %H:%M:%S} UTC" if built else tag


def _digest(image: Image | None) -> str | None:
    return image.digest if image else None


def _on(repository: Repository, image: Image | None) -> str:
    return f"on {repository.named(image.digest, image.tags) if image else 'no image'}"
