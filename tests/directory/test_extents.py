"""Disk space: extents never overlap, and free and used space add up to the whole."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from zvmcloud.directory import Extent, ExtentMap, Group, Region, SpaceError, Volume


def small_map() -> ExtentMap:
    space = ExtentMap()
    for volser in ("LX0001", "LX0002"):
        space.add_volume(Volume(volser, "3390-03", 101))
        space.add_region(Region(volser, volser, 1, 100))
    space.add_volume(Volume("FB0001", "9336-ET", 1016))
    space.add_region(Region("FB0001", "FB0001", 16, 1000))
    space.add_group(Group("POOL1", ("LX0001", "LX0002")))
    space.add_group(Group("FBAPOOL", ("FB0001",)))
    return space


def test_a_group_is_filled_first_fit_in_region_order() -> None:
    space = small_map()
    first = space.allocate("AUTOG", "POOL1", 60)
    space.occupy(first, "A", "0100")
    second = space.allocate("AUTOG", "POOL1", 60)
    space.occupy(second, "B", "0100")
    third = space.allocate("AUTOG", "POOL1", 40)
    assert (first, second, third) == (Extent("LX0001", 1, 60), Extent("LX0002", 1, 60), Extent("LX0001", 61, 40))


def test_cylinder_zero_and_the_first_fba_blocks_are_never_given_away() -> None:
    space = small_map()
    assert space.allocate("AUTOV", "LX0001", 100).start == 1
    assert space.allocate("AUTOV", "FB0001", 1000).start == 16
    with pytest.raises(SpaceError) as caught:
        space.allocate("0", "LX0001", 1)
    assert caught.value.reason == "off-volume"


def test_an_explicit_start_must_be_free() -> None:
    space = small_map()
    space.occupy(Extent("LX0001", 50, 10), "A", "0100")
    assert space.allocate("40", "LX0001", 10) == Extent("LX0001", 40, 10)
    with pytest.raises(SpaceError) as caught:
        space.allocate("41", "LX0001", 10)
    assert caught.value.reason == "taken"
    assert "A 0100" in str(caught.value)


@pytest.mark.parametrize(
    ("method", "area", "size", "device", "reason"),
    [
        ("AUTOG", "NOPOOL", 1, "3390", "unknown-group"),
        ("AUTOR", "NOREG", 1, "3390", "unknown-region"),
        ("AUTOV", "NOVOL", 1, "3390", "unknown-volume"),
        ("1", "NOVOL", 1, "3390", "unknown-volume"),
        ("AUTOG", "POOL1", 101, "3390", "full"),
        ("AUTOG", "POOL1", 1, "9336", "wrong-type"),
        ("AUTOG", "POOL1", 0, "3390", "size"),
        ("95", "LX0001", 10, "3390", "off-volume"),
    ],
)
def test_refusals_say_why(method: str, area: str, size: int, device: str, reason: str) -> None:
    with pytest.raises(SpaceError) as caught:
        small_map().allocate(method, area, size, device)
    assert caught.value.reason == reason


def test_a_region_must_lie_on_its_volume() -> None:
    space = small_map()
    with pytest.raises(SpaceError, match="not within"):
        space.add_region(Region("R1", "LX0001", 50, 100))
    with pytest.raises(SpaceError, match="not defined"):
        space.add_group(Group("G", ("NOREG",)))


def test_overlapping_full_volume_minidisks_of_a_directory_are_taken_as_they_are() -> None:
    space = small_map()
    space.occupy(Extent("LX0001", 0, 101), "MAINT", "0123")
    space.occupy(Extent("LX0001", 10, 10), "A", "0100")
    with pytest.raises(SpaceError, match="no free extent"):
        space.allocate("AUTOV", "LX0001", 1)
    space.release(Extent("LX0001", 0, 101), "MAINT", "0123")
    assert [gap.size for gap in space.gaps("LX0001", 1, 101)] == [9, 81]


class DiskSpace(RuleBasedStateMachine):
    """Allocate and release at random; the model is the set of units in use."""

    disks = Bundle("disks")

    def __init__(self) -> None:
        super().__init__()
        self.space = small_map()
        self.units: dict[tuple[str, int], str] = {}
        self.number = 0

    def _take(self, extent: Extent) -> tuple[Extent, str]:
        self.number += 1
        owner = f"U{self.number}"
        for unit in range(extent.start, extent.end):
            assert (extent.volser, unit) not in self.units
            self.units[extent.volser, unit] = owner
        self.space.occupy(extent, owner, "0100")
        return extent, owner

    @rule(target=disks, size=st.integers(1, 45), area=st.sampled_from(["POOL1", "FBAPOOL"]))
    def allocate_in_a_group(self, size: int, area: str) -> object:
        try:
            extent = self.space.allocate("AUTOG", area, size)
        except SpaceError:
            volumes = ["LX0001", "LX0002"] if area == "POOL1" else ["FB0001"]
            assert all(gap.size < size for volser in volumes for gap in self.space.gaps(volser, 1, 101))
            return None
        return self._take(extent)

    @rule(target=disks, start=st.integers(0, 110), size=st.integers(1, 30))
    def allocate_at(self, start: int, size: int) -> object:
        try:
            extent = self.space.allocate(str(start), "LX0002", size)
        except SpaceError:
            on_volume = start >= 1 and start + size <= 101
            free = all(("LX0002", unit) not in self.units for unit in range(start, start + size))
            assert not (on_volume and free)
            return None
        return self._take(extent)

    @rule(disk=consumes(disks))
    def release(self, disk: tuple[Extent, str] | None) -> None:
        if disk is None:
            return
        extent, owner = disk
        self.space.release(extent, owner, "0100")
        for unit in range(extent.start, extent.end):
            del self.units[extent.volser, unit]

    @invariant()
    def free_and_used_add_up(self) -> None:
        for region in self.space.regions.values():
            free = sum(gap.size for gap in self.space.free_in(region))
            used = sum(use.size for use in self.space.used_in(region))
            assert free + used == region.size


DiskSpace.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestDiskSpace = DiskSpace.TestCase


@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(1, 10), st.booleans()), max_size=40),
    st.integers(1, 60),
    st.integers(1, 40),
)
def test_gaps_are_what_no_minidisk_covers_however_they_overlap(
    changes: list[tuple[int, int, bool]], start: int, length: int
) -> None:
    space = ExtentMap()
    present: list[tuple[Extent, str]] = []
    for number, (first, size, remove) in enumerate(changes):
        if remove and present:
            space.release(*present.pop(first % len(present)), "0100")
            continue
        added = (Extent("LX0001", first, size), f"U{number}")
        space.occupy(*added, "0100")
        present.append(added)
    covered = {unit for extent, _ in present for unit in range(extent.start, extent.end)}
    wanted = [unit for unit in range(start, start + length) if unit not in covered]
    gaps = list(space.gaps("LX0001", start, start + length))
    assert [unit for gap in gaps for unit in range(gap.start, gap.end)] == wanted
    assert all(one.end < other.start for one, other in itertools.pairwise(gaps))
    there = {use.owner for use in space.used("LX0001", start, start + length)}
    assert there == {owner for extent, owner in present if extent.start < start + length and extent.end > start}
