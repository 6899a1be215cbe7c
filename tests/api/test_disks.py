"""Minidisks that guests are told to mount, through the native API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.native import refused
from api.test_plans import GUEST, LINUX01, over
from manager.fake_zhcp import FakeZhcp

CONFIGURE = f"{LINUX01}/disks/configure"


async def test_a_guest_is_told_to_mount_its_disks_through_its_reader(admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await over(admin, await admin.post("/systems/zvm1/guests", json={**GUEST, "disks": [{"size": "10"}] * 2}))
    ran = len(zhcp.ran)
    job = await over(admin, await admin.post(CONFIGURE, json={"mounts": [{"vdev": "101", "format": "swap"}]}))
    assert job["state"] == "done"
    assert zhcp.kinds()[ran:] == ["reader.punch", "guest.configure"]


@pytest.mark.parametrize(
    ("mounts", "status", "code", "field"),
    [
        ([], 400, "bad-input", "mounts"),
        ([{"vdev": "0100"}, {"vdev": "disk"}], 400, "bad-input", "mounts[1].vdev"),
        ([{"vdev": "0100", "format": "ntfs"}], 400, "bad-input", "mounts[0].format"),
        ([{"vdev": "0100", "folder": "/mnt; reboot"}], 400, "bad-input", "mounts[0].folder"),
        ([{"vdev": "0105"}], 404, "disk-unknown", "0105"),
    ],
)
async def test_what_cannot_be_mounted_is_refused_and_changes_nothing(
    admin: httpx.AsyncClient, zhcp: FakeZhcp, mounts: list[dict[str, Any]], status: int, code: str, field: str
) -> None:
    await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))
    ran = len(zhcp.ran)
    problem = await refused(await admin.post(CONFIGURE, json={"mounts": mounts}), status, code)
    assert field in problem["detail"]
    assert len(zhcp.ran) == ran


async def test_a_wrong_disk_is_named_as_the_request_names_it(admin: httpx.AsyncClient) -> None:
    disks = [{"size": "10"}, {"size": "10", "pool": "NOKIND"}]
    problem = await refused(await admin.post("/systems/zvm1/guests", json={**GUEST, "disks": disks}), 400, "bad-input")
    assert problem["detail"].startswith("disks[1].pool: ")
    await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))
    problem = await refused(await admin.post(f"{LINUX01}/disks", json={"size": "0"}), 400, "bad-input")
    assert problem["detail"].startswith("size: ")
