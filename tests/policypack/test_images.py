"""Which images a resource runs, and which of their names move."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi_aws
import pytest

from container_images.policypack.images import IMAGES
from tests.policypack.analysis import GOOD, UNKNOWN, judge, later

ECR = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-runner-deploy"
DIGEST = "sha256:" + "5" * 64
TASK = "aws:ecs/taskDefinition:TaskDefinition"
LAMBDA = "aws:lambda/function:Function"


def task(*images: Any) -> dict[str, Any]:
    return {"containerDefinitions": json.dumps([{"name": "c", "image": image} for image in images])}


UNTAGGED = "a name without a tag means latest, which moves from image to image"
NOTHING = "this is neither an image reference nor the JSON that AWS documents here"
RULES = {
    f"{ECR}@{DIGEST}": "",
    f"{ECR}:latest@{DIGEST}": "",
    f"{ECR}:prod-0a1b2c3-1764000000": "",
    "localhost:5000/forms:1.2": "",
    "aws/codebuild/standard:latest": "",  # AWS's own: it has no digest to name
    f"{ECR}:latest": "the tag latest moves from image to image",
    ECR: UNTAGGED,
    "localhost:5000/forms": UNTAGGED,
    f"{ECR}@sha256:5": "the text after the @ is not a digest",
    f"{ECR}:${{TAG}}": "the text after the colon is not a tag",
    "": NOTHING,
}


@pytest.mark.parametrize(("image", "rule"), RULES.items())
def test_an_image_is_named_by_a_unique_tag_or_a_digest(image: str, rule: str) -> None:
    violations, unknown = judge("pinned-production-image", LAMBDA, {"imageUri": image})
    assert (len(violations), unknown) == (bool(rule), None)
    fix = "name the image by a unique tag or by its digest: `container-images resolve "
    for message in violations:
        assert message.startswith(f'Function it: imageUri = "{image}": {rule}; {fix}')


def test_which_tags_move_and_which_images_are_exempt_is_configured() -> None:
    stable, latest = {"imageUri": f"{ECR}:stable-2"}, {"imageUri": f"{ECR}:latest"}
    assert judge("pinned-image", LAMBDA, stable) == GOOD
    assert judge("pinned-image", LAMBDA, stable, movableTags=["stable-*"]) != GOOD
    assert judge("pinned-image", LAMBDA, latest, movableTags=["stable-*"]) == GOOD
    assert judge("pinned-image", LAMBDA, latest, allowedImages=["*/forms-*:latest"]) == GOOD


@pytest.mark.parametrize(
    ("stack", "config", "production"),
    [
        ("prod-eu", {}, True),
        ("shop-production", {}, True),
        ("preprod2", {}, False),
        ("live", {"productionStacks": ["live"]}, True),
        ("prod", {"productionStacks": ["live"]}, False),
    ],
)
def test_production_is_told_by_the_name_of_the_stack(
    stack: str, config: dict[str, Any], *, production: bool
) -> None:
    refused = judge("pinned-production-image", TASK, task("nginx"), stack, **config) != GOOD
    assert refused is production
    assert judge("pinned-image", TASK, task("nginx"), stack) != GOOD


def test_each_container_of_a_task_is_judged() -> None:
    violations, _ = judge("pinned-image", TASK, task("nginx:1", "nginx", "redis:latest"))
    assert [message.split(" = ")[0] for message in violations] == [
        f"TaskDefinition it: containerDefinitions[{position}].image" for position in (1, 2)
    ]
    # The provider reads JSON without regard to case.
    text = json.dumps([{"Name": "c", "Image": "nginx", "image": "redis"}])
    violations, _ = judge("pinned-image", TASK, {"containerDefinitions": text})
    assert len(violations) == 2


@pytest.mark.parametrize("text", ["[{", "[" * 100_000, "", '{"image": "nginx:1"}', "[7]", "null"])
def test_json_that_cannot_be_read_does_not_pass(text: str) -> None:
    [message], _ = judge("pinned-image", TASK, {"containerDefinitions": text})
    assert NOTHING in message


def test_what_is_known_is_judged_beside_what_is_not() -> None:
    props = {
        "containerProperties": UNKNOWN,
        "eksProperties": {
            "podProperties": {"containers": [{"image": "nginx"}, {"image": UNKNOWN}]}
        },
    }
    [message], unknown = judge("pinned-image", "aws:batch/jobDefinition:JobDefinition", props)
    place = "eksProperties.podProperties.containers"
    assert message.startswith(f"JobDefinition it: {place}[0].image = ")
    assert unknown == later(f"{place}.1.image")[1]


def nested(steps: list[str], image: str) -> Any:
    if not steps:
        return image
    inner = nested(steps[1:], image)
    return [inner] if steps[0] == "[]" else {steps[0]: inner}


PLACES = [(type_, place) for type_, places in IMAGES.items() for place in places]


def test_every_place_of_an_image_is_looked_at_and_no_other() -> None:
    for type_, place in PLACES:
        first, *rest = place.split(".")
        value = nested(rest, "nginx")
        for written in (value, json.dumps(value)) if rest else (value,):
            [message], _ = judge("pinned-image", type_, {first: written})
            assert f'= "nginx": {UNTAGGED}' in message
    assert judge("pinned-image", LAMBDA, {"handler": "app.main"}) == GOOD
    assert judge("pinned-image", "aws:s3/bucket:Bucket", {"imageUri": "nginx"}) == GOOD


SDK = Path(pulumi_aws.__file__).parent
_NAMES = r"(?:\w+_)?image(?:_uri|_identifier)?|container_uri"
_GETTER = re.compile(
    r"    @pulumi\.getter(?:\(name=\"(\w+)\"\))?\n    def (\w+)\(self\) -> (.*):\n"
)

Inputs = dict[str, list[tuple[str, str, str]]]
"""By class: the name on the wire, the name in Python and the type of each input."""


def inputs_of(folder: Path) -> Inputs:
    """The inputs of a module of the SDK, if one of them may name an image."""
    files = [file for file in folder.glob("*.py") if not file.name.startswith(("get_", "outputs"))]
    data = b"".join(map(Path.read_bytes, files))
    # Most modules name none, and a search in bytes is fast.
    names = (b"image(self)", b"image_uri(self)", b"image_identifier(self)", b"container_uri(self)")
    if not any(name in data for name in names):
        return {}
    _, *parts = re.split(r"^class (\w+).*$", data.decode(), flags=re.MULTILINE)
    return {
        name: [(wire or python, python, type_) for wire, python, type_ in _GETTER.findall(body)]
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


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
