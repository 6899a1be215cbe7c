"""The control port, and saved systems."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from simulator.support import linux, write_image
from simulator.test_persistence import Server
from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.simulator import Simulator, saving, storage
from zvmcloud.simulator.control import ControlPort
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.presets import find_preset
from zvmcloud.simulator.program import app
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client
from zvmcloud.smapi.connection import encode_request
from zvmcloud.smapi.errors import SmapiError

GUEST = (*linux("LINUX01"), "MDISK 0100 3390 AUTOG 10 POOL1 MR")


@pytest.fixture
async def http(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    control = ControlPort(sim)
    port = await control.start(port=0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    await control.close()


async def test_fault_rules_come_and_go_while_it_runs(http: httpx.AsyncClient, client: Client) -> None:
    added = (await http.post("/faults", json={"function": "Image_Query_DM", "rc": 400, "rs": 12})).json()
    with pytest.raises(SmapiError):
        await client.call(f.ImageQueryDM(target="ZHCP"))
    assert [rule["struck"] for rule in (await http.get("/faults")).json()] == [1]
    assert (await http.delete(f"/faults/{added['number']}")).status_code == 200
    await client.call(f.ImageQueryDM(target="ZHCP"))
    assert (await http.delete("/faults/9")).status_code == 404
    refused = await http.put("/faults", json=[{"action": "refuse"}, {"action": "explode"}])
    assert refused.status_code == 400
    assert "explode" in refused.json()["error"]
    assert (await http.get("/faults")).json() == []


async def test_latency_changes_while_it_runs(http: httpx.AsyncClient, sim: Simulator) -> None:
    assert (await http.get("/latency")).json()["profile"] == "zero"
    assert (await http.put("/latency", json={"profile": "lab", "boot": 1.5})).json()["boot"] == 1.5
    assert (sim.system.timing.boot, sim.system.timing.directory) == (1.5, 0.4)
    wrong = await http.put("/latency", json={"speed": 1})
    assert (wrong.status_code, "speed" in wrong.json()["error"]) == (400, True)


async def test_the_journal_can_be_followed(http: httpx.AsyncClient, client: Client) -> None:
    await client.call(f.ImageQueryDM(target="ZHCP"))
    async with http.stream("GET", "/journal", params={"follow": 1, "lines": 1}) as answer:
        lines = answer.aiter_lines()
        assert json.loads(await anext(lines))["function"] == "Image_Query_DM"
        await client.call(f.CheckAuthentication())
        call = json.loads(await anext(lines))
    assert (call["who"], call["function"], call["rc"]) == ("MAINT", "Check_Authentication", 0)


async def test_state_counts_what_is_there(http: httpx.AsyncClient, client: Client) -> None:
    before = (await http.get("/state")).json()["systems"][0]
    await client.call(f.ImageCreateDM(target="LINUX01", image_record_array=GUEST))
    after = (await http.get("/state")).json()["systems"][0]
    assert (after["entries"] - before["entries"], after["disks"] - before["disks"]) == (1, 1)
    assert after["level"] == 720


async def test_a_saved_system_comes_back_with_the_data_of_its_disks(
    http: httpx.AsyncClient, client: Client, sim: Simulator, tmp_path: Path
) -> None:
    await client.call(f.ImageCreateDM(target="LINUX01", image_record_array=GUEST))
    file = storage.file_of(sim.system, sim.system.disks["LINUX01.0100"])
    write_image(file)
    with EckdDisk(file) as disk:
        track = disk.read_track(0, 0)
    saved = (await http.post("/save")).content
    assert len(saved) < file.stat().st_size
    await client.call(f.ImageDeleteDM(target="LINUX01"))
    port = sim.smapi_port
    assert (await http.post("/load", content=saved)).status_code == 200
    assert sim.smapi_port == port
    await client.call(f.ImageQueryDM(target="LINUX01"))
    with EckdDisk(storage.file_of(sim.system, sim.system.disks["LINUX01.0100"])) as disk:
        assert disk.read_track(0, 0) == track
    assert (await http.post("/load", content=b"nonsense")).status_code == 400
    await client.call(f.ImageQueryDM(target="LINUX01"))
    (tmp_path / "copy.tar").write_bytes(saved)
    saving.load(tmp_path / "copy.tar", tmp_path / "other")
    async with Simulator(state=tmp_path / "other") as other:
        assert "LINUX01" in other.system.entries
    with pytest.raises(ModelError, match="not empty"):
        saving.load(tmp_path / "copy.tar", tmp_path / "other")


async def test_a_member_of_a_cluster_goes_down_and_comes_back(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path / "state", model=find_preset("ssi4")) as cluster:
        control = ControlPort(cluster)
        port = await control.start(path=None, port=0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            down = (await http.post("/members/vm2/down")).json()
            assert [item["up"] for item in down["systems"]] == [True, False, True, True]
            up = (await http.post("/members/VM2/up")).json()
            assert all(item["up"] for item in up["systems"])
            assert (await http.post("/members/VM9/down")).status_code == 400
        await control.close()


async def test_the_journal_can_be_read_over_the_control_port(http: httpx.AsyncClient, client: Client) -> None:
    await client.call(f.ImageQueryDM(target="ZHCP"))
    control = str(http.base_url)
    for words, code in ((("--json",), 0), (("--member", "NOPE"), 2)):
        ended = await asyncio.to_thread(CliRunner().invoke, app, ["log", "--control", control, *words])
        assert ended.exit_code == code, ended.output
        if not code:
            assert json.loads(ended.output.splitlines()[-1])["function"] == "Image_Query_DM"
    ended = await asyncio.to_thread(CliRunner().invoke, app, ["log", "--control", "http://127.0.0.1:1"])
    assert (ended.exit_code, "no simulator answers" in ended.output) == (1, True)


async def test_a_system_alone_has_no_members(http: httpx.AsyncClient) -> None:
    assert (await http.post("/members/ZVM1/down")).status_code == 409


async def test_the_socket_is_the_owners_alone(sim: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "c"
    control = ControlPort(sim)
    await control.start(path=path)
    assert path.stat().st_mode & 0o077 == 0
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as http:
        assert (await http.get("/state")).status_code == 200
    await control.close()
    assert not path.exists()


def test_commands(tmp_path: Path) -> None:
    """fault, latency, state, save and load find the simulator by its state folder."""
    state, saved = str(tmp_path / "s"), str(tmp_path / "saved.tar")
    server = Server(tmp_path / "s")

    def zvm(*words: str, code: int = 0) -> str:
        ended = CliRunner().invoke(app, [*words, "--state", state])
        assert ended.exit_code == code, ended.output
        return ended.output

    query = encode_request(f.ImageQueryDM(target="ZHCP"), "MAINT", "MAINT")
    try:
        assert zvm("fault", "add", "--function", "Image_Query_DM", "--rc", "400", "--rs", "12", "--count", "1") == "1\n"
        assert server.call(query) == (400, 12)
        assert server.call(query) == (0, 0)
        assert "struck 1 of at most 1, matched 2" in zvm("fault", "list")
        zvm("fault", "clear")
        assert json.loads(zvm("fault", "list", "--json")) == []
        assert json.loads(zvm("latency", "zero", "--set", "smapi=0.01"))["smapi"] == 0.01
        zvm("fault", "add", "--action", "explode", code=2)
        assert "needs seconds" in zvm("fault", "add", "--action", "delay", code=2)
        assert zvm("save", saved) == f"{saved}: {Path(saved).stat().st_size:,} bytes\n"
        wrong = tmp_path / "wrong.tar"
        wrong.write_text("no tar")
        assert len(zvm("load", str(wrong), code=2).splitlines()) == 1
        zvm("load", saved)
        assert server.call(query) == (0, 0)
        assert json.loads(zvm("state"))["systems"][0]["smapi_port"] == server.port
    finally:
        server.stop()
    assert "no simulator answers" in zvm("state", code=1)
