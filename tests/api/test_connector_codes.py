"""The same code for the same situation: what z/VM refuses, where Feilong has a code of its own for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.test_connector_road import add_image, create
from manager.fake_zhcp import FakeZhcp, Refused
from zvmcloud.api.connector.errors import _BY_CODE, _DEPLOY, _EXPORT, _REFUSED, _WHEN_LOCKED

KNOWN: list[dict[str, Any]] = json.loads((Path(__file__).parent / "feilong_errors.json").read_text())

ELSEWHERE: dict[tuple[int, int | None, int, int], str] = {
    (404, 400, 404, 1): "a z/VM system or a job, which Feilong does not have",
    (101, 110, 101, 2): "made by the client there, when its server cannot be reached; here the agent cannot be",
    (500, None, 500, 1): "internal error",
}
"""Codes of ours that are not in Feilong's list of server errors."""

FROM_SMAPI = {8, 4, 3}
"""Classes that carry the codes of SMAPI, of the pool query and of CP."""


def test_each_code_that_is_answered_is_one_of_feilongs() -> None:
    known = {(row["overallRC"], row["modID"], row["rc"], row["rs"]) for row in KNOWN}
    for table in (_BY_CODE, _DEPLOY, _EXPORT, _REFUSED, _WHEN_LOCKED):
        for name, code in table.items():
            numbers = (code.overall, code.module, code.rc, code.rs)
            same = {numbers, (code.overall, None, code.rc, code.rs)}
            assert same & known or numbers in ELSEWHERE or code.overall in FROM_SMAPI, (name, numbers)


def locked() -> Refused:
    return Refused(409, "directory-locked", "the entry is locked", smapi=("Image_Lock_DM", 400, 12))


@pytest.mark.parametrize(
    ("method", "path", "body", "codes"),
    [
        ("POST", "nic", {"nic": {}}, (409, 20, 409, 7)),
        ("DELETE", "nic/1000", {}, (409, 20, 409, 9)),
        ("PUT", "nic/1000", {"info": {"couple": True, "vswitch": "VSW1"}}, (409, 20, 409, 11)),
        ("PUT", "nic/1000", {"info": {"couple": False}}, (409, 20, 409, 13)),
        ("POST", "action", {"action": "resize_mem", "size": "2g"}, (300, 10, 300, 9)),
        ("POST", "action", {"action": "resize_cpus", "cpu_cnt": 3}, (300, 10, 300, 6)),
        ("POST", "action", {"action": "stop"}, (8, 1, 400, 12)),
    ],
)
async def test_an_entry_that_is_locked(
    door: httpx.AsyncClient, zhcp: FakeZhcp, method: str, path: str, body: dict[str, Any], codes: tuple[int, ...]
) -> None:
    await create(door)
    await door.post("/vswitches", json={"vswitch": {"name": "VSW1"}})
    await door.post("/guests/linux01/nic", json={"nic": {"vdev": "1000"}})
    zhcp.refuse_next = locked()
    answer = await door.request(method, f"/guests/linux01/{path}", json=body)
    found = answer.json()
    assert (found["overallRC"], found["modID"], found["rc"], found["rs"]) == codes, found
    assert answer.status_code == (409 if codes[0] == 409 else 500)
    assert "400" in found["errmsg"], "the cause is named"


@pytest.mark.parametrize(
    ("location", "codes"),
    [
        ({"dest_url": "file:///etc/zvmcloud-test"}, (300, 40, 300, 22)),
        ({"dest_url": "file:///x/y", "remote_host": "nova@192.0.2.200"}, (300, 40, 300, 21)),
    ],
)
async def test_an_export_that_cannot_be(
    door: httpx.AsyncClient, sample: Path, location: dict[str, str], codes: tuple[int, ...]
) -> None:
    await add_image(door, sample)
    found = (await door.put("/images/sample", json={"location": location})).json()
    assert (found["overallRC"], found["modID"], found["rc"], found["rs"]) == codes, found
