"""The container images that a resource runs, and whether their names can move."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pulumi_policy import ResourceValidationArgs
from pulumi_policy.proxy import UnknownValueError

from container_images.policies.invalid_input import Problem
from container_images.policies.patterns import tag_glob
from container_images.policies.tag_mutability import TAG
from container_images.policypack.guard import Config

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


def check_in_production(args: ResourceValidationArgs, config: Config) -> Iterator[Problem]:
    """What `check` finds, in a stack whose name is that of a production stack."""
    stack = args.urn.split("::")[0].rpartition(":")[2]
    if any(tag_glob(pattern, stack) for pattern in config["productionStacks"]):
        yield from check(args, config)


def check(args: ResourceValidationArgs, config: Config) -> Iterator[Problem]:
    """Each image that a resource names in a way that can come to mean another image.

    What cannot be read is a problem too: nobody could tell what runs. Raises UnknownValueError
    after that where an image is not known yet.
    """
    unknown = None
    for place in IMAGES.get(args.resource_type, ()):
        for where, image in _values(args.props, place.split("."), ()):
            if isinstance(image, UnknownValueError):
                unknown = image
            elif isinstance(image, Problem):
                yield image
            elif any(tag_glob(pattern, str(image)) for pattern in config["allowedImages"]):
                continue
            elif rule := _broken_rule(image, config["movableTags"]):
                yield Problem(where=where, value=image, rule=rule, fix=_fix(image))
    if unknown:
        raise unknown


def _values(value: Any, steps: Sequence[str], where: _Path) -> Iterator[tuple[_Path, Any]]:
    """The values at a place, each with its path.

    For one that is not known there is the SDK's error, and a Problem where the way there cannot be
    read.
    """
    if isinstance(value, UnknownValueError) or not steps:
        yield where, value
        return
    step, *rest = steps
    try:
        value = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        rule = f"the text is not JSON ({error}), so its images cannot be judged"
        fix = "write it with pulumi.Output.json_dumps or json.dumps"
        yield where, Problem(where=where, rule=rule, fix=fix)
        return
    keys: Sequence[str | int]
    if step == "[]" and isinstance(value, Sequence):
        keys = range(len(value))
    elif step != "[]" and isinstance(value, Mapping):
        # The provider reads its JSON texts without regard to case, as Go's decoder does.
        keys = [key for key in value if key.lower() == step.lower()]
    else:
        expected = "a list" if step == "[]" else f"an object with {step}"
        rule = f"this is not {expected}, so its images cannot be judged"
        yield where, Problem(where=where, rule=rule, fix="write it as AWS documents it")
        return
    for key in keys:
        try:
            element = value[key]
        except UnknownValueError as error:
            element = error
        if element is not None:
            yield from _values(element, rest, (*where, key))


def _broken_rule(image: Any, movable_tags: Sequence[str]) -> str | None:
    """The rule that the reference breaks, if any."""
    if not isinstance(image, str) or not image:
        return "this is not an image reference"
    name, at, digest = image.partition("@")
    if at:
        # With a digest, a tag beside it has no say.
        return None if _DIGEST.fullmatch(digest) else "the text after the @ is not a digest"
    _, tag = _split(name)
    if tag is None:
        return "a name without a tag means latest, which moves from image to image"
    if not TAG.fullmatch(tag):
        return "the text after the colon is not a tag"
    if any(tag_glob(pattern, tag) for pattern in movable_tags):
        return f"the tag {tag} moves from image to image"
    return None


def _split(name: str) -> tuple[str, str | None]:
    """A reference without digest as repository and tag. A colon before a slash is a port's."""
    path, slash, last = name.rpartition("/")
    base, colon, tag = last.partition(":")
    return path + slash + base, tag if colon else None


def _fix(image: Any) -> str:
    repository, tag = _split(image.partition("@")[0]) if isinstance(image, str) else ("", None)
    if ".dkr" in repository.partition("/")[0]:
        tagged = tag and TAG.fullmatch(tag) and tag != "latest"
        command = f"container-images resolve {repository}{f':{tag}' if tagged else ''}"
        return f"write the reference that `{command}` prints, or the image's unique tag"
    return f"name the image by its digest, {repository or 'REPOSITORY'}@sha256:…"
