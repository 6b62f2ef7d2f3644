"""What the commands about tags print: JSON objects for machines, text for people."""

from typing import Any

from container_images.aws.image import Image
from container_images.aws.images import Repository
from container_images.aws.reference import is_digest
from container_images.cli.terminal import iso
from container_images.tags.moves import Move, Promotion
from container_images.tags.resolve import Resolved


def move_json(move: Move, caller: str, reason: str | None) -> dict[str, Any]:
    """A move, and so its record."""
    return {
        "repository": move.repository,
        "tag": move.tag,
        "from": _image_json(move.before) if move.before else None,
        "to": _image_json(move.after),
        "moved": move.moved,
        "order": move.order,
        "dryRun": move.dry_run,
        "caller": caller,
        "time": iso(move.time),
        "reason": reason,
    }


def move_text(repository: Repository, move: Move) -> str:
    """A move, in one line."""
    before, after = (image and repository.named(image) for image in (move.before, move.after))
    if move.before and move.before.digest == move.after.digest:
        return f"{move.tag} is on {after} already"
    verb = "would move" if move.dry_run else "moved"
    return f"{move.tag} {verb} from {before or 'no image'} to {after}"


def promotion_json(promotion: Promotion, caller: str, reason: str | None) -> dict[str, Any]:
    """A promotion, with the moves of the movable tags."""
    return {
        "tag": promotion.tag,
        "digest": promotion.digest,
        "added": promotion.added,
        "moves": [move_json(move, caller, reason) for move in promotion.moves],
    }


def promotion_text(repository: Repository, promotion: Promotion) -> str:
    """A promotion, and below it the moves."""
    if promotion.added:
        verb = "added to"
    else:
        verb = "would be added to" if promotion.missing else "was already on"
    lines = [f"{promotion.tag} {verb} {promotion.digest}"]
    return "\n".join([*lines, *(move_text(repository, move) for move in promotion.moves)])


def resolved_json(resolved: Resolved, uri: str) -> dict[str, Any]:
    """What a tag means, or a digest; that has no tag of its own, and `tag` is null."""
    return {
        "reference": f"{uri}@{resolved.image.digest}",
        "digest": resolved.image.digest,
        "tag": None if is_digest(resolved.name) else resolved.name,
        "uniqueTag": str(resolved.unique_tag) if resolved.unique_tag else None,
        "commit": resolved.commit,
        "builtAt": iso(resolved.built_at) if resolved.built_at else None,
        "tags": list(resolved.image.tags),
    }


def _image_json(image: Image) -> dict[str, Any]:
    return {"digest": image.digest, "tags": list(image.tags)}
