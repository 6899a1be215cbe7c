"""Names by pattern, and which system each of many new guests goes to."""

from __future__ import annotations

import pytest

from zvmcloud.manager.bulk.names import expand
from zvmcloud.manager.bulk.placement import spread
from zvmcloud.manager.errors import BadInput, Conflict

GB = 2**30


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web1", ["WEB1"]),
        ("web[1-3]", ["WEB1", "WEB2", "WEB3"]),
        ("web[098-101]", ["WEB098", "WEB099", "WEB100", "WEB101"]),
        ("w[1,3-4]x", ["W1X", "W3X", "W4X"]),
        ("db1, web[01-02]", ["DB1", "WEB01", "WEB02"]),
        ("a,b", ["A", "B"]),
    ],
)
def test_a_pattern_stands_for_names(pattern: str, names: list[str]) -> None:
    assert list(expand(pattern)) == names


@pytest.mark.parametrize(
    "pattern",
    ["", ",", "a,", "web[1-3", "web[]", "web[x]", "web[3-1]", "web[1-2000]", "a[1][2]", "toolongname[1]", "a,A", "a b"],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(BadInput, match="names"):
        expand(pattern)


def test_guests_are_spread_evenly_for_as_long_as_there_is_room() -> None:
    assert spread(4, GB, {"A": 10 * GB, "B": 20 * GB}) == ("B", "A", "B", "A")
    assert spread(4, GB, {"A": GB, "B": 20 * GB}) == ("B", "A", "B", "B")
    with pytest.raises(Conflict, match="room for 2 on A"):
        spread(3, GB, {"A": 2 * GB + 1})
    with pytest.raises(Conflict, match="no system"):
        spread(1, GB, {})
