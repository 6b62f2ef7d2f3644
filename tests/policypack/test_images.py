"""Which images a resource runs, and which of their names move."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi_aws
import pytest

from container_images.policypack.images import IMAGES
from tests.policypack.analysis import UNKNOWN, judge, later

ECR = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-runner-deploy"
DIGEST = "sha256:" + "5" * 64
TASK = "aws:ecs/taskDefinition:TaskDefinition"
LAMBDA = "aws:lambda/function:Function"


def task(*images: Any) -> dict[str, Any]:
    return {"containerDefinitions": json.dumps([{"name": "c", "image": it} for it in images])}


PINNED = [
    f"{ECR}@{DIGEST}",
    f"{ECR}:latest@{DIGEST}",
    f"{ECR}:prod-0a1b2c3-1764000000",
    "localhost:5000/forms:1.2",
    "nginx:1.29",
]

RESOLVE = (
    f"write the reference that `container-images resolve {ECR}` prints, or the image's unique tag"
)

MOVING = {
    f"{ECR}:latest": f"the tag latest moves from image to image; {RESOLVE}",
    ECR: f"a name without a tag means latest, which moves from image to image; {RESOLVE}",
    "localhost:5000/forms": "a name without a tag means latest, which moves from image to image; "
    "name the image by its digest, localhost:5000/forms@sha256:…",
    f"{ECR}@sha256:5": f"the text after the @ is not a digest; {RESOLVE}",
    f"{ECR}:${{TAG}}": f"the text after the colon is not a tag; {RESOLVE}",
    "": "this is not an image reference; name the image by its digest, REPOSITORY@sha256:…",
}


@pytest.mark.parametrize("image", PINNED)
def test_an_image_by_a_unique_tag_or_a_digest_passes(image: str) -> None:
    assert judge("pinned-production-image", LAMBDA, {"imageUri": image}) == ([], None)


@pytest.mark.parametrize("image", MOVING)
def test_an_image_by_a_name_that_moves_fails_and_says_what_to_write(image: str) -> None:
    message = f'Function it imageUri = "{image}": {MOVING[image]}'
    assert judge("pinned-production-image", LAMBDA, {"imageUri": image}) == ([message], None)


def test_an_image_that_is_not_known_yet_is_said_to_be_judged_later() -> None:
    violations, unknown = judge("pinned-production-image", LAMBDA, {"imageUri": UNKNOWN})
    assert violations == []
    assert unknown == later("imageUri")


def test_another_movable_tag_is_named_in_the_command() -> None:
    config = {"movableTags": ["stable-*"]}
    props = {"imageUri": f"{ECR}:stable-2"}
    [message], _ = judge("pinned-production-image", LAMBDA, props, config=config)
    assert f"`container-images resolve {ECR}:stable-2`" in message
    assert judge(
        "pinned-production-image", LAMBDA, {"imageUri": f"{ECR}:latest"}, config=config
    ) == (
        [],
        None,
    )


@pytest.mark.parametrize("stack", ["prod", "production", "prod-eu", "shop-production"])
def test_it_is_about_production_stacks(stack: str) -> None:
    [_], _ = judge("pinned-production-image", TASK, task("nginx"), stack=stack)


@pytest.mark.parametrize("stack", ["dev", "staging", "product", "preprod2"])
def test_elsewhere_it_only_advises(stack: str) -> None:
    assert judge("pinned-production-image", TASK, task("nginx"), stack=stack) == ([], None)
    [_], _ = judge("pinned-image", TASK, task("nginx"), stack=stack)


def test_production_is_configured() -> None:
    config = {"productionStacks": ["live"]}
    props = task("nginx")
    assert judge("pinned-production-image", TASK, props, config=config) == ([], None)
    [_], _ = judge("pinned-production-image", TASK, props, stack="live", config=config)


def test_each_container_of_a_task_is_judged() -> None:
    violations, _ = judge("pinned-image", TASK, task(PINNED[0], "nginx", "redis:latest"))
    places = [it.split(" = ")[0] for it in violations]
    assert places == [
        "TaskDefinition it containerDefinitions[1].image",
        "TaskDefinition it containerDefinitions[2].image",
    ]


def test_json_is_read_without_regard_to_case_as_the_provider_reads_it() -> None:
    text = json.dumps([{"Name": "c", "Image": "nginx", "image": "redis"}])
    violations, _ = judge("pinned-image", TASK, {"containerDefinitions": text})
    assert len(violations) == 2


@pytest.mark.parametrize("text", ["[{", "[" * 100_000, "", '{"image": "nginx:1"}', "[7]", "null"])
def test_json_that_cannot_be_read_does_not_pass(text: str) -> None:
    [message], _ = judge("pinned-image", TASK, {"containerDefinitions": text})
    assert "images cannot be judged" in message


def test_what_is_known_is_judged_beside_what_is_not() -> None:
    props = {
        "containerProperties": UNKNOWN,
        "eksProperties": {
            "podProperties": {"containers": [{"image": "nginx"}, {"image": UNKNOWN}]}
        },
    }
    violations, unknown = judge("pinned-image", "aws:batch/jobDefinition:JobDefinition", props)
    assert [it.split(" = ")[0] for it in violations] == [
        "JobDefinition it eksProperties.podProperties.containers[0].image"
    ]
    assert unknown == later("eksProperties.podProperties.containers.1.image")


def nested(steps: list[str], image: str) -> Any:
    if not steps:
        return image
    inner = nested(steps[1:], image)
    return [inner] if steps[0] == "[]" else {steps[0]: inner}


PLACES = [(type_, place) for type_, places in IMAGES.items() for place in places]


@pytest.mark.parametrize(("type_", "place"), PLACES)
def test_every_place_of_an_image_is_looked_at(type_: str, place: str) -> None:
    first, *rest = place.split(".")
    for value in (nested(rest, "nginx"), json.dumps(nested(rest, "nginx"))):
        if not rest and value != "nginx":
            continue  # the image itself is not JSON
        [message], _ = judge("pinned-image", type_, {first: value})
        assert '= "nginx": a name without a tag means latest' in message


# --- What pulumi-aws has --------------------------------------------------------------------------

SDK = Path(pulumi_aws.__file__).parent
_NAMES = r"(?:\w+_)?image(?:_uri|_identifier)?|container_uri"
_GETTER = re.compile(
    r"    @pulumi\.getter(?:\(name=\"(\w+)\"\))?\n    def (\w+)\(self\) -> (.*):\n"
)

Inputs = dict[str, list[tuple[str, str, str]]]
"""By class: the name on the wire, the name in Python and the type of each input."""


def inputs_of(folder: Path) -> Inputs:
    """The inputs of a module of the SDK, if one of them may name an image."""
    files = [it for it in folder.glob("*.py") if not it.name.startswith(("get_", "outputs"))]
    # Most modules name none, and a search in bytes is fast.
    names = (b"image(self)", b"image_uri(self)", b"image_identifier(self)", b"container_uri(self)")
    if not any(name in data for data in map(Path.read_bytes, files) for name in names):
        return {}
    classes: Inputs = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        _, *parts = re.split(r"^class (\w+).*$", text, flags=re.MULTILINE)
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            classes[name] = [
                (wire or python, python, type_) for wire, python, type_ in _GETTER.findall(body)
            ]
    return classes


def places_in(class_: str, inputs: Inputs, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Where a class and those within it have text with a name like an image's."""
    for wire, python, type_ in inputs.get(class_, ()):
        steps = (*above, wire, "[]") if "Sequence" in type_ else (*above, wire)
        inner = re.findall(r"'(\w+Args)'", type_)
        if not inner and "str" in type_ and re.fullmatch(_NAMES, python):
            yield ".".join(steps)
        for other in inner:
            yield from places_in(other, inputs, steps)


