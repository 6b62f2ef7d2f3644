"""The inputs of resources that the embedded AWS does not create, checked by the AWS provider's SDK.

Its `…Args` classes say which inputs a type has, and which of them are required.
"""

import inspect
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pulumi_aws


class InputError(Exception):
    """A type of resource or an input that the AWS provider does not have, or lacks."""


@dataclass(frozen=True)
class _Input:
    required: bool
    nested: str
    """Name of the class of the object, or of the list's objects; empty for anything else."""


def check_inputs(kind: str, inputs: Mapping[str, Any]) -> None:
    """Raise InputError unless the provider has this type of resource, and it takes these inputs.

    `kind` is a type token such as aws:sns/topic:Topic; names are in camelCase.
    """
    package, _, rest = kind.partition(":")
    module, _, name = rest.partition(":")
    service = module.partition("/")[0]
    if package != "aws" or not _class_of(service, f"{name}Args"):
        raise InputError(f"there is no {kind} in pulumi-aws, and nothing else is rehearsed")
    _check(service, f"{name}Args", inputs, kind)


def _check(service: str, name: str, inputs: Mapping[str, Any], where: str) -> None:
    known = _inputs_of(service, name)
    if unknown := sorted(inputs.keys() - known.keys()):
        raise InputError(f"{where} has no input {', '.join(unknown)}")
    if missing := [key for key, it in known.items() if it.required and inputs.get(key) is None]:
        raise InputError(f"{where} requires {', '.join(missing)}")
    for key, value in inputs.items():
        for item in value if isinstance(value, list) else [value]:
            if known[key].nested and isinstance(item, Mapping):
                _check(service, known[key].nested, item, f"{where}'s {key}")


def _class_of(service: str, name: str) -> Any:
    # A module named like a keyword of Python's ends with an underscore: lambda_.
    modules = (getattr(pulumi_aws, it, None) for it in (service, f"{service}_"))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of other classes
        return next((getattr(it, name) for it in modules if hasattr(it, name)), None)


@cache
def _inputs_of(service: str, name: str) -> dict[str, _Input]:
    """The inputs of an `…Args` class, by their names in camelCase."""
    inputs = {}
    for parameter in inspect.signature(_class_of(service, name)).parameters.values():
        key = re.sub("_([a-z0-9])", lambda it: it[1].upper(), parameter.name.rstrip("_"))
        annotation = str(parameter.annotation)
        nested = re.search(r"ForwardRef\('(\w+Args)'\)", annotation)
        inputs[key] = _Input(
            required=parameter.default is inspect.Parameter.empty,
            nested=nested[1] if nested and "Mapping[" not in annotation else "",
        )
    return inputs
