"""The HTTP door: one key is one operation, wrong input is a problem that names the field, nothing is a 500."""

import asyncio
from dataclasses import replace

import pytest

from zhcp.conftest import Agent
from zhcp.image_server import ImageServer
from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.zhcp import sources
from zvmcloud.zhcp.client import ZhcpClient, ZhcpError
from zvmcloud.zhcp.guest_messages import DeleteGuest, StartGuest
from zvmcloud.zhcp.http import LostError
from zvmcloud.zhcp.journal import digest
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.operations.linked import linked


def body(agent: Agent, **changes: object) -> dict[str, object]:
    return {"epoch": 1, "kind": "guest.create", "parameters": operation_json(agent.guest()), **changes}


async def test_the_same_key_runs_once_however_often_it_is_sent(agent: Agent) -> None:
    answers = await asyncio.gather(
        *(agent.http.put("/v1/operations/j/create", json=body(agent)) for _ in range(5)),
    )
    documents = [answer.json() for answer in answers]
    assert all(document == documents[0] for document in documents)
    assert documents[0]["state"] == "done"
    again = await agent.http.put("/v1/operations/j/create", json=body(agent))
    assert again.json() == documents[0]
    assert (await agent.http.get("/v1/operations/j/create")).json() == documents[0]
    creations = [call for call in documents[0]["calls"] if call["name"] == "Image_Create_DM"]
    assert len(creations) == 1


async def test_a_failed_operation_keeps_its_outcome(agent: Agent) -> None:
    await agent.run(agent.guest())
    first = (await agent.http.put("/v1/operations/j/again", json=body(agent))).json()
    assert first["state"] == "failed"
    assert first["error"]["code"] == "guest-exists"
    await agent.run(DeleteGuest(userid="LINUX01"))
    assert (await agent.http.put("/v1/operations/j/again", json=body(agent))).json() == first


async def test_another_body_and_an_older_epoch_are_refused(agent: Agent) -> None:
    await agent.http.put("/v1/operations/j/create", json=body(agent, epoch=7))
    other = await agent.http.put(
        "/v1/operations/j/create", json={"epoch": 7, "kind": "guest.start", "parameters": {"userid": "LINUX01"}}
    )
    assert (other.status_code, other.json()["code"]) == (409, "operation-mismatch")
    old = await agent.http.put("/v1/operations/j/other", json=body(agent, epoch=6))
    assert (old.status_code, old.json()["code"]) == (409, "stale-epoch")
    assert old.headers["content-type"] == "application/problem+json"
    assert (await agent.http.get("/v1/operations/j/other")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "named"),
    [
        ("PUT", "/v1/operations/j/s", b"{", 400, "body"),
        ("PUT", "/v1/operations/j/s", b"[]", 400, "body"),
        ("PUT", "/v1/operations/j/s", b'{"epoch": "1", "kind": "guest.start"}', 400, "epoch"),
        ("PUT", "/v1/operations/j/s", b'{"epoch": 1, "kind": "x"}', 400, "kind"),
        ("PUT", "/v1/operations/j/s", b'{"epoch": 1, "kind": {}, "parameters": 7}', 400, "kind"),
        ("PUT", "/v1/operations/j/s", b'{"epoch": 1, "kind": "guest.start", "parameters": 7}', 400, "parameters"),
        ("PUT", "/v1/operations/j/s", b'{"epoch": 1, "kind": "guest.start", "extra": 7}', 400, "extra"),
        ("PUT", "/v1/operations/j/s?wait=-1", b"{}", 400, "wait"),
        ("PUT", "/v1/operations/j/s?wait=nan", b"{}", 400, "wait"),
        ("PUT", "/v1/operations/" + "j" * 200 + "/s", b"{}", 400, "job"),
        ("PUT", "/v1/operations/j/s", b"\xff\xfe", 400, "body"),
        ("PUT", "/v1/operations/j/s", b"[" * 100_000, 400, "body"),
        ("PUT", "/v1/operations/j/s", b'{"epoch": 1, "\\ud800": 7}', 400, "\\ud800"),
        (
            "PUT",
            "/v1/operations/j/s",
            b'{"epoch": 1, "kind": "guest.start", "parameters": {"\\ud800": 1}}',
            400,
            "ud800",
        ),
        ("PUT", "/v1/operations/j/s", b'{"epoch": 1' + b"0" * 5000 + b"}", 400, "body"),
        ("GET", "/v1/operations/j/none", b"", 404, "j/none"),
        ("DELETE", "/v1/operations/j/none?epoch=1&wait=301", b"", 400, "wait"),
        ("GET", "/v1/nothing", b"", 404, "/v1/nothing"),
        ("POST", "/v1/system", b"", 405, "/v1/system"),
        ("GET", "/v1/guests/TOOLONGID", b"", 400, "userid"),
        ("GET", "/v1/guests/A%20B", b"", 400, "userid"),
        ("GET", "/v1/guests/NOBODY", b"", 404, "NOBODY"),
        ("GET", "/v1/guests/NOBODY/console", b"", 404, "NOBODY"),
        ("GET", "/v1/guests/ZHCP/console?kb=0", b"", 400, "kb"),
        ("GET", "/v1/pools/NOPOOL", b"", 404, "NOPOOL"),
        ("GET", "/v1/pools/TOOLONGNAME", b"", 400, "pool"),
        ("GET", "/v1/vswitches/NOSW", b"", 404, "NOSW"),
        ("POST", "/v1/guests/NOBODY/command", b"{}", 400, "command"),
        ("POST", "/v1/guests/NOBODY/command", b'{"command": "x", "epoch": 1}', 409, "NOBODY"),
        ("POST", "/v1/guests/NOBODY/command", b'{"command": "x"}', 400, "epoch"),
        ("DELETE", "/v1/operations/a/b", b"", 400, "epoch"),
    ],
)
async def test_wrong_input_is_a_problem_that_names_what_is_wrong(
    agent: Agent, method: str, path: str, content: bytes, status: int, named: str
) -> None:
    answer = await agent.http.request(method, path, content=content)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert named in problem["detail"]
    assert set(problem) >= {"type", "title", "status", "code", "detail", "retryable", "remedy", "smapi", "cp", "calls"}


