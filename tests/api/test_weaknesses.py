"""The weaknesses of the original, one by one: what the page of the connector says of each is shown by a test.

Most are tests of their subjects elsewhere; here are those about how calls are made, and the comparison of the page.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.refusing import Refusals
from api.test_connector_road import add_image, create
from api.test_undo_of_calls import ACTIVE_NIC, ONE, Wish, action, opened, send
from manager.fake_zhcp import FakeZhcp
from manager.over_simulator import Managed
from simulator.support import write_image
from zvmcloud.api.program import doors
from zvmcloud.simulator import storage
from zvmcloud.simulator.faults import Rule

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "connector.md"
ROWS = (
    *(f"A{number}" for number in range(1, 12)),
    *(f"B{number}" for number in range(1, 5)),
    *(f"C{number}" for number in range(1, 11)),
    "D5", "D6", "D13", "D16",
)  # fmt: skip


def test_each_weakness_has_a_row_and_each_row_a_test_that_there_is() -> None:
    rows = dict(re.findall(r"^\| ([A-D]\d+) \|.*\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE))
    assert set(rows) == set(ROWS)
    for row, named in rows.items():
        tests = re.findall(r"`(test_\w+)\.py::(test_\w+)`", named)
        assert tests, row
        for file, name in tests:
            found = [path.read_text() for path in (ROOT / "tests").glob(f"*/{file}.py")]
            assert any(re.search(rf"def {name}\(", text) for text in found), f"{row}: {file} has no {name}"


@pytest.fixture
async def zvm(tmp_path: Path) -> AsyncIterator[Managed]:
    async with opened(tmp_path) as system:
        yield system


@pytest.fixture
async def real(zvm: Managed) -> AsyncIterator[httpx.AsyncClient]:
    """The connector over an agent and a simulated z/VM."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(doors(zvm.node)), base_url="http://manager") as client:
        yield client


def guest(userid: str) -> Wish:
    """Two disks; none gets a file system, which is what the agent starts `mkfs` for."""
    disks = [{"size": "10", "is_boot_disk": True}, {"size": "5", "format": "none"}]
    return ("POST", "/guests", {"guest": {"userid": userid, "vcpus": 1, "memory": 1024, "disk_list": disks}})


async def up(zvm: Managed, real: httpx.AsyncClient) -> None:
    assert (await send(real, guest("linux01"))).status_code == 200
    system = zvm.simulator.system
    write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
    assert (await send(real, action("start", timeout=60))).status_code == 200


MOST = (
    ("create", guest("linux02"), 13),
    ("info", ("GET", f"{ONE}/info", None), 10),
    ("nic, active", ACTIVE_NIC, 7),
    ("delete", ("DELETE", "/guests/linux02", None), 10),
)
"""Calls, and how many programs the original starts for each (reference/connector/flows.md 9)."""


