"""The inputs of resources, checked by the AWS provider's SDK.

Its `…Args` classes say which inputs a type has, and which of them are required.
"""

import inspect
import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import pulumi_aws


class NotEmbeddedError(Exception):
    """The program asks for something that AWS, or the embedded AWS, does not have."""


def check_inputs(kind: str, inputs: Mapping[str, Any]) -> None:
    """Raise NotEmbeddedError unless the provider has this type, and it takes these inputs.

    `kind` is a type token such as aws:sns/topic:Topic; names are in camelCase.
    """
    package, module, name = kind.split(":")
    service = module.partition("/")[0]
    if package != "aws" or not _class_of(service, f"{name}Args"):
        raise NotEmbeddedError(f"there is no {kind} in pulumi-aws, and nothing else is rehearsed")
    _check(service, f"{name}Args", inputs, kind)


def _check(service: str, class_name: str, inputs: Mapping[str, Any], where: str) -> None:
    known = _inputs_of(service, class_name)
    if unknown := sorted(inputs.keys() - known.keys()):
        raise NotEmbeddedError(f"{where} has no input {', '.join(unknown)}")
    required = (key for key, (is_required, _) in known.items() if is_required)
    if missing := [key for key in required if inputs.get(key) is None]:
        raise NotEmbeddedError(f"{where} requires {', '.join(missing)}")
    for key, value in inputs.items():
        nested = known[key][1]
        for item in value if isinstance(value, list) else [value]:
            if nested and isinstance(item, Mapping):
                _check(service, nested, item, f"{where}'s {key}")


def _class_of(service: str, name: str) -> Any:
    # A module named like a keyword of Python's ends with an underscore: lambda_.
    modules = (getattr(pulumi_aws, module, None) for module in (service, f"{service}_"))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of other classes
        return next((getattr(module, name) for module in modules if hasattr(module, name)), None)


@cache
def _inputs_of(service: str, class_name: str) -> dict[str, tuple[bool, str]]:
    """Of each input, in camelCase: whether it is required, and the class of its objects or ""."""
    inputs = {}
    for parameter in inspect.signature(_class_of(service, class_name)).parameters.values():
        key = re.sub("_([a-z0-9])", lambda match: match[1].upper(), parameter.name.rstrip("_"))
        annotation = str(parameter.annotation)
        nested = re.search(r"ForwardRef\('(\w+Args)'\)", annotation)
        is_required = parameter.default is inspect.Parameter.empty
        inputs[key] = (is_required, nested[1] if nested and "Mapping[" not in annotation else "")
    return inputs
