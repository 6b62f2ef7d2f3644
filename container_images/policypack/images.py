"""Pure: the container images that a resource runs, and whether their names can move."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from container_images.policies.invalid_input import Problem
from container_images.policies.patterns import tag_glob
from container_images.policies.tag_mutability import TAG
from container_images.policypack.findings import UNKNOWN, Finding, Path, Resource, Unknown

_OF_CODEBUILD: Final = "environment.image"

IMAGES: Final[Mapping[str, Sequence[str]]] = {
    "aws:apprunner/service:Service": ("sourceConfiguration.imageRepository.imageIdentifier",),
    "aws:batch/jobDefinition:JobDefinition": (
        "containerProperties.image",
        "ecsProperties.taskProperties.[].containers.[].image",
        "eksProperties.podProperties.containers.[].image",
        "eksProperties.podProperties.initContainers.[].image",
        "nodeProperties.nodeRangeProperties.[].container.image",
        "nodeProperties.nodeRangeProperties.[].ecsProperties.taskProperties.[].containers.[].image",
        "nodeProperties.nodeRangeProperties.[].eksProperties.podProperties.containers.[].image",
        "nodeProperties.nodeRangeProperties.[].eksProperties.podProperties.initContainers.[].image",
    ),
    "aws:codebuild/project:Project": (_OF_CODEBUILD,),
    "aws:ecs/daemonTaskDefinition:DaemonTaskDefinition": ("containerDefinitions.[].image",),
    "aws:ecs/expressGatewayService:ExpressGatewayService": ("primaryContainer.image",),
    "aws:ecs/taskDefinition:TaskDefinition": ("containerDefinitions.[].image",),
    "aws:lambda/function:Function": ("imageUri",),
}
"""Where each type of pulumi-aws names images. `[]` is every element of a list. Text on the way is
JSON, as the containerDefinitions of a task and the containerProperties of a job are:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html"""

CODEBUILD_IMAGES: Final = "aws/codebuild/"
"""Images that AWS makes for CodeBuild. They have no digest that a project could name:
https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-available.html"""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def findings_in(resource: Resource, movable_tags: Sequence[str]) -> Iterator[Finding]:
    """Each image that the resource names in a way that can come to mean another image.

    `movable_tags` are patterns. What cannot be read is a fault too: nobody could tell what runs.
    """
    for place in IMAGES.get(resource.type, ()):
        for where, image in _at(resource.props, place.split("."), ()):
            if image is UNKNOWN:
                yield Unknown(where)
            elif isinstance(image, Problem):
                yield image
            elif place == _OF_CODEBUILD and str(image).startswith(CODEBUILD_IMAGES):
                continue
            elif rule := _broken_rule(image, movable_tags):
                yield Problem(where=where, value=image, rule=rule, fix=_fix(image))


def _at(value: Any, steps: Sequence[str], where: Path) -> Iterator[tuple[Path, Any]]:
    """Whatever is at the place, with the path to it; a Problem where it cannot be read."""
    if value is UNKNOWN or not steps:
        yield where, value
        return

    def unreadable(why: str, fix: str) -> tuple[Path, Problem]:
        rule = f"{why}, so its images cannot be judged"
        return where, Problem(where=where, rule=rule, fix=fix)

    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            fix = "write it with pulumi.Output.json_dumps or json.dumps"
            yield unreadable(f"the text is not JSON ({error})", fix)
            return
    step, *rest = steps
    if step == "[]" and isinstance(value, list):
        for position, it in enumerate(value):
            yield from _at(it, rest, (*where, position))
    elif step != "[]" and isinstance(value, dict):
        # The provider reads its JSON texts without regard to case, as Go's decoder does.
        for key, it in value.items():
            if key.lower() == step.lower() and it is not None:
                yield from _at(it, rest, (*where, key))
    else:
        expected = "a list" if step == "[]" else f"an object with {step}"
        yield unreadable(f"this is not {expected}", "write it as AWS documents it")


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
        of_tag = f" {tag}" if tag and TAG.fullmatch(tag) and tag != "latest" else ""
        command = f"container-images resolve {repository}{of_tag}"
        return f"write the reference that `{command}` prints, or the image's unique tag"
    return f"name the image by its digest, {repository or 'REPOSITORY'}@sha256:…"
