"""Typer without pydantic, whose import takes as long as all of a command's calls to AWS."""

from dataclasses import dataclass
from typing import Any

# Not public: a version of typer that moves it fails the first import, and with it every test.
from typer._coercion import RuntimeParam
from typer.core import TyperCommand, TyperGroup


class _Plain:
    """Leaves values the text that was written, or what their `parser` makes of it.

    Typer would have pydantic see to that, and load it for every command: a fifth of a second.
    """

    def get_params(self, context: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(context)  # type: ignore[misc]
        for parameter in parameters:
            described = parameter.type_descriptor
            parameter._runtime_param = _PlainValue(  # noqa: SLF001 see the import
                parameter_info=described.parameter_info, annotation=described.annotation
            )
        return parameters


class PlainCommand(_Plain, TyperCommand):
    """A command whose values are plain."""


class PlainGroup(_Plain, TyperGroup):
    """The command of which they are part."""


@dataclass(frozen=True)
class _PlainValue(RuntimeParam):
    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ARG002
        parse = self.parameter_info.parser or str
        return [parse(it) for it in value] if param.multiple else parse(value)
