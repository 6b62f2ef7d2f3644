"""Pure: a file of the images that something runs."""

from typing import Any, Final

from container_images.aws.in_use import Use
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


def read_in_use(text: str) -> list[Use]:
    """Digests and image references, one to a line or as a JSON list, which `ecrm scan` prints.

    Those of other registries than ECR are left out. Raises InvalidInputError with everything that
    names no image.
    """
    fix = "write one digest or image reference to a line, or leave out --in-use"
    # `null` is what is printed of a field that is not there, and no repository.
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    written: Any = [None if line == "null" else line for line in lines]
    if text.lstrip().startswith("["):
        written = parse_json(text, "list of images in use", fix)
    if not written:
        rule = "no image in use is named in it"
        raise InvalidInputError([Problem(where=(), rule=rule, fix=fix)])
    uses: list[Use] = []
    problems: list[Problem] = []
    for image in written:
        try:
            if reference := _reference(image):
                uses.append(Use(written=image, reference=reference))
        except InvalidReferenceError as error:
            rule = f"images in use are digests and image references ({error})"
            problems.append(Problem(where=(), value=image, rule=rule, fix=fix))
    if problems:
        raise InvalidInputError(problems)
    return uses


def _reference(image: Any) -> Reference | None:
    """None for an image of another registry. Raises InvalidReferenceError."""
    if not isinstance(image, str):
        raise InvalidReferenceError("this is no text")
    name = image.removeprefix(_KUBERNETES)
    if name.startswith("sha256:"):
        return Reference(name="", image=digest(name))
    try:
        return parse(name)
    except OtherRegistryError:
        return None
    except InvalidReferenceError:
        if is_tag(name):
            return Reference(name="", image=name)
        raise
