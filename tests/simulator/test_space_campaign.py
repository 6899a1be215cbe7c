"""Operations of every kind on disk space, in any order: extents never overlap and free space adds up.

10,000 operations in `make test` (about ten seconds), 100,000 in `make campaign`; ZVM_OPERATIONS sets the number.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from simulator.checks import consistent
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.presets import Model, Pool
from zvmcloud.simulator.smapi.disk_copies import copy_disk

OPERATIONS = int(os.environ.get("ZVM_OPERATIONS", "10000"))
STEPS = 100
SMALL = Model(pools={"POOL1": Pool("3390", 2, 60, "LX"), "FBAPOOL": Pool("9336", 1, 100, "FB")}, profiles={}, users={})
NAMES = st.sampled_from(["G1", "G2", "G3", "G4"])
VDEVS = st.sampled_from(["0100", "0101", "0102"])
SIZES = st.integers(1, 12)
#: Method and area; both kinds of device, whole groups, single volumes, fixed places, and what does not exist.
PLACES = st.sampled_from(
    [
        ("AUTOG", "POOL1", "3390"),
        ("AUTOG", "POOL1", "XXXX"),
        ("AUTOG", "FBAPOOL", "9336"),
        ("AUTOR", "LX0002", "3390"),
        ("AUTOV", "LX0001", "3390"),
        ("AUTOV", "FB0001", "FB-512"),
        ("5", "LX0001", "3390"),
        ("17", "LX0002", "3390"),
        ("39", "LX0001", "3390"),
        ("AUTOG", "NOPOOL", "3390"),
        ("AUTOG", "POOL1", "9336"),
    ]
)
Place = tuple[str, str, str]


def disk(vdev: str, size: int, place: Place) -> Mdisk:
    method, area, device = place
    start = int(method) if method.isdecimal() else None
    return Mdisk(vdev, device, method if start is None else "PERM", start, size, area, "MR")


class Space(RuleBasedStateMachine):
    """A system of three small volumes."""

    operations = 0
    done = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="zvm-space-")
        self.system = open_system(Path(self.folder.name), SMALL, clock=ManualClock())
        self.whole = {name: volume.size - volume.first for name, volume in self.system.volumes.items()}

    def teardown(self) -> None:
        self.system.close()
        self.folder.cleanup()

    def do(self, action: Callable[[], object]) -> None:
        Space.operations += 1
        with suppress(Refused):
            with self.system.transaction():
                action()
            Space.done += 1

    @initialize()
    def guests(self) -> None:
        with self.system.transaction():
            for name in ("G1", "G2", "G3"):
                dm.create(self.system, name, [f"USER {name} NOLOG 1M 1M G"])

    @rule(name=NAMES, disks=st.lists(st.tuples(VDEVS, SIZES, PLACES), max_size=3, unique_by=lambda item: item[0]))
    def create(self, name: str, disks: list[tuple[str, int, Place]]) -> None:
        records = [f"USER {name} NOLOG 1M 1M G", *(disk(*item).statement().records[0] for item in disks)]
        self.do(lambda: dm.create(self.system, name, records))

    @rule(name=NAMES, seldom=st.integers(0, 3))
    def delete(self, name: str, seldom: int) -> None:
        if not seldom:
            self.do(lambda: dm.delete(self.system, name))

    @rule(name=NAMES, vdev=VDEVS, size=SIZES, place=PLACES)
    def add(self, name: str, vdev: str, size: int, place: Place) -> None:
        self.do(lambda: dm.add_disk(self.system, name, disk(vdev, size, place)))

    @rule(name=NAMES, vdev=VDEVS)
    def remove(self, name: str, vdev: str) -> None:
        self.do(lambda: dm.remove_disk(self.system, name, vdev))

    @rule(source=NAMES, vdev=VDEVS, name=NAMES, alias=VDEVS, place=PLACES)
    def copy(self, source: str, vdev: str, name: str, alias: str, place: Place) -> None:
        entry = self.system.entry(source)
        found = entry.mdisk(vdev) if entry else None
        if found is None or found.size is None:
            return
        made = disk(alias, found.size, (place[0], place[1], found.device_type))

        def both() -> None:
            dm.add_disk(self.system, name, made)
            copy_disk(self.system, self.system.disks[f"{source}.{vdev}"], self.system.disks[f"{name}.{alias}"])

        self.do(both)

    @rule(name=NAMES, drop=VDEVS, vdev=VDEVS, size=SIZES, place=PLACES)
    def replace(self, name: str, drop: str, vdev: str, size: int, place: Place) -> None:
        entry = self.system.entry(name)
        if entry is None:
            return
        records = list(entry.without_device(drop).render())
        if vdev == drop or entry.mdisk(vdev) is None:
            records.append(disk(vdev, size, place).statement().records[0])

        def both() -> None:
            dm.lock(self.system, name, "MAINT")
            dm.replace_entry(self.system, name, records, "MAINT")

        self.do(both)

    @invariant()
    def free_and_used_make_up_every_volume(self) -> None:
        space = self.system.space
        for name, volume in self.system.volumes.items():
            used = list(space.used(name))
            for before, after in pairwise(used):
                assert before.end <= after.start, f"{before} and {after} overlap on {name}"
            assert all(volume.first <= use.start and use.end <= volume.size for use in used)
            free = sum(gap.size for gap in space.gaps(name, volume.first, volume.size))
            assert free + sum(use.size for use in used) == self.whole[name]

    @invariant()
    def everything_agrees(self) -> None:
        consistent(self.system)


@pytest.mark.campaign
def test_extents_never_overlap_and_free_space_adds_up() -> None:
    Space.operations = Space.done = 0
    while Space.operations < OPERATIONS:
        run_state_machine_as_test(
            Space,
            settings=settings(
                max_examples=max(OPERATIONS // STEPS // 4, 20),
                stateful_step_count=STEPS,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    # Operations that are refused prove little: a good part of them must have been done.
    assert Space.done > Space.operations // 5, f"{Space.done} of {Space.operations}"
