"""Tools as others take them: as schemas for a model's API, as Python functions for an agent framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Final, cast

from pytest_selfrep.tools.base import JsonSchema, Tool

_TYPES: Final[Mapping[object, type]] = {"string": str, "number": float, "integer": int, "boolean": bool}


def schema_of(tool: Tool) -> JsonSchema:
    """As OpenAI's chat completions have it."""
    about: JsonSchema = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": about}


def function_of(tool: Tool, call: Callable[..., str]) -> Callable[..., str]:
    """A function that calls the tool by way of ``call(name, **arguments)``.

    Name, docstring (with an ``Args`` section), signature and annotations are the tool's, so that frameworks
    can make their own schema of it. Optional arguments are None when left out.
    """
    properties = cast("Mapping[str, JsonSchema]", tool.parameters.get("properties", {}))
    required = set(cast("list[str]", tool.parameters.get("required", [])))
    parameters = [_parameter(name, about, name in required) for name, about in properties.items()]
    # Python wants those without a default first.
    parameters.sort(key=lambda parameter: parameter.default is not Parameter.empty)
    signature = Signature(parameters, return_annotation=str)

    def use(*positional: object, **named: object) -> str:
        given = signature.bind(*positional, **named).arguments
        return call(tool.name, **{name: value for name, value in given.items() if value is not None})

    use.__name__ = use.__qualname__ = tool.name
    use.__doc__ = _docstring(tool.description, properties)
    use.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": str}
    use.__signature__ = signature  # type: ignore[attr-defined]  # Functions may have one (PEP 362).
    return use


def _parameter(name: str, about: JsonSchema, required: bool) -> Parameter:
    kind = _TYPES.get(about.get("type"), object)
    if required:
        return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, annotation=kind | None, default=None)


def _docstring(description: str, properties: Mapping[str, JsonSchema]) -> str:
    if not properties:
        return description
    lines = [f"    {name}: {about.get('description', '')}".rstrip() for name, about in properties.items()]
    return "\n".join([description, "", "Args:", *lines])
