"""Reading the agent's answers: small helpers that turn a JSON document into values of known type, so services stay
free of casts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zvmcloud.manager.errors import AgentFailure
from zvmcloud.manager.jobs.plan import Json


class Document:
    """A JSON object of an agent's answer. Missing or odd values read as the default; a non-object raises
    AgentFailure."""

    __slots__ = ("_data",)

    def __init__(self, data: Json) -> None:
        if not isinstance(data, Mapping):
            raise AgentFailure({"status": 502, "code": "agent-answer", "detail": "the agent's answer is not an object"})
        self._data = data

    def text(self, *names: str) -> str:
        """The first of these members that is there, as text."""
        for name in names:
            value = self._data.get(name)
            if value is not None:
                return str(value)
        return ""

    def number(self, *names: str, default: int = 0) -> int:
        """The first of these members that is a number (or digits), as a whole number."""
        for name in names:
            value = self._data.get(name)
            if isinstance(value, bool):
                return int(value)
            if isinstance(value, int | float):
                return int(value)
            if isinstance(value, str) and value.lstrip("-").isdigit():
                return int(value)
        return default

    def flag(self, name: str) -> bool:
        return bool(self._data.get(name))

    def has(self, name: str) -> bool:
        return self._data.get(name) is not None

    def raw(self, name: str) -> Json:
        return self._data.get(name)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._data.get(name)
        return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()

    def documents(self, name: str) -> tuple[Document, ...]:
        return documents(self._data.get(name))

    def document(self, name: str) -> Document:
        """The object under ``name``, an empty one when there is none."""
        value = self._data.get(name)
        return Document(value if isinstance(value, Mapping) else {})

    def items(self) -> Iterable[tuple[str, Json]]:
        return ((str(key), value) for key, value in self._data.items())


def documents(data: Json, *names: str) -> tuple[Document, ...]:
    """The objects of a list, or of the list under the first of ``names`` that a wrapping object has."""
    if isinstance(data, Mapping):
        data = next((data[name] for name in names if name in data), [])
    return tuple(Document(item) for item in data if isinstance(item, Mapping)) if isinstance(data, list | tuple) else ()
