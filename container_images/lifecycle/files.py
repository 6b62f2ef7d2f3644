"""Pure: the files that a report is made from, as the AWS CLI prints them."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

from container_images.aws.image import Image, image_of, moment
from container_images.aws.reference import (
    InvalidReferenceError,
    OtherRegistryError,
    Reference,
    digest,
    is_tag,
    parse,
)
from container_images.lifecycle.document import Rule, rules_in
from container_images.policies.invalid_input import ABSENT, InvalidInputError, Problem, parse_json


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The images of one repository."""

    images: tuple[Image, ...]
    repository: str = ""
    """Its name, where it is known."""


def read_policy(text: str) -> tuple[Rule, ...]:
    """The rules of a policy, or of what `aws ecr get-lifecycle-policy` prints.

    Raises InvalidInputError with everything for which AWS would refuse it.
    """
    document = parse_json(
        text, "policy", "write it as aws ecr get-lifecycle-policy has it, with --output json"
    )
    if isinstance(document, dict) and isinstance(document.get("lifecyclePolicyText"), str):
        return read_policy(document["lifecyclePolicyText"])
    return rules_in(document)


def read_images(text: str) -> Listing:
    """The images that `aws ecr describe-images` prints, in either version of the AWS CLI.

    It prints no index's children. Raises InvalidInputError with everything that cannot be read.
    """
    written = parse_json(
        text, "list of images", "write it as aws ecr describe-images has it, with --output json"
    )
    details = written.get("imageDetails") if isinstance(written, dict) else written
    if not isinstance(details, list):
        rule = "the file of images is an object with imageDetails"
        raise InvalidInputError([Problem(where=(), value=written, rule=rule, fix=_PRINT)])
    faults: list[Problem] = []
    images: dict[str, Image] = {}
    names: set[str] = set()
    for position, detail in enumerate(details):
        if found := _faults_in(detail, images):
            faults += (it.under("imageDetails", position) for it in found)
        else:
            images[detail["imageDigest"]] = image_of(detail)
            names |= {detail.get("repositoryName") or ""} - {""}
    if len(names) > 1:
        rule = "these are the images of several repositories"
        fix = "take one file for each: a policy counts in one repository"
        faults.append(Problem(where=("imageDetails",), value=sorted(names), rule=rule, fix=fix))
    if faults:
        raise InvalidInputError(faults)
    return Listing(images=tuple(images.values()), repository="".join(names))


_PRINT: Final = "print it with aws ecr describe-images --output json"
_TIME: Final = (
    "this is a time with its offset from UTC, or the seconds since 1970",
    "print it as the AWS CLI does, such as 2026-01-31T12:00:00+00:00",
)


def _is_moment(written: Any) -> bool:
    try:
        moment(written)
    except ValueError:
        return False
    return True


_KEYS: Final[Mapping[str, tuple[Callable[[Any], bool], str, str]]] = {
    "imageDigest": (
        lambda it: isinstance(it, str),
        "each image has a digest",
        "print the list without a --query that leaves it out",
    ),
    "repositoryName": (
        lambda it: it is None or isinstance(it, str),
        "the name of the repository is text",
        _PRINT,
    ),
    "imageTags": (
        lambda it: not it or (isinstance(it, list) and all(isinstance(tag, str) for tag in it)),
        "the tags are a list of text",
        _PRINT,
    ),
    "imageSizeInBytes": (
        lambda it: it is None or isinstance(it, int),
        "the size is a whole number",
        _PRINT,
    ),
    "imagePushedAt": (_is_moment, *_TIME),
    **dict.fromkeys(
        ("lastArchivedAt", "lastActivatedAt", "lastRecordedPullTime"),
        (lambda it: it is None or _is_moment(it), *_TIME),
    ),
}
"""What the evaluator needs of an image: what its value is (None: not there), in words, the fix."""


def _faults_in(detail: Any, before: Container[str]) -> list[Problem]:
    if not isinstance(detail, dict):
        return [Problem(where=(), value=detail, rule="an image is an object", fix=_PRINT)]
    wrong = {key: says for key, (valid, *says) in _KEYS.items() if not valid(detail.get(key))}
    if not wrong and detail["imageDigest"] in before:
        wrong = {"imageDigest": ["this image stands there twice", _PRINT]}
    return [
        Problem(where=(key,), value=detail.get(key, ABSENT), rule=rule, fix=fix)
        for key, (rule, fix) in wrong.items()
    ]


def read_in_use(text: str) -> list[str]:
    """Digests and image references, one to a line or as a JSON list, but for other registries'.

    Raises InvalidInputError with everything that names no image.
    """
    # `null` is what is printed of a field that is not there, and no repository.
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    written: Any = [None if line == "null" else line for line in lines]
    fix = "write one digest or image reference to a line"
    if text.lstrip().startswith("["):
        written = parse_json(text, "list of images in use", fix)
    if not written:
        rule = "no image in use is named in it"
        raise InvalidInputError([Problem(where=(), rule=rule, fix=f"{fix}, or leave out --in-use")])
    used: list[str] = []
    wrong: list[tuple[Any, str]] = []
    for it in written:
        if not isinstance(it, str):
            wrong.append((it, "write each as text"))
            continue
        try:
            image_in_use(it)
        except OtherRegistryError:
            continue
        except InvalidReferenceError as error:
            wrong.append((it, str(error)))
        used.append(it)
    if wrong:
        rule = "images in use are digests and image references"
        raise InvalidInputError(
            [Problem(where=(), value=it, rule=rule, fix=fix) for it, fix in wrong]
        )
    return used


def image_in_use(written: str) -> Reference:
    """An image as what runs it names it. No repository is named with a digest or tag by itself.

    Raises InvalidReferenceError.
    """
    if written.startswith("sha256:"):
        return Reference(name="", image=digest(written))
    try:
        return parse(written)
    except InvalidReferenceError:
        if is_tag(written):
            return Reference(name="", image=written)
        raise
