"""Resizing at the connector door: what reaches the agent, and which codes a refusal has."""

from __future__ import annotations

import httpx
import pytest

from api.test_connector_road import create, done
from manager.fake_zhcp import FakeZhcp, Refused


async def act(door: httpx.AsyncClient, action: str, **fields: object) -> httpx.Response:
    return await door.post("/guests/linux01/action", json={"action": action, **fields})


@pytest.mark.parametrize("live", [False, True])
async def test_processors_and_share_are_changed(door: httpx.AsyncClient, zhcp: FakeZhcp, live: bool) -> None:
    await create(door)
    if live:
        done(await act(door, "start"))
    answer = await act(door, "live_resize_cpus" if live else "resize_cpus", cpu_cnt=4, cpu_share="rel  250".upper())
    assert done(answer) == ""
    assert answer.headers["zvm-job"]
    assert zhcp.guests["LINUX01"]["vcpus"] == 4
    assert zhcp.guests["LINUX01"]["share"] == "RELATIVE 250"


@pytest.mark.parametrize(("size", "megabytes"), [("4g", 4096), ("3000M", 3000)])
async def test_memory_is_changed(door: httpx.AsyncClient, zhcp: FakeZhcp, size: str, megabytes: int) -> None:
    await create(door)
    assert done(await act(door, "resize_mem", size=size)) == ""
    assert zhcp.guests["LINUX01"]["memory_mb"] == megabytes


@pytest.mark.parametrize(
    ("action", "fields", "code"),
    [
        ("resize_cpus", {"cpu_cnt": 64}, (409, 10, 409, 4)),
        ("live_resize_cpus", {"cpu_cnt": 4}, (409, 10, 409, 1)),
        ("resize_mem", {"size": "999g"}, (409, 10, 409, 20)),
        ("live_resize_mem", {"size": "4g"}, (409, 10, 409, 1)),
    ],
)
async def test_a_refusal_is_a_conflict_with_its_reason(
    door: httpx.AsyncClient, zhcp: FakeZhcp, action: str, fields: dict[str, object], code: tuple[int, ...]
) -> None:
    await create(door)
    before = dict(zhcp.guests["LINUX01"])
    answer = await act(door, action, **fields)
    body = answer.json()
    assert answer.status_code == 409
    assert (body["overallRC"], body["modID"], body["rc"], body["rs"]) == code
    assert zhcp.guests["LINUX01"] == before


@pytest.mark.parametrize(
    ("reason", "rs"),
    [("cpu-define-failed", 7), ("cpu-rescan-failed", 8), ("cpu-enable-failed", 15), ("memory-enable-failed", 17)],
)
async def test_a_guest_that_does_not_follow_is_a_failed_operation(
    door: httpx.AsyncClient, zhcp: FakeZhcp, reason: str, rs: int
) -> None:
    await create(door)
    zhcp.refuse_next = Refused(409, reason, "the guest did not follow")
    answer = await act(door, "live_resize_cpus", cpu_cnt=3)
    assert answer.status_code == 500
    assert (answer.json()["overallRC"], answer.json()["rs"]) == (300, rs)


@pytest.mark.parametrize(
    ("action", "fields"),
    [("resize_cpus", {"cpu_cnt": 0}), ("live_resize_cpus", {}), ("resize_mem", {"size": "4k"}), ("resize_mem", {})],
)
async def test_a_size_that_is_none_is_refused_at_the_door(
    door: httpx.AsyncClient, action: str, fields: dict[str, object]
) -> None:
    await create(door)
    assert (await act(door, action, **fields)).status_code == 400


async def test_growing_the_root_volume_punches_a_script_for_the_next_boot(
    door: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    await create(door)
    assert done(await act(door, "grow_root_volume", os_version="RHEL8.6")) == ""
    (file,) = zhcp.guests["LINUX01"]["reader"]
    assert (file["name"], file["type"], file["class"]) == ("GPARTVOL", "SH", "X")
    assert b"growpart" in file["data"]


async def test_a_guest_that_is_not_ours_is_not_resized(door: httpx.AsyncClient) -> None:
    answer = await act(door, "resize_cpus", cpu_cnt=2)
    assert answer.status_code == 404
    assert answer.json()["overallRC"] == 404
