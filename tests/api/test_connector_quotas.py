"""Quotas at the connector door: what its resizes, disks and FCP devices use counts in the guest's project, and is
refused where it does not fit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import pytest

from api.native import ok
from api.test_connector_resize import act
from api.test_connector_road import GUEST, create, done
from api.test_connector_volumes import connector, template, volume
from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.node import Node

__all__ = ["template"]
DISKS = {"disk_info": {"disk_list": [{"size": "1g"}]}}
GIGABYTE = 1025
"""MiB of a disk of 1g: whole cylinders."""


@pytest.fixture(autouse=True)
async def shop(node: Node, admin: httpx.AsyncClient, door: httpx.AsyncClient) -> None:
    """LINUX01 belongs to another project than the door."""
    await ok(await admin.post("/projects", json={"name": "shop"}), 201)
    await create(door)
    await ok(await admin.patch("/guests/zvm1/linux01", json={"project": "shop"}))
    assert (await node.quotas.used("default"))["guests"] == 0


async def limit(admin: httpx.AsyncClient, quota: Mapping[str, int], project: str = "shop") -> None:
    await ok(await admin.patch(f"/projects/{project}", json={"quota": dict(quota)}))


def over_quota(answer: httpx.Response, told: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["overallRC"], body["rc"]) == (409, 409, 409), body
    assert told in body["errmsg"]


async def used(node: Node, name: str) -> int:
    return (await node.quotas.used("shop"))[name]


@pytest.mark.parametrize("live", ["", "live_"])
@pytest.mark.parametrize(
    ("action", "quota", "fits", "more"),
    [
        ("resize_cpus", "vcpus", {"cpu_cnt": 4}, {"cpu_cnt": 5}),
        ("resize_mem", "memory_mb", {"size": "4096m"}, {"size": "4097m"}),
    ],
)
async def test_a_resize_fits_to_the_last_and_counts(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, zhcp: FakeZhcp, node: Node,
    live: str, action: str, quota: str, fits: Mapping[str, object], more: Mapping[str, object],
) -> None:  # fmt: skip
    largest = 4 if quota == "vcpus" else 4096
    await limit(admin, {quota: largest})
    if live:
        done(await act(door, "start"))
    before = zhcp.guests["LINUX01"][quota]
    over_quota(await act(door, f"{live}{action}", **more), f"may use {largest} {quota}")
    assert zhcp.guests["LINUX01"][quota] == before
    done(await act(door, f"{live}{action}", **fits))
    assert zhcp.guests["LINUX01"][quota] == await used(node, quota) == largest


async def test_disks_fit_to_the_last_one_and_count_until_they_are_removed(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, zhcp: FakeZhcp, node: Node
) -> None:
    before = await used(node, "disk_mb")
    await limit(admin, {"disk_mb": before + 2 * GIGABYTE})
    two = {"disk_info": {"disk_list": [{"size": "1g"}] * 2}}
    done(await door.post("/guests/linux01/disks", json=two))
    assert await used(node, "disk_mb") == before + 2 * GIGABYTE
    over_quota(await door.post("/guests/linux01/disks", json={"disk_info": {"disk_list": [{"size": "1"}]}}), "disk_mb")
    assert len(zhcp.guests["LINUX01"]["disks"]) == 4
    done(await door.request("DELETE", "/guests/linux01/disks", json={"vdev_info": {"vdev_list": ["0102", "0999"]}}))
    assert await used(node, "disk_mb") == before + GIGABYTE
    done(await door.post("/guests/linux01/disks", json=DISKS))
    over_quota(await door.post("/guests/linux01/disks", json=DISKS), "disk_mb")


async def test_of_two_disks_at_the_same_moment_one_is_refused(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, zhcp: FakeZhcp, node: Node
) -> None:
    """Of two guests, as those of one come one after the other."""
    done(await door.post("/guests", json={"guest": {**GUEST, "userid": "linux02", "disk_list": [{"size": "10"}]}}))
    await ok(await admin.patch("/guests/zvm1/linux02", json={"project": "shop"}))
    await limit(admin, {"disk_mb": await used(node, "disk_mb") + GIGABYTE})
    zhcp.delay = 0.2
    names = ("linux01", "linux02")
    answers = await asyncio.gather(*(door.post(f"/guests/{name}/disks", json=DISKS) for name in names))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_fcp_devices_count_when_they_are_reserved_or_attached(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, template: str, node: Node
) -> None:
    await limit(admin, {"fcp_devices": 1})
    wish = {"info": {"reserve": True, "fcp_template_id": template}}
    over_quota(await door.request("GET", "/volumes/conn/linux01", json=wish), "may use 1 fcp_devices and uses 0")
    over_quota(await volume(door, "POST", ["1a00", "1b00"]), "this needs 2")
    assert done(await door.get("/volumes/fcp/1a00")) == ["", 0, 0, ""]
    await limit(admin, {"fcp_devices": 2})
    fcps = (await connector(door, "linux01"))["zvm_fcp"]
    done(await volume(door, "POST", fcps))
    assert await used(node, "fcp_devices") == 2, "those that were reserved are counted once"
    assert (await connector(door, "linux01"))["zvm_fcp"] == fcps
    over_quota(await volume(door, "POST", ["1a01"]), "uses 2; this needs 1")


async def test_devices_that_are_reserved_for_a_userid_count_when_its_guest_comes(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, template: str, node: Node
) -> None:
    await limit(admin, {"fcp_devices": 1}, "default")
    assert len((await connector(door, "linux09", fcp_template_id=template))["zvm_fcp"]) == 2
    guest = {**GUEST, "userid": "linux09", "loaddev": {}}
    over_quota(await door.post("/guests", json={"guest": guest}), "fcp_devices and uses 0; this needs 2")
    await limit(admin, {"fcp_devices": 2}, "default")
    done(await door.post("/guests", json={"guest": guest}))
    assert (await node.quotas.used("default"))["fcp_devices"] == 2


async def test_a_guest_that_is_registered_counts_with_all_that_it_has(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, node: Node
) -> None:
    before = await node.quotas.used("shop")
    done(await act(door, "deregister_vm"))
    await limit(admin, {"vcpus": 1}, "default")
    register = {"meta": "os_version=rhel8.6", "net_set": "0"}
    over_quota(await act(door, "register_vm", **register), "may use 1 vcpus and uses 0; this needs 2")
    await limit(admin, {"vcpus": 2}, "default")
    done(await act(door, "register_vm", **register))
    assert await node.quotas.used("default") == before