async def test_operations_and_calls_show_no_password(agent: Agent) -> None:
    guest = operation_json(agent.guest())
    assert isinstance(guest, dict)
    answer = await agent.http.put("/v1/operations/j/c", json=body(agent, parameters={**guest, "password": "GEHEIM"}))
    assert answer.json()["state"] == "done"
    assert "GEHEIM" not in answer.text
    assert "GEHEIM" not in (await agent.http.get("/v1/guests/LINUX01")).text


async def test_questions_about_the_system_are_answered(agent: Agent) -> None:
    assert (await agent.client.health())["system"] == "ZVM1"
    system = await agent.client.system()
    assert (system["version"], system["memory_mb"], system["cpus_total"]) == ("7.2.0", 65536, 6)
    names = [pool["name"] for pool in await agent.client.pools() if isinstance(pool, dict)]
    assert names == ["FBAPOOL", "POOL1"]
    assert {"userid": "MAINT"} in await agent.client.guests()
    assert (await agent.client.guest("MAINT"))["userid"] == "MAINT"
    assert await agent.client.adapters("MAINT") == []


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_lost_connection_is_taken_up_where_it_was(agent: Agent, ranges: bool) -> None:
    await agent.run(agent.guest())
    server = ImageServer(agent.image.path.read_bytes(), lambda n: n * 70_000 if n < 3 else None, ranges=ranges)
    async with server.running() as url:
        headers = {"x-token": "GEHEIM"}
        outcome = await agent.run(agent.write_image(url=url, headers=headers))
    assert outcome.result is not None
    assert outcome.result["sha256"] == agent.image.sha256
    assert len(server.requests) == 3
    assert "range: bytes=70000-" in server.requests[1].lower()
    assert all("GEHEIM" in request for request in server.requests)
    assert "GEHEIM" not in str(outcome)