async def test_no_call_starts_a_program_and_each_asks_z_vm_less_often(
    zvm: Managed, real: httpx.AsyncClient, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a program was started")

    await up(zvm, real)
    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    monkeypatch.setattr(asyncio, "create_subprocess_shell", refuse)
    for name, wish, theirs in MOST:
        zvm.simulator.faults.add(Rule(action="delay", delay=0.0001))
        refusals.commands.clear()
        answer = await send(real, wish)
        assert answer.status_code == 200, answer.text
        (counted,) = zvm.simulator.faults.rules
        zvm.simulator.faults.clear()
        assert counted.matched + len(refusals.commands) < theirs, (name, counted.matched, refusals.commands)
        assert len(refusals.commands) == len(set(refusals.commands)), (
            name,
            "nothing is asked of CP twice",
            refusals.commands,
        )


async def test_channel_paths_are_asked_once_each_and_not_for_each_device(
    real: httpx.AsyncClient, refusals: Refusals
) -> None:
    await send(real, ("POST", "/volumes/fcptemplates", {"name": "t", "fcp_devices": "1a00-1a03;1b00-1b03"}))
    refusals.commands.clear()
    answer = await real.get("/volumes/fcptemplates/detail?sync_with_zvm=true&raw=true")
    devices = [row for path in answer.json()["output"]["fcp_templates"][0]["raw"].values() for row in path]
    paths = [command for command in refusals.commands if command.startswith("QUERY CHPID")]
    assert len(devices) == 8
    assert len(paths) == len(set(paths)) <= len({row[7] for row in devices}) == 2


async def test_what_waits_for_one_guest_stops_no_other(zvm: Managed, real: httpx.AsyncClient) -> None:
    for userid in ("linux01", "linux02"):
        assert (await send(real, guest(userid))).status_code == 200
    zvm.simulator.faults.add(Rule(target="LINUX01", action="delay", delay=2.0, count=1))
    slow = asyncio.create_task(send(real, ("POST", f"{ONE}/nic", {"nic": {}})))
    while not zvm.simulator.faults.rules[0].struck:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert (await send(real, ("POST", "/guests/linux02/nic", {"nic": {}}))).status_code == 200
    assert not slow.done(), "the other guest's call is still waiting"
    assert (await slow).status_code == 200


async def test_a_reset_and_a_soft_stop_take_as_long_as_the_guest_does(zvm: Managed, real: httpx.AsyncClient) -> None:
    await up(zvm, real)
    for name in ("reset", "softstop"):
        began = time.monotonic()
        answer = await send(real, action(name))
        assert answer.status_code == 200, answer.text
        assert time.monotonic() - began < 14, "the original pauses for 15 s after a shutdown, 10 s between looks"
    assert (await real.get(f"{ONE}/power_state")).json()["output"] == "off"


async def test_statistics_need_no_name_list(zvm: Managed, real: httpx.AsyncClient) -> None:
    zvm.simulator.faults.add(Rule(function="Name_List*"))
    await up(zvm, real)
    assert (await real.get("/guests/stats?userid=linux01")).json()["output"]["LINUX01"]["guest_cpus"] == 1
    assert [rule.matched for rule in zvm.simulator.faults.rules] == [0]


async def test_no_password_of_an_entry_is_answered(zvm: Managed, real: httpx.AsyncClient) -> None:
    await up(zvm, real)
    for path in (ONE, f"{ONE}/user_direct"):
        first = (await real.get(path)).json()["output"]["user_direct"][0].split()
        assert first[:3] == ["USER", "LINUX01", "******"]


async def test_a_guest_that_does_not_answer_in_time_leaves_what_z_vm_knows(
    door: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    await create(door)
    await door.post(f"{ONE}/action", json={"action": "start"})
    zhcp.deaf = True
    found = (await door.get(f"{ONE}/info")).json()["output"]
    assert (found["power_state"], found["os_distro"], found["online_cpu_num"]) == ("on", "", 0)
    assert found["num_cpu"] == 2
    refused = await door.get(f"{ONE}/os_info")
    assert refused.json()["overallRC"] != 0
    assert "does not answer" in refused.json()["errmsg"]


async def test_what_a_guest_says_of_itself_is_text(door: httpx.AsyncClient, zhcp: FakeZhcp, tmp_path: Path) -> None:
    await create(door)
    await door.post(f"{ONE}/action", json={"action": "start"})
    ran = tmp_path / "ran"
    zhcp.os_release = f'ID=__import__("pathlib").Path("{ran}").touch()\nVERSION_ID="$(touch {ran})"\n'
    answer = (await door.get(f"{ONE}/os_info")).json()["output"]
    assert "__import__" in answer["os_distro"]
    assert not ran.exists()


async def test_a_name_is_no_command(door: httpx.AsyncClient, zhcp: FakeZhcp, sample: Path, tmp_path: Path) -> None:
    await create(door)
    for number, name in enumerate((f"$(touch {tmp_path.name}-ran)", "`touch ran`", "a;touch ran", "' || touch ran")):
        await add_image(door, sample, name.replace("/", ""))
        deploy = {"action": "deploy", "image": name.replace("/", "")}
        answer = await door.post(f"{ONE}/action", json=deploy)
        assert answer.status_code == 200, answer.text
        assert len(zhcp.fetched) == number + 1
    assert not Path("ran").exists()
    assert not Path(f"{tmp_path.name}-ran").exists()


async def test_an_export_names_the_copy_that_was_asked_for(
    door: httpx.AsyncClient, sample: Path, tmp_path: Path
) -> None:
    await add_image(door, sample)
    target = (tmp_path / "out" / "copy.img").as_uri()
    found = (await door.put("/images/sample", json={"location": {"dest_url": target}})).json()["output"]
    assert found["image_path"] == target, "as clients of the original get it"
