"""All SMAPI functions that are known, by name. Sites register their own here too.

>>> from zvmcloud.smapi.registry import REGISTRY
>>> REGISTRY["Image_Query_DM"].summary
'Return the records of a directory entry.'
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zvmcloud.smapi.declare import Function, Request


class Registry:
    """Functions by name. Names are looked up in either case; listing keeps the documented spelling."""

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}

    def add(self, *requests: type[Request[Any]]) -> None:
        """Register declared request classes. ValueError when a name is taken by another declaration."""
        for request in requests:
            key = request.spec.name.upper()
            known = self._functions.get(key)
            if known is not None and known.request_type is not request:
                raise ValueError(f"the function {known.name} is declared already")
            self._functions[key] = request.spec

    def get(self, name: str) -> Function | None:
        return self._functions.get(name.upper())

    def __getitem__(self, name: str) -> Function:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: str) -> bool:
        return name.upper() in self._functions

    def __iter__(self) -> Iterator[Function]:
        return iter(sorted(self._functions.values(), key=lambda function: function.name.upper()))

    def __len__(self) -> int:
        return len(self._functions)


def _documented() -> Registry:
    from zvmcloud.smapi import functions  # noqa: PLC0415 (the declarations need this room's other modules first)

    registry = Registry()
    registry.add(*functions.ALL)
    return registry


REGISTRY = _documented()
