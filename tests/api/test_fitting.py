"""The connector's quick look at a request agrees with the validator that it spares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft4Validator

from zvmcloud.api.connector import schemas
from zvmcloud.api.connector.fitting import fits
from zvmcloud.api.connector.routes import RULES

GUEST: Any = {
    "guest": {
        "userid": "LINUX01",
        "vcpus": 1,
        "memory": "512",
        "user_profile": None,
        "disk_list": [{"size": "10g", "is_boot_disk": True, "disk_pool": "ECKD:POOL1", "format": "ext4"}],
        "max_cpu": 4,
        "max_mem": "4G",
        "comments": ["one"],
        "loaddev": {"lun": "00"},
        "cshare": "RELATIVE 100",
    }
}
VSWITCH: Any = {"vswitch": {"name": "VSW1", "rdev": "0100", "vid": 1, "persist": "yes", "queue_mem": 8}}
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    64,
    65,
    1.0,
    "",
    "yes",
    "x" * 400,
    "0100",
    "1\n",
    [],
    {},
    ["", 1],
)


def changed(value: Any) -> Iterator[Any]:
    """The document with one thing in it replaced, taken out or put in."""
    yield from VALUES
    if isinstance(value, dict):
        yield {**value, "unheard_of": 1}
        for name, member in value.items():
            yield {key: item for key, item in value.items() if key != name}
            yield from ({**value, name: other} for other in changed(member))
    if isinstance(value, list):
        yield [*value, *value]
        for index, item in enumerate(value):
            yield from ([*value[:index], other, *value[index + 1 :]] for other in changed(item))


@pytest.mark.parametrize(("schema", "document"), [(schemas.GUEST_CREATE, GUEST), (schemas.VSWITCH_CREATE, VSWITCH)])
def test_what_is_right_is_seen_at_once_and_nothing_wrong_is(schema: schemas.Schema, document: Any) -> None:
    quick, thorough = fits(schema), Draft4Validator(dict(schema))
    assert quick(document)
    for other in changed(document):
        assert quick(other) == thorough.is_valid(other), other


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.body or rule.query or rule.named], ids=lambda r: r.path
)
def test_no_schema_lets_anything_pass_that_the_validator_refuses(rule: Any) -> None:
    for schema in (rule.body, rule.query, rule.named):
        if schema is None:
            continue
        quick, thorough = fits(schema), Draft4Validator(dict(schema))
        documents = [{}, *VALUES, *(_filled(schema, value) for value in VALUES)]
        for document in documents:
            if quick(document):
                thorough.validate(document)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "ip"},
        {"type": "number"},
        {"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 1}]},
        {"type": "array", "uniqueItems": True},
        {"minimum": 1},
    ],
)
def test_a_rule_that_it_does_not_know_is_left_to_the_validator(schema: Mapping[str, Any]) -> None:
    assert not any(fits(schema)(value) for value in VALUES)


def _filled(schema: Any, value: Any) -> Any:
    """A document with every member that the schema names, and this value wherever a leaf is."""
    if schema.get("type") == "object" and schema.get("properties"):
        return {name: _filled(member, value) for name, member in schema["properties"].items()}
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return [_filled(schema["items"], value)]
    return value
