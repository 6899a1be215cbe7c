"""The directory manager: entries, minidisks, locks; a refused change changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.checks import consistent
from simulator.support import linux
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guests, storage
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.simulator.system import System


def disk(vdev: str, size: int, method: str = "AUTOG", area: str = "POOL1", device: str = "3390") -> Mdisk:
    start = int(method) if method.isdecimal() else None
    return Mdisk(vdev, device, "PERM" if start is not None else method, start, size, area, "MR")


def code(caught: pytest.ExceptionInfo[Refused]) -> tuple[int, int]:
    return caught.value.rc, caught.value.rs


@pytest.fixture
def guest(system: System) -> System:
    with system.transaction():
        dm.create(system, "LINUX01", linux("LINUX01"))
    return system


def test_a_created_entry_is_upper_case_and_keeps_every_statement(system: System) -> None:
    with system.transaction():
        dm.create(system, "lnx", ["user lnx nolog 1g 1g g", "  ipl cms", "* Hello", "FUTURE thing"])
    entry = system.entry("LNX")
    assert entry is not None
    assert entry.render() == ("USER LNX NOLOG 1G 1G G", "  IPL CMS", "* HELLO", "FUTURE THING")


@pytest.mark.parametrize(
    ("name", "records", "expected"),
    [
        ("MAINT", ["USER MAINT PW 1G 1G G"], (400, 8)),
        ("LNX", ["USER LNX PW 1G 1G G", "INCLUDE NOPROF"], (436, 4)),
        ("LNX", ["USER LNX PW 1G 1G G", "INCLUDE LNXDFLT", "INCLUDE OSDFLT"], (436, 40)),
        ("LNX", ["USER LNX PW 1G 1G G", "USER TWO PW 1G 1G G"], (400, 40)),
        ("LNX", ["USER OTHER PW 1G 1G G"], (596, 3213)),
        ("LNX", ["USER LNX PW 1G 1G G", "MDISK 0100 3390 AUTOG 10 NOPOOL MR"], (420, 8)),
        ("LNX", ["USER LNX PW 1G 1G G", "MDISK 0100 3390 AUTOG 21 POOL1 MR"], (408, 24)),
        ("LNX", ["USER LNX PW 1G 1G G", "NICDEF 1000 COLOUR RED"], (596, 3213)),
    ],
)
def test_a_refused_creation_changes_nothing(
    system: System, name: str, records: list[str], expected: tuple[int, int]
) -> None:
    before = system.entries.items()
    with pytest.raises(Refused) as caught, system.transaction():
        dm.create(system, name, records)
    assert code(caught) == expected
    assert system.entries.items() == before
    consistent(system)


def test_minidisks_fill_the_group_and_then_there_is_no_space(guest: System) -> None:
    with guest.transaction():
        first = dm.add_disk(guest, "LINUX01", disk("0100", 15))
        second = dm.add_disk(guest, "LINUX01", disk("0101", 5))
    assert (first.start, first.size, second.start) == (1, 15, 16)
    with pytest.raises(Refused) as caught, guest.transaction():
        dm.add_disk(guest, "LINUX01", disk("0102", 1))
    assert code(caught) == dm.NO_SPACE
    with guest.transaction():
        dm.remove_disk(guest, "LINUX01", "0100")
        again = dm.add_disk(guest, "LINUX01", disk("0102", 10))
    assert again.start == 1
    consistent(guest)


def test_a_minidisk_is_a_file_of_its_size_and_goes_with_it(guest: System) -> None:
    with guest.transaction():
        dm.add_disk(guest, "LINUX01", disk("0100", 3))
        dm.add_disk(guest, "LINUX01", disk("0200", 100, area="FBAPOOL", device="9336"))
    eckd, fba = guest.disks["LINUX01.0100"], guest.disks["LINUX01.0200"]
    assert storage.file_of(guest, eckd).stat().st_size == 3 * 15 * 65536
    assert storage.file_of(guest, fba).stat().st_size == 100 * 512
    with guest.transaction():
        dm.delete(guest, "LINUX01")
    assert not (guest.disk_folder / eckd.file).exists()
    consistent(guest)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (disk("0100", 1), dm.DISK_EXISTS),
        (disk("1000", 1), dm.DISK_EXISTS),
        (disk("0101", 5, "3", "LX0001"), dm.NO_SPACE),
        (disk("0101", 5, "1", "NOVOL"), None),
        (disk("0101", 5, "AUTOV", "NOVOL"), dm.NO_AREA),
        (disk("0101", 5, "0", "LX0001"), dm.NO_SPACE),
    ],
)
def test_where_a_minidisk_may_be(guest: System, new: Mdisk, expected: tuple[int, int] | None) -> None:
    with guest.transaction():
        dm.add_disk(guest, "LINUX01", disk("0100", 5))
    if expected is None:
        with guest.transaction():
            assert dm.add_disk(guest, "LINUX01", new) == new
        return
    with pytest.raises(Refused) as caught, guest.transaction():
        dm.add_disk(guest, "LINUX01", new)
    assert code(caught) == expected


def test_a_locked_entry_takes_no_change_but_its_replacement(guest: System) -> None:
    with guest.transaction():
        dm.add_disk(guest, "LINUX01", disk("0100", 5))
        dm.lock(guest, "LINUX01", "MAINT")
    for action in (
        lambda: dm.add_disk(guest, "LINUX01", disk("0101", 1)),
        lambda: dm.remove_disk(guest, "LINUX01", "0100"),
        lambda: dm.delete(guest, "LINUX01"),
        lambda: dm.lock(guest, "LINUX01", "ZHCP"),
        lambda: dm.replace_entry(guest, "LINUX01", linux("LINUX01"), "ZHCP"),
    ):
        with pytest.raises(Refused) as caught, guest.transaction():
            action()
        assert code(caught) == dm.LOCKED
    file = guest.disks["LINUX01.0100"].file
    entry = guest.entry("LINUX01")
    assert entry is not None
    with guest.transaction():
        dm.replace_entry(guest, "LINUX01", [*entry.render(), "NICDEF 1000 LAN SYSTEM VSW1"], "MAINT")
    assert guest.disks["LINUX01.0100"].file == file
    assert not guest.entries["LINUX01"].locked_by
    changed = guest.entry("LINUX01")
    assert changed is not None
    assert "NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 DEVICES 3 MACID 123456" in changed.render()
    consistent(guest)


def test_a_replacement_without_a_lock_is_refused(guest: System) -> None:
    with pytest.raises(Refused) as caught, guest.transaction():
        dm.replace_entry(guest, "LINUX01", linux("LINUX01"), "MAINT")
    assert code(caught) == dm.NOT_LOCKED


def test_a_replacement_drops_and_adds_minidisks_with_their_files(guest: System) -> None:
    with guest.transaction():
        dm.add_disk(guest, "LINUX01", disk("0100", 5))
        dm.lock(guest, "LINUX01", "MAINT")
        dm.replace_entry(guest, "LINUX01", [*linux("LINUX01"), "MDISK 0101 3390 AUTOG 20 POOL1 MR"], "MAINT")
    assert set(guest.disks) & {"LINUX01.0100", "LINUX01.0101"} == {"LINUX01.0101"}
    consistent(guest)


def test_a_device_lock_stops_changes_of_that_device(guest: System) -> None:
    with guest.transaction():
        dm.add_disk(guest, "LINUX01", disk("0100", 5))
        dm.lock(guest, "LINUX01", "MAINT", "0100")
        dm.add_disk(guest, "LINUX01", disk("0101", 1))
    with pytest.raises(Refused) as caught, guest.transaction():
        dm.remove_disk(guest, "LINUX01", "0100")
    assert code(caught) == dm.DISK_LOCKED
    with guest.transaction():
        dm.unlock(guest, "LINUX01", "0100")
        dm.remove_disk(guest, "LINUX01", "0100")


def test_a_machine_that_is_on_and_a_profile_in_use_cannot_be_deleted(guest: System) -> None:
    with guest.transaction():
        guests.log_on(guest, "LINUX01")
    with pytest.raises(Refused) as caught, guest.transaction():
        dm.delete(guest, "LINUX01")
    assert code(caught) == dm.LOGGED_ON
    with pytest.raises(Refused) as caught, guest.transaction():
        dm.delete(guest, "LNXDFLT", profile=True)
    assert code(caught) == dm.IN_USE


steps = st.lists(
    st.tuples(
        st.sampled_from(["create", "delete", "add", "remove", "on", "off", "restart"]),
        st.sampled_from(["G1", "G2"]),
        st.sampled_from(["0100", "0101"]),
        st.integers(1, 12),
    ),
    max_size=25,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps)
def test_whatever_is_done_the_parts_of_the_system_agree(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[str, str, str, int]]
) -> None:
    folder: Path = tmp_path_factory.mktemp("state")
    clock = ManualClock()
    system = open_system(folder, PRESETS["small"], clock=clock)
    for what, name, vdev, size in script:
        try:
            with system.transaction():
                if what == "create":
                    dm.create(system, name, linux(name))
                elif what == "delete":
                    dm.delete(system, name)
                elif what == "add":
                    dm.add_disk(system, name, disk(vdev, size))
                elif what == "remove":
                    dm.remove_disk(system, name, vdev)
                elif what == "on" and system.entry(name) and name not in system.machines:
                    guests.log_on(system, name)
                elif what == "off" and name in system.machines:
                    guests.log_off(system, name)
        except Refused:
            pass
        if what == "restart":
            system.close()
            clock = ManualClock(clock.now() + 5)
            system = open_system(folder, clock=clock)
        consistent(system)
    system.close()
