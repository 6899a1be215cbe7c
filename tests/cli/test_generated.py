"""The commands that come from the manager's document: what they send, and when they ask first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from zvmcloud.api.v1.app import document
from zvmcloud.cli import generated, profiles
from zvmcloud.client import Operation, operations

OPERATIONS = operations(document())
DELETIONS = {
    "guest.delete": ("guest", "delete", "web1"),
    "bulk.delete": ("bulk", "delete", "web[001-100]"),
    "lan.delete": ("lan", "delete", "lan1"),
    "reader.purge": ("reader", "purge", "web1"),
    "volume-pool.free": ("volume-pool", "free", "p1", "4010400400000000-5005076306138411"),
    "image-storage.prune": ("image-storage", "prune"),
    "token.delete": ("token", "delete", "0b0f9f0e-6d0c-4a57-b4e5-2f4d2a3d6c11"),
}
ANSWER = {"id": "0b0f9f0e-6d0c-4a57-b4e5-2f4d2a3d6c11", "title": "it is done", "state": "pending"}


class Asked:
    """A manager that writes down what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Mapping[str, Any] | None]] = []

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def whoami(self) -> dict[str, str]:
        return {"system": "ZVM1"}

    def call(self, method: str, route: str, *, body: Mapping[str, Any] | None, **_: object) -> dict[str, str]:
        self.calls.append((method, route, body))
        return ANSWER


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The manager that is meant; somebody sits at a terminal."""
    found = Asked()
    monkeypatch.setattr(profiles, "current", lambda: SimpleNamespace(system="", client=lambda: found))
    typing = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(generated, "sys", SimpleNamespace(stdin=typing, stdout=SimpleNamespace(isatty=lambda: False)))
    return found


def typed(noun: str, *words: str, typing: str = "") -> Result:
    app = typer.Typer(callback=lambda: None)
    return CliRunner().invoke(generated.commands(noun, OPERATIONS, app), words, input=typing)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_an_operation_has_each_of_its_parameters_once(operation: Operation) -> None:
    """Of two with one name a command keeps one: path, query and body have their names from one space."""
    assert [name for name, count in Counter(one.name for one in operation.parameters).items() if count > 1] == []


def test_a_clone_is_told_from_its_source(manager: Asked) -> None:
    assert typed("guest", "clone", "web01", "web02").exit_code == 0
    assert manager.calls == [("POST", "/guests/ZVM1/web01/clone", {"to": "web02"})]


@pytest.mark.parametrize("name", DELETIONS)
def test_what_takes_something_away_for_good_asks_first(manager: Asked, name: str) -> None:
    noun, *words = DELETIONS[name]
    refused = typed(noun, *words, typing="n\n")
    assert (refused.exit_code, manager.calls) == (2, [])
    assert all(word in refused.output for word in words), "the question names what goes"
    assert typed(noun, *words, typing="y\n").exit_code == 0
    assert typed(noun, *words, "--yes").exit_code == 0
    assert len(manager.calls) == 2


def test_every_delete_asks_and_what_only_makes_something_does_not() -> None:
    asking = {one.name for one in OPERATIONS if one.asks}
    assert {one.name for one in OPERATIONS if one.method == "DELETE"} <= asking
    assert set(DELETIONS) <= asking
    assert not asking & {"guest.create", "guest.start", "volume.create", "bulk.deploy", "job.cancel"}


def test_what_is_found_by_the_begin_of_its_id_can_be_listed() -> None:
    lists = {operation.path for operation in OPERATIONS if operation.method == "GET"}
    assert set(generated._LISTED.values()) <= lists


def test_a_word_that_is_to_be_typed_stays_as_it_is() -> None:
    assert generated._sentence("job.*, guest.created, ...; none for all") == "job.*, guest.created, ...; none for all"
    assert generated._sentence("what it is") == "What it is"
