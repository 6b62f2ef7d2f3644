"""The container images that a resource runs, and whether their names can move."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pulumi_policy import ResourceValidationArgs
from pulumi_policy.proxy import UnknownValueError

from container_images.policies.document import tag_glob
from container_images.policies.forms import TAG
from container_images.policies.invalid_input import Problem
from container_images.policypack.guard import Config, Findings

IMAGES: Final[Mapping[str, Sequence[str]]] = tomllib.loads(
    Path(__file__).with_name("images.toml").read_text(encoding="utf-8")
)
"""By type: where it names images."""

ALLOWED_IMAGES: Final = ("aws/codebuild/*",)
"""Images that AWS makes for CodeBuild. They have no digest that a project could name:
https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-available.html"""

_Path = tuple[str | int, ...]
"""Where in a resource: keys and list positions, outermost first."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def check(args: ResourceValidationArgs, config: Config) -> Findings:
    """Each image that a resource names in a way that can come to mean another image.

    With `productionStacks`, in the stacks of these names alone. What cannot be read is a problem
    too: nobody could tell what runs.
    """
    stack = args.urn.split("::")[0].rpartition(":")[2]
    if not _any(config.get("productionStacks", "*"), stack):
        return
    for place in IMAGES.get(args.resource_type, ()):
        for where, image in _values(args.props, place.split("."), ()):
            if isinstance(image, UnknownValueError):
                yield image
            elif rule := _broken_rule(image, config):
                fix = "name the image by a unique tag or by its digest: `container-images resolve "
                fix += "REPOSITORY` prints that of one in ECR"
                yield Problem(where=where, value=image, rule=rule, fix=fix)


def _values(value: Any, steps: Sequence[str], where: _Path) -> Iterator[tuple[_Path, Any]]:
    """The values at a place, each with its path: for one that is not known, the SDK's error.

    None is what is not as AWS documents it.
    """
    if isinstance(value, UnknownValueError) or not steps:
        yield where, value
        return
    step, *rest = steps
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    keys: Sequence[str | int]
    if step == "[]" and isinstance(value, Sequence):
        keys = range(len(value))
    elif step != "[]" and isinstance(value, Mapping):
        # The provider reads its JSON texts without regard to case, as Go's decoder does.
        keys = [key for key in value if key.lower() == step.lower()]
    else:
        yield where, None
        return
    for key in keys:
        try:
            element = value[key]
        except UnknownValueError as error:
            element = error
        if element is not None:
            yield from _values(element, rest, (*where, key))


def _broken_rule(image: Any, config: Config) -> str | None:
    """The rule that the reference breaks, if any."""
    if not isinstance(image, str) or not image:
        return "this is neither an image reference nor the JSON that AWS documents here"
    name, at, digest = image.partition("@")
    # A colon before a slash is that of a port.
    _, colon, tag = name.rpartition("/")[2].partition(":")
    rules = {
        # With a digest, a tag beside it has no say.
        "the text after the @ is not a digest": at and not _DIGEST.fullmatch(digest),
        "a name without a tag means latest, which moves from image to image": not (at or colon),
        "the text after the colon is not a tag": not at and not TAG.fullmatch(tag),
        f"the tag {tag} moves from image to image": not at and _any(config["movableTags"], tag),
    }
    broken = (rule for rule, is_broken in rules.items() if is_broken)
    return None if _any(config["allowedImages"], image) else next(broken, None)


def _any(patterns: Sequence[str], text: str) -> bool:
    return any(tag_glob(pattern, text) for pattern in patterns)
