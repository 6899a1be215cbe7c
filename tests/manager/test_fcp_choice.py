"""Which FCP devices a guest gets: promises that hold for any pool."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zvmcloud.manager.fcp_choice import Device, FcpListError, choose, parse_devices, ranges

NUMBERS = st.integers(0, 0xFFFF).map(lambda number: f"{number:04x}")
DEVICES = st.builds(
    Device,
    NUMBERS,
    assigner=st.sampled_from(["", "", "", "OTHER"]),
    chpid=st.sampled_from(["50", "51", "52"]),
    pchid=st.sampled_from(["0240", "0260"]),
    state=st.sampled_from(["free", "free", "free", "active", "offline", "notfound"]),
)
PATHS = st.lists(st.lists(DEVICES, max_size=5), max_size=5).map(
    lambda paths: [
        [replace(device, fcp=f"{at:02x}{number:02x}") for number, device in enumerate(path)]
        for at, path in enumerate(paths)
    ]
)


@given(paths=PATHS, least=st.integers(-1, 5))
def test_a_choice_has_free_devices_only_one_of_a_path_and_enough_of_them(paths: list[list[Device]], least: int) -> None:
    chosen = choose(paths, least=least)
    assert all(device.available for device in chosen)
    assert len({device.fcp[:2] for device in chosen}) == len(chosen), "one of each path"
    usable = sum(any(device.available for device in path) for path in paths)
    wanted = least if least > 0 else len(paths)
    assert len(chosen) == (usable if usable and usable >= wanted else 0)


@given(paths=PATHS, left=st.dictionaries(st.sampled_from(["0240", "0260"]), st.integers(0, 3)))
def test_no_channel_gets_more_than_it_takes(paths: list[list[Device]], left: dict[str, int]) -> None:
    used = Counter(device.pchid for device in choose(paths, least=1, capacity=left))
    assert all(used[pchid] <= room for pchid, room in left.items())


def test_paths_go_over_different_channels_and_spare_the_busy_ones() -> None:
    path = [Device("1a00", chpid="50"), Device("1b00", chpid="51")]
    second = [replace(device, fcp=device.fcp[:3] + "1") for device in path]
    assert [device.chpid for device in choose([path, second], least=2)] == ["50", "51"]
    assert [device.chpid for device in choose([path], least=1, busy=["50", "50", "51"])] == ["51"]


def test_the_text_of_a_template_names_paths_devices_and_ranges() -> None:
    assert parse_devices("1A00-1a02, 1a0f;1b00") == (("1a00", "1a01", "1a02", "1a0f"), ("1b00",))
    assert parse_devices("") == ()


@pytest.mark.parametrize("text", ["1a0", "1a05-1a00", "1a00;1a00", "1a00,xyz", "0000-ffff", "1a00-"])
def test_a_text_that_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(FcpListError):
        parse_devices(text)


@given(st.sets(st.integers(0, 0xFFFF), max_size=30))
def test_ranges_say_the_same_devices_again(numbers: set[int]) -> None:
    whole, single, spans = ranges(f"{number:04x}" for number in numbers)
    if numbers:
        (path,) = parse_devices(whole) if whole else ((),)
        assert {int(fcp, 16) for fcp in path} == numbers
    assert len([part for part in (single, spans) if part]) == len({"-" in part for part in whole.split(", ") if part})
