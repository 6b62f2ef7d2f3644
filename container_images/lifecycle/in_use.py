"""Pure: the images that something runs, as it names them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from container_images.aws.in_use import Running
from container_images.aws.reference import (
    InvalidReferenceError,
    OtherRegistryError,
    Reference,
    digest,
    is_tag,
    parse,
)
from container_images.policies.invalid_input import InvalidInputError, Problem, parse_json

_KUBERNETES: Final = "docker-pullable://"
"""Before the image in the status of a pod, where Docker runs it."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """An image, as what runs it names it."""

    written: str
    reference: Reference
    """No repository is named with a digest or a tag by itself."""
    by: str = ""
    """The ARN of what runs it, where it is known."""


@dataclass(frozen=True, kw_only=True)
class InUse:
    """What is in use, and what may be besides."""

    uses: Sequence[Use] = ()
    unknown: Sequence[str] = ()
    """Why it is not known of some what they run, each in a sentence: they may run any image."""

    def __add__(self, other: "InUse") -> "InUse":
        """What either of the two has."""
        return InUse(uses=[*self.uses, *other.uses], unknown=[*self.unknown, *other.unknown])


def read_in_use(text: str) -> InUse:
    """Digests and image references, one to a line or as a JSON list, which `ecrm scan` prints.

    Those of other registries than ECR are left out. Raises InvalidInputError with everything that
    names no image.
    """
    fix = "write one digest or image reference to a line"
    # `null` is what is printed of a field that is not there, and no repository.
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    written: Any = [None if line == "null" else line for line in lines]
    if text.lstrip().startswith("["):
        written = parse_json(text, "list of images in use", fix)
    if not written:
        rule = "no image in use is named in it"
        raise InvalidInputError([Problem(where=(), rule=rule, fix=f"{fix}, or leave out --in-use")])
    problems: list[Problem] = []
    uses = list(_uses(written, problems))
    if problems:
        raise InvalidInputError(problems)
    return InUse(uses=uses)


def as_in_use(running: Running) -> InUse:
    """What runs, as far as it comes from ECR."""
    uses = [
        Use(written=running_image.image, reference=reference, by=running_image.by)
        for running_image in running.images
        if (reference := _in_ecr(running_image.image))
    ]
    return InUse(uses=uses, unknown=list(running.unread.values()))


def _in_ecr(image: str) -> Reference | None:
    """None for an image of another registry; a name without a host is Docker Hub's."""
    try:
        reference = parse(image)
    except InvalidReferenceError:
        return None
    return reference if reference.registry_id else None


def _uses(written: Iterable[Any], problems: list[Problem]) -> Iterator[Use]:
    rule = "images in use are digests and image references"
    for image in written:
        if not isinstance(image, str):
            problems.append(Problem(where=(), value=image, rule=rule, fix="write each as text"))
            continue
        try:
            yield Use(written=image, reference=_image(image.removeprefix(_KUBERNETES)))
        except OtherRegistryError:
            continue
        except InvalidReferenceError as error:
            problems.append(Problem(where=(), value=image, rule=rule, fix=str(error)))


def _image(text: str) -> Reference:
    """Raises InvalidReferenceError."""
    if text.startswith("sha256:"):
        return Reference(name="", image=digest(text))
    try:
        return parse(text)
    except InvalidReferenceError:
        if is_tag(text):
            return Reference(name="", image=text)
        raise
