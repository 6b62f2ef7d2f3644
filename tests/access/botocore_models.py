"""The operations of AWS's services, as botocore's models have them."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from botocore.loaders import create_loader

MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    "airflow": ("mwaa",),
    "bedrock": ("bedrock", "bedrock-agent", "bedrock-agent-runtime", "bedrock-runtime"),
    "bedrock-agentcore": ("bedrock-agentcore", "bedrock-agentcore-control"),
    "cloudformation": ("cloudformation", "cloudcontrol"),
    "elasticmapreduce": ("emr",),
    "events": ("events", "eventbridgev2"),
    "kinesisanalytics": ("kinesisanalyticsv2",),
    "lambda": ("lambda", "lambda-core", "lambda-microvms", "lambda-web"),
    "states": ("stepfunctions",),
}
"""botocore's models of the services whose actions have another prefix, or whose models are many."""

Operation = tuple[str, Mapping[str, Any], Mapping[str, Any]]


@cache
def operations(prefix: str) -> list[Operation]:
    """The operations of a service: their names, their models, and the shapes there are."""
    loader = create_loader()
    return [
        (name, operation, model["shapes"])
        for model in (
            loader.load_service_model(it, "service-2") for it in MODELS.get(prefix, (prefix,))
        )
        for name, operation in model["operations"].items()
    ]


def members(shapes: Mapping[str, Any], name: str, seen: set[str]) -> Iterator[str]:
    """The names of the members of a shape, at any depth."""
    if name in seen:
        return
    seen.add(name)
    shape = shapes[name]
    yield from shape.get("members", {})
    inner = [*shape.get("members", {}).values(), *(shape[it] for it in _PARTS if it in shape)]
    for part in inner:
        yield from members(shapes, part["shape"], seen)


_PARTS: Final = ("member", "value")

SECRET: Final = re.compile(
    r"(secret|session)(access)?(key|token)|(auth|access|bearer|id|workloadaccess)token(value)?|"
    r"tokenvalue|token|password|private_?key|credentials?|.*presigned.*|.*signedurl|"
    r".*(sessionendpoint|endpointurl|authproxyurl|sessionurl)",
    re.IGNORECASE,
)
"""Names of what is, or carries, credentials, a token or the way into a session."""


def secrets_in(operation: Mapping[str, Any], shapes: Mapping[str, Any]) -> set[str]:
    """What the answer of an operation hands out, by the names of its members."""
    output = operation.get("output")
    names = members(shapes, output["shape"], set()) if output else ()
    return {name for name in names if SECRET.fullmatch(name)}