async def test_a_server_that_sends_nothing_more_is_given_up(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_PAUSE", 0.01)
    await agent.run(agent.guest())
    server = ImageServer(agent.image.path.read_bytes(), lambda n: 70_000 if n == 1 else 0)
    async with server.running() as url:
        problem = await agent.refused(agent.write_image(url=url))
    assert (problem.code, problem.retryable) == ("source-lost", True)


@pytest.mark.parametrize("url", ["ftp://h/i", "file:///etc/passwd", "http://", "file://elsewhere/i", "nonsense"])
async def test_other_sources_are_refused_before_anything_is_touched(agent: Agent, url: str) -> None:
    problem = await agent.refused(agent.write_image(url=url))
    assert (problem.status, problem.calls) == (400, ())
    assert "source.url" in problem.detail


async def test_a_copy_can_be_cancelled_and_leaves_an_empty_disk(agent: Agent) -> None:
    await agent.run(agent.guest())
    server = ImageServer(agent.image.path.read_bytes(), lambda _: None)
    server.pause_after = 150_000
    server.go_on.clear()
    async with server.running() as url:
        request = {"epoch": 1, "kind": "disk.write_image"}
        parameters = operation_json(agent.write_image(url=url))
        path = "/v1/operations/j/write"
        running = await agent.http.put(path, params={"wait": 0.3}, json={**request, "parameters": parameters})
        assert running.json()["state"] == "running"
        assert 0 < running.json()["progress"] < 1
        assert "cylinders" in running.json()["detail"]
        ended = (await agent.http.delete(path, params={"epoch": 1})).json()
        server.go_on.set()
    assert (ended["state"], ended["error"]["code"]) == ("failed", "cancelled")
    assert [call["name"].split()[0] for call in ended["calls"]][-1] == "DETACH"
    async with linked(agent.runner.context("test"), "LINUX01", "0100", write=False) as (_, disk_path):
        with EckdDisk(disk_path) as disk:
            assert list(disk.used_tracks()) == []


async def test_a_stopped_agent_detaches_and_takes_the_operation_up_again(agent: Agent) -> None:
    await agent.run(agent.guest())
    server = ImageServer(agent.image.path.read_bytes(), lambda _: None)
    server.pause_after = 150_000
    server.go_on.clear()
    async with server.running() as url:
        image = agent.write_image(url=url)
        path = "/v1/operations/j/write"
        document = {"epoch": 1, "kind": "disk.write_image", "parameters": operation_json(image)}
        await agent.http.put(path, params={"wait": 0.3}, json=document)
        stopping = agent.runner
        await stopping.stop()
        agent.restart()
        server.pause_after = -1
        server.go_on.set()
        assert (await agent.http.get(path, params={"wait": 0})).json()["state"] == "running"
        answer = await agent.http.put(path, json=document)
    assert answer.json()["state"] == "done"
    assert agent.runner.journal.links() == ()


async def test_an_entry_that_a_crash_left_half_made_is_completed(agent: Agent) -> None:
    """The first run ended, as by a kill, after the entry and before its disk: the second run knows it as its own."""
    journal = agent.runner.journal
    document = body(agent)
    await journal.admit("j", "create", 1, "guest.create", digest("guest.create", document["parameters"]))
    await journal.note("j/create", "entry")
    await agent.run(replace(agent.guest(), disks=()))
    answer = (await agent.http.put("/v1/operations/j/create", json=document)).json()
    assert answer["state"] == "done"
    assert [disk["vdev"] for disk in answer["result"]["disks"]] == ["0100"]
    assert "Image_Create_DM" not in [call["name"] for call in answer["calls"]]


async def test_links_that_a_crash_left_are_given_back(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.runner.machine.cp("LINK LINUX01 0100 AS F005 W")
    await agent.runner.journal.linking("F005", "LINUX01", "0100")
    assert await agent.runner.recover() == (), "what this run linked is in use"
    busy = await agent.refused(agent.write_image())
    assert (busy.status, busy.code) == (409, "disk-in-use")
    agent.restart()
    assert await agent.runner.recover() == ("F005",)
    await agent.run(agent.write_image())


async def test_a_device_number_that_others_use_is_passed_over(agent: Agent) -> None:
    await agent.run(agent.guest("OTHER"))
    await agent.run(agent.guest())
    await agent.runner.machine.cp("LINK OTHER 0100 AS F000 RR")
    await agent.runner.machine.cp("LINK OTHER 0100 AS F001 RR")
    outcome = await agent.run(agent.write_image())
    assert [call.name for call in outcome.calls if call.rc == 0 and call.name.startswith(("LINK", "DETACH"))] == [
        "LINK LINUX01 0100 AS F002 W",
        "DETACH F002",
    ]


async def test_a_system_that_is_gone_is_a_retryable_problem(agent: Agent) -> None:
    await agent.simulator.close()
    with pytest.raises(ZhcpError) as caught:
        await agent.client.health()
    assert (caught.value.problem.status, caught.value.problem.retryable) == (503, True)


async def test_start_of_an_unreachable_agent_is_an_error_after_its_patience() -> None:
    async with ZhcpClient("http://127.0.0.1:9") as client:
        with pytest.raises(ZhcpError) as caught:
            await client.run(job="j", step="s", epoch=1, operation=StartGuest(userid="A"), patience=0.3)
    assert caught.value.problem.code == "agent-unreachable"
    assert isinstance(caught.value.__cause__, LostError)
