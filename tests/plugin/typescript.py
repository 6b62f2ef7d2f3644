"""What `pulumi package add` declares of the plugin in TypeScript, as far as its schema goes."""

from collections.abc import Mapping
from typing import Any


def declarations(schema: Mapping[str, Any]) -> str:
    lines = [
        f'declare module "@pulumi/{schema["name"]}" {{',
        'import * as pulumi from "@pulumi/pulumi";',
    ]
    for token, it in schema["types"].items():
        lines += _interface(token, it["properties"], it.get("required", []))
    for token, it in schema["resources"].items():
        name = _name(token)
        lines += _interface(f"{name}Args", it["inputProperties"], it["requiredInputs"])
        lines.append(f"export class {name} extends pulumi.ComponentResource {{")
        lines.append(
            f"constructor(name: string, args: {name}Args, opts?: pulumi.ComponentResourceOptions);"
        )
        for key, output in it["properties"].items():
            optional = "" if key in it["required"] else " | undefined"
            lines.append(f"readonly {key}: pulumi.Output<{_type(output)}{optional}>;")
        lines.append("}")
    return "\n".join([*lines, "}"])


def _interface(token: str, properties: Mapping[str, Any], required: list[str]) -> list[str]:
    return [
        f"export interface {_name(token)} {{",
        *(
            f"{key}{'' if key in required else '?'}: {_input(it)};"
            for key, it in properties.items()
        ),
        "}",
    ]


def _input(prop: Mapping[str, Any]) -> str:
    return _type(prop) if prop.get("plain") else f"pulumi.Input<{_type(prop)}>"


def _type(prop: Mapping[str, Any]) -> str:
    if "$ref" in prop:
        return _name(prop["$ref"])
    match prop["type"]:
        case "array":
            return f"({_input(prop['items'])})[]"
        case "object":
            return f"{{[key: string]: {_input(prop['additionalProperties'])}}}"
        case "integer":
            return "number"
        case other:
            return str(other)


def _name(token: str) -> str:
    return token.rpartition(":")[2]
