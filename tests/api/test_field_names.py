"""An error names the field as the request has it: at the native door by the native name, at the connector's by its."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from api.test_connector_road import add_image, create
from zvmcloud.api.connector import naming
from zvmcloud.manager.errors import AgentFailure, BadInput, Conflict

GUEST: dict[str, Any] = {"userid": "linux02", "vcpus": 2, "memory_mb": 2048}
G = "/guests/zvm1/linux01"
SYSTEM = "/systems/zvm1"
NATIVE: tuple[tuple[str, dict[str, Any], tuple[str, ...]], ...] = (
    (f"{SYSTEM}/guests", {**GUEST, "memory_mb": 0}, ("memory_mb: '0'",)),
    (
        f"{SYSTEM}/guests",
        {**GUEST, "max_memory_mb": 1024},
        ("memory_mb: '2048'", "at most max_memory_mb, which is 1024"),
    ),
    (f"{SYSTEM}/guests", {**GUEST, "max_cpus": 1}, ("vcpus: '2'", "at most max_cpus, which is 1")),
    (f"{SYSTEM}/guests", {**GUEST, "disks": [{"size": "x"}]}, ("disks[0].size: 'x'",)),
    (f"{SYSTEM}/guests", {**GUEST, "ipl": "a\nb"}, ("ipl: ",)),
    (f"{SYSTEM}/guests/provision", {**GUEST, "image": "sample", "disks": [{"size": "x"}]}, ("disks[0].size: 'x'",)),
    (f"{G}/resize-cpus", {"vcpus": 65}, ("vcpus: '65'",)),
    (f"{G}/capture", {"image": "a/b"}, ("image: 'a/b'",)),
    (f"{G}/disks", {"size": "5", "pool": "FOO"}, ("pool: 'FOO'",)),
    ("/uploads", {"name": "a/b", "bytes": 5, "sha256": "0" * 64}, ("name: 'a/b'",)),
)
CONNECTOR: tuple[tuple[str, str, dict[str, Any], tuple[str, ...]], ...] = (
    ("POST", "/guests", {"max_mem": "1g"}, ("memory: '2048'", "at most max_mem, which is 1024")),
    ("POST", "/guests", {"max_cpu": 1}, ("vcpus: '2'", "at most max_cpu, which is 1")),
    ("POST", "/guests", {"disk_list": [{"size": "5", "disk_pool": "FOO:X"}]}, ("disk_list[0].disk_pool: 'FOO:X'",)),
    ("POST", "/guests", {"disk_list": [{"size": "0"}]}, ("disk_list[0].size: '0'",)),
    ("POST", "/guests", {"ipl_from": "a\nb"}, ("ipl_from: ", "Remedy: correct ipl_from")),
)


async def test_the_native_door_names_the_members_of_its_bodies(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, sample: Path
) -> None:
    await add_image(door, sample)
    await create(door, userid="linux01")
    for path, body, words in NATIVE:
        answer = await admin.post(path, json=body)
        assert answer.status_code == 400, (path, body, answer.text)
        assert all(word in answer.json()["detail"] for word in words), (words, answer.json()["detail"])


@pytest.mark.parametrize(("method", "path", "members", "words"), CONNECTOR)
async def test_the_connector_door_names_them_as_its_callers_do(
    door: httpx.AsyncClient, method: str, path: str, members: dict[str, Any], words: tuple[str, ...]
) -> None:
    guest = {"userid": "linux02", "vcpus": 2, "memory": 2048, "disk_list": [], **members}
    answer = await door.request(method, path, json={"guest": guest})
    assert answer.status_code == 400, answer.text
    assert all(word in answer.json()["errmsg"] for word in words), (words, answer.json()["errmsg"])


def test_words_change_and_values_do_not() -> None:
    names = {"pool": "disk_pool", "disks": "disk_list"}
    error = BadInput("disks[1].pool", "pool disks", "one of pool and disks")
    assert naming.told(error, names) == (
        "disk_list[1].disk_pool: 'pool disks' is not acceptable: one of disk_pool and disk_list"
    )
    found = {"code": "bad-parameter", "detail": "parameters.pool: 'pool given, disks' given, a pool",
             "remedy": "correct parameters.pool"}  # fmt: skip
    agents = AgentFailure(found)
    assert agents.detail == "pool: 'pool given, disks' given, a pool"
    assert naming.told(agents, names) == "disk_pool: 'pool given, disks' given, a disk_pool"
    assert naming.remedy(agents, names) == "correct disk_pool"
    other = Conflict("pool P has no disks", remedy="another pool")
    assert (naming.told(other, names), naming.remedy(other, names)) == (other.detail, other.remedy)