def registered() -> dict[str, list[tuple[str, str]]]:
    """By module: the tokens and class names of the resources of pulumi-aws."""
    text = (SDK / "__init__.py").read_text(encoding="utf-8")
    [listing] = re.findall(r'resource_modules="""(.*?)"""', text, re.DOTALL)
    modules: dict[str, list[tuple[str, str]]] = {}
    for module in json.loads(listing):
        modules.setdefault(module["fqn"], []).extend(module["classes"].items())
    return modules


NO_CONTAINER_IMAGES = {
    # An AMI, and what Image Builder builds from: nothing runs there.
    ("aws:imagebuilder/containerRecipe:ContainerRecipe", "instanceConfiguration.image"),
    ("aws:imagebuilder/containerRecipe:ContainerRecipe", "parentImage"),
    ("aws:imagebuilder/imageRecipe:ImageRecipe", "parentImage"),
}


def test_no_input_of_pulumi_aws_that_takes_an_image_is_left_out() -> None:
    """A new version of it may add some: name them in images.toml, or above."""
    places = set(NO_CONTAINER_IMAGES)
    for module, resources in registered().items():
        inputs = inputs_of(SDK.joinpath(*module.split(".")[1:]))
        for token, class_ in resources:
            places |= {(token, place) for place in places_in(f"{class_}Args", inputs)}
    as_json = {
        (type_, place)
        for type_, place in PLACES
        if place.startswith(("containerProp", "ecsProp", "nodeProp")) or "taskDefinition:T" in type_
    }
    assert places == {*PLACES, *NO_CONTAINER_IMAGES} - as_json


# --- What passes ----------------------------------------------------------------------------------


def test_images_that_aws_makes_for_codebuild_pass_and_others_can_be_allowed() -> None:
    project = {"environment": {"image": "aws/codebuild/standard:latest"}}
    assert judge("pinned-image", "aws:codebuild/project:Project", project) == ([], None)
    config = {"allowedImages": ["*/sagemaker-debugger-rules:latest"]}
    props = {"imageUri": f"{ECR.rpartition('/')[0]}/sagemaker-debugger-rules:latest"}
    assert judge("pinned-image", LAMBDA, props, config=config) == ([], None)
    [_], _ = judge("pinned-image", LAMBDA, props)


def test_what_runs_no_image_passes() -> None:
    assert judge("pinned-image", LAMBDA, {"handler": "app.main"}) == ([], None)
    assert judge("pinned-image", "aws:s3/bucket:Bucket", {"imageUri": "nginx"}) == ([], None)
