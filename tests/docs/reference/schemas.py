"""Tables of a pydantic model's keys, from its JSON Schema: key, type, default."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from cgbench.spec.toml_text import toml
from cgbench.units import format_size
from tests.docs.reference.markdown import code, codes, paragraphs, table

Schema = Mapping[str, Any]


def every(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a model and all models in it, each once, in the order of their first use."""
    found: dict[type[BaseModel], None] = {}

    def visit(one: type[BaseModel]) -> None:
        if one in found:
            return
        found[one] = None
        for field in one.model_fields.values():
            for inner in _models(field.annotation):
                visit(inner)

    visit(model)
    return list(found)


def section(
    model: type[BaseModel],
    mode: Literal["validation", "serialization"],
    headings: Mapping[type[BaseModel], str],
) -> str:
    """Return the docstring of a model and the table of its keys.

    `headings` are those under which the page describes each model.
    """
    links = {one.__name__: _link(headings[one]) for one in every(model)[1:] if one in headings}
    schema = model.model_json_schema(mode=mode)
    required = set(schema.get("required", ()))
    rows = [
        (
            code(key),
            words(one, schema.get("$defs", {}), links),
            _default(model, key, one, written=mode == "validation" and key not in required),
        )
        for key, one in schema["properties"].items()
    ]
    if mode == "serialization":
        text = re.sub(r"\bNone\b", "null", paragraphs(model)).replace("False", "false")
        return f"{text}\n\n{table(('key', 'value'), [row[:2] for row in rows])}"
    said = [_said(one) for one in schema["properties"].values()]
    told = [(*row, *more) for row, more in zip(rows, said, strict=True)]
    head = ("key", "value", "default", "what it is", "example")
    return f"{paragraphs(model)}\n\n{table(head, told)}"


def _said(schema: Schema) -> tuple[str, str]:
    """Return what a key is, and a value as a TOML file has it."""
    examples = schema.get("examples", ())
    return schema.get("description", "–"), code(toml(examples[0])) if examples else "–"


def words(schema: Schema, definitions: Mapping[str, Schema], links: Mapping[str, str]) -> str:
    """Say in words which values a schema takes; objects are links to where they are described."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if "enum" in definitions[name]:
            return words(definitions[name], definitions, links)
        return links.get(name, name)
    if "enum" in schema:
        return f"one of {codes(schema['enum'])}"
    if "const" in schema:
        return code(schema["const"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(words(one, definitions, links) for one in schema["anyOf"]))
    match schema.get("type"):
        case "array":
            item = schema.get("items", {})
            return f"list of {words(item, definitions, links)}"
        case "object" if isinstance(schema.get("additionalProperties"), Mapping):
            return f"table of name = {words(schema['additionalProperties'], definitions, links)}"
        case None:
            return "anything"
        case "null":
            return "null"
        case kind:
            return _plain(str(kind), schema)


def _link(heading: str) -> str:
    return f"[{heading}](#{heading.lower().replace(' ', '-')})"


def _plain(kind: str, schema: Schema) -> str:
    if schema.get("format") == "date-time":
        return "time, as ISO 8601"
    pattern = schema.get("pattern", "")
    if "(ns|us" in pattern:
        return "duration, as in `6s`"
    if "kmgtp" in pattern:
        return "size, as in `64m`"
    if pattern:
        return f"text matching {code(pattern)}"
    bounds = [
        f"{word} {_number(schema[key])}"
        for key, word in (
            ("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"),
        )
        if key in schema
    ]  # fmt: skip
    noun = {"string": "text", "integer": "whole number", "number": "number",
            "boolean": "true or false", "object": "object"}[kind]  # fmt: skip
    return " ".join([noun, " and ".join(bounds)]).strip()


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _default(model: type[BaseModel], key: str, schema: Schema, *, written: bool) -> str:
    if not written:
        return "required"
    value = schema.get("default")
    if value is None or isinstance(value, list | dict):
        if value and isinstance(value, list):
            return codes(value)
        return "–"
    if "size, as" in words(schema, {}, {}):
        return code(format_size(value))
    return code(json.dumps(value).strip('"'))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models anywhere in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models(inner)
