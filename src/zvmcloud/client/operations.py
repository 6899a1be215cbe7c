"""What a manager can do, read from its OpenAPI document: so that a program offers what the manager offers, also what
came after the program was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that an operation takes. ``place``: in the path, the query, or the JSON body. ``kind``: how it is
    written: string, integer, number, boolean, array (``item``: its elements), or object. ``schema``: all that is known
    of it, references resolved."""

    name: str
    place: Literal["path", "query", "body"]
    kind: str
    required: bool
    description: str
    schema: Schema
    item: Schema | None = None

    @property
    def choices(self) -> tuple[str, ...]:
        """The values it may have, if the document lists them."""
        return tuple(str(value) for value in self.schema.get("enum", ()))

    @property
    def secret(self) -> bool:
        """Whether it is a password, which belongs neither on a command line nor on a screen."""
        return self.schema.get("format") == "password"


@dataclass(frozen=True, slots=True)
class Operation:
    """A route. ``name`` is noun.verb. ``body``: media type of the body, "" without one. ``answers``: media types of
    the successful answers. ``job``: it answers with a job; ``paged``: with a page of a list. ``asks``: a person is
    asked before it is done."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]
    body: str
    answers: tuple[str, ...]
    job: bool
    paged: bool
    asks: bool

    @property
    def noun(self) -> str:
        return self.name.partition(".")[0]

    @property
    def verb(self) -> str:
        return self.name.partition(".")[2]


def operations(document: Schema) -> tuple[Operation, ...]:
    """All operations of a document, by name."""
    return tuple(sorted(_found(document), key=lambda one: one.name))


def _found(document: Schema) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, item in methods.items():
            content = item.get("requestBody", {}).get("content", {})
            media = next(iter(content), "")
            body = content.get(media, {}).get("schema", {})
            good = {status: answer for status, answer in item["responses"].items() if status.startswith("2")}
            shapes = [shape for answer in good.values() for shape in answer.get("content", {}).values()]
            names = {str(shape.get("schema", {}).get("$ref", "")).rpartition("/")[2] for shape in shapes}
            yield Operation(
                name=item["operationId"],
                method=method.upper(),
                path=path,
                summary=item.get("summary", ""),
                description=item.get("description", ""),
                parameters=(
                    *_parameters(document, item.get("parameters", ())),
                    *(_members(document, body) if media == "application/json" else ()),
                ),
                body=media,
                answers=tuple(kind for answer in good.values() for kind in answer.get("content", {})),
                job="Job" in names and "202" in good,
                paged=any(name.startswith("Page_") for name in names),
                asks=bool(item.get("x-asks")),
            )


def _parameters(document: Schema, given: Any) -> Iterator[Parameter]:
    for parameter in given:
        if parameter["in"] in {"path", "query"}:
            place: Literal["path", "query"] = "path" if parameter["in"] == "path" else "query"
            required = bool(parameter.get("required"))
            yield _one(document, parameter["name"], place, parameter["schema"], required, parameter.get("description"))


def _members(document: Schema, body: Schema) -> Iterator[Parameter]:
    schema = _resolved(document, body)
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        yield _one(document, name, "body", field, name in required, field.get("description"))


def _one(
    document: Schema,
    name: str,
    place: Literal["path", "query", "body"],
    field: Schema,
    required: bool,
    told: str | None,
) -> Parameter:
    schema = _resolved(document, field)
    item = _resolved(document, schema["items"]) if "items" in schema else None
    kind = schema.get("type") or "string"
    return Parameter(name, place, str(kind), required, told or str(schema.get("description") or ""), schema, item)


def _resolved(document: Schema, schema: Schema) -> Schema:
    """The schema behind a reference, and of what may be null, that which is not."""
    if "$ref" in schema:
        parts = document["components"]["schemas"]
        outer = {name: value for name, value in schema.items() if name != "$ref"}
        return {**_resolved(document, parts[schema["$ref"].rpartition("/")[2]]), **outer}
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        real = [choice for choice in choices if choice.get("type") != "null"]
        outer = {name: value for name, value in schema.items() if name not in {"anyOf", "oneOf"}}
        return {**(_resolved(document, real[0]) if len(real) == 1 else {"type": "object"}), **outer}
    return schema
