"""The store: all or nothing, also on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from zvmcloud.simulator.model import Counter, Grant, Machine, NameList, Nic, UnitRecord, Vswitch
from zvmcloud.simulator.store import Store, StoreError
from zvmcloud.simulator.values import from_json, to_json


class Stop(Exception):
    pass


def test_a_change_needs_a_transaction() -> None:
    store = Store(None)
    counters = store.collection("counters", Counter)
    with pytest.raises(StoreError, match="outside a transaction"):
        counters.put("a", Counter(1))
    assert "a" not in counters


def test_an_error_takes_back_every_change_and_its_files(tmp_path: Path) -> None:
    store = Store(None)
    counters = store.collection("counters", Counter)
    done: list[str] = []
    with store.transaction():
        counters.put("kept", Counter(1))
    with pytest.raises(Stop), store.transaction():  # noqa: PT012
        counters.put("kept", Counter(2))
        counters.put("new", Counter(3))
        counters.remove("kept")
        store.on_rollback(lambda: done.append("rolled back"))
        store.after_commit(lambda: done.append("committed"))
        raise Stop
    assert counters.items() == [("kept", Counter(1))]
    assert done == ["rolled back"]


def test_observers_see_changes_and_their_taking_back() -> None:
    store = Store(None)
    counters = store.collection("counters", Counter)
    total = [0]

    def observe(_key: str, before: Counter | None, after: Counter | None) -> None:
        total[0] += (after.value if after else 0) - (before.value if before else 0)

    counters.observe(observe)
    with store.transaction():
        counters.put("a", Counter(5))
    with pytest.raises(Stop), store.transaction():  # noqa: PT012
        counters.put("a", Counter(7))
        counters.put("b", Counter(1))
        raise Stop
    assert total == [5]


def test_a_savepoint_takes_back_a_part() -> None:
    store = Store(None)
    counters = store.collection("counters", Counter)
    with store.transaction():
        counters.put("a", Counter(1))
        with pytest.raises(Stop), store.savepoint():  # noqa: PT012
            counters.put("a", Counter(2))
            counters.put("b", Counter(2))
            raise Stop
    assert counters.items() == [("a", Counter(1))]


def test_a_file_that_is_no_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "system.sqlite"
    path.write_bytes(b"not a database, just text" * 100)
    with pytest.raises(StoreError, match="not a simulator state"):
        Store(path)


def test_values_survive_json() -> None:
    machine = Machine(
        "A",
        1.5,
        1024,
        2048,
        ("00", "01"),
        (UnitRecord("0009", "CONS"), Nic("1000", "020000000001")),
        share=("RELATIVE", "5"),
    )
    switch = Vswitch("V", "020000000001", grants=(Grant("A", ("1", "2-9"), promiscuous=True),))
    assert from_json(Machine, to_json(machine)) == machine
    assert from_json(Vswitch, to_json(switch)) == switch


names = st.sampled_from(["A", "B", "C", "D"])
members = st.lists(names, max_size=3).map(tuple)


class StoreMachine(RuleBasedStateMachine):
    """Random transactions, some of which fail, some of which are followed by a restart."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[str, NameList] = {}
        self._open()

    def _open(self) -> None:
        self.store = Store(Path(self.folder.name) / "system.sqlite")
        self.lists = self.store.collection("lists", NameList)
        self.store.load()

    @rule(changes=st.lists(st.tuples(names, st.none() | members), max_size=5), fails=st.booleans())
    def transaction(self, changes: list[tuple[str, tuple[str, ...] | None]], fails: bool) -> None:
        wanted = dict(self.model)
        try:
            with self.store.transaction():
                for name, value in changes:
                    if value is None:
                        if name in self.lists:
                            self.lists.remove(name)
                        wanted.pop(name, None)
                    else:
                        self.lists.put(name, NameList(name, value))
                        wanted[name] = NameList(name, value)
                if fails:
                    raise Stop
        except Stop:
            return
        self.model = wanted

    @rule()
    def restart(self) -> None:
        # No close: what a killed process leaves behind must be enough.
        self._open()

    @invariant()
    def memory_is_the_model(self) -> None:
        assert dict(self.lists.items()) == self.model

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=15)
TestStoreMachine = StoreMachine.TestCase
