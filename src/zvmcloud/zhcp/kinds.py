"""The register of operations: every kind's word on the wire and its dataclass.

Apart from `messages`, so that operations of a subject can be declared in a module of their own; `messages` imports
those modules, so whoever imports it knows every kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from zvmcloud.zhcp import fields


class Operation:
    """Base of the operations. `kind` is the word on the wire."""

    kind: ClassVar[str] = ""

    def check(self) -> None:
        """Limits that fields have of each other. FieldError."""


@dataclass(frozen=True, slots=True)
class OfGuest(Operation):
    """An operation on one guest."""

    userid: str = fields.userid()


@dataclass(frozen=True, slots=True)
class OfDevice(OfGuest):
    """An operation on one virtual device of a guest."""

    vdev: str = fields.vdev()


OPERATIONS: dict[str, type[Operation]] = {}


def kind(word: str) -> Any:
    """Register the dataclass below under `word`."""

    def register(cls: type[Operation]) -> type[Operation]:
        cls.kind = word
        OPERATIONS[word] = cls
        return cls

    return register
