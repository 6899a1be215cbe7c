"""Capturing at the connector door: the guest goes off and on, its boot disk becomes an image that can be deployed."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.native import As, ok, refused, token_of
from api.test_connector_road import add_image, create, done
from manager.fake_zhcp import FakeZhcp, Refused
from manager.support import image_file
from zvmcloud.manager.core import IMAGE_TOKEN_HEADER
from zvmcloud.manager.node import Node

DISKS = [{"size": "10", "is_boot_disk": True}]


async def act(door: httpx.AsyncClient, action: str, **fields: object) -> httpx.Response:
    return await door.post("/guests/linux01/action", json={"action": action, **fields})


@pytest.fixture
async def running(door: httpx.AsyncClient, zhcp: FakeZhcp, sample: Path) -> None:
    """LINUX01 is on; what its agent would read is an image of ten cylinders."""
    await create(door)
    await add_image(door, sample)
    done(await act(door, "start"))
    zhcp.captured = sample.read_bytes()


@pytest.mark.usefixtures("running")
async def test_a_running_guest_becomes_an_image_and_runs_on(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    answer = await act(door, "capture", image="snap", compress_level=9)
    assert done(answer) == ""
    job = await node.journal.get(answer.headers["zvm-job"])
    assert [(step.step.kind, step.state) for step in job.steps] == [
        ("guest.shutdown", "done"),
        ("disk.read_image", "done"),
        ("guest.start", "done"),
        ("manager.image_captured", "done"),
    ]
    assert job.steps[1].step.parameters == {
        "userid": "LINUX01",
        "vdev": "0100",
        "compression": 9,
        "codec": "gzip",
    }
    assert zhcp.guests["LINUX01"]["state"] == "on"
    (image,) = done(await door.get("/images", params={"imagename": "snap"}))
    assert image["disk_size_units"] == "10:CYL"
    assert image["imageosdistro"] == "rhel8.6"
    assert image["md5sum"] == hashlib.md5(zhcp.captured, usedforsecurity=False).hexdigest()
    assert image["type"] == "rootonly"
    assert Path(image["image_path"]).read_bytes() == zhcp.captured
    assert done(await door.get("/images/snap/root_disk_size")) == "10"
    assert not (node.settings.state / "jobs" / job.id).exists(), "nothing is left of the upload"
    done(await act(door, "stop"))
    done(await act(door, "deploy", image="snap"))
    assert zhcp.fetched[-1] == zhcp.captured


@pytest.mark.usefixtures("running")
async def test_a_captured_image_is_of_the_guests_project_and_of_nobody_else(
    admin: httpx.AsyncClient, client: As, door: httpx.AsyncClient, node: Node
) -> None:
    owner = client(await token_of(admin, "sam", "member", shop="member"))
    stranger = client(await token_of(admin, "eve", "member", bank="member"))
    await ok(await admin.patch("/guests/zvm1/linux01", json={"project": "shop"}))
    done(await act(door, "capture", image="snap"))
    image = await node.images.get("snap")
    assert (image.project, image.public) == ("shop", False)
    await ok(await owner.get("/images/snap"))
    await refused(await stranger.get("/images/snap"), 404, "image-unknown")
    assert done(await door.get("/images", params={"imagename": "snap"})), "the door is an operator's, who sees all"


@pytest.mark.usefixtures("running")
async def test_a_name_that_is_taken_is_a_conflict_before_anything_happens(
    door: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    before = list(zhcp.ran)
    answer = await act(door, "capture", image="sample")
    assert answer.status_code == 409
    assert (answer.json()["overallRC"], answer.json()["modID"], answer.json()["rs"]) == (300, 40, 13)
    assert zhcp.ran == before


@pytest.mark.usefixtures("running")
async def test_all_disks_are_not_implemented(door: httpx.AsyncClient) -> None:
    answer = await act(door, "capture", image="snap", capture_type="alldisks")
    assert answer.status_code == 501
    assert answer.json()["overallRC"] == 501


async def test_a_guest_that_is_off_is_a_conflict(door: httpx.AsyncClient) -> None:
    await create(door)
    answer = await act(door, "capture", image="snap")
    assert answer.status_code == 409
    assert (answer.json()["overallRC"], answer.json()["rc"], answer.json()["rs"]) == (409, 409, 1)
    assert (await door.get("/images", params={"imagename": "snap"})).status_code == 404


@pytest.mark.usefixtures("running")
async def test_a_disk_that_the_ipl_statement_does_not_name_is_not_guessed(
    door: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    for source in ("CMS", "0999", ""):
        zhcp.guests["LINUX01"]["ipl"] = source
        answer = await act(door, "capture", image="snap")
        assert answer.status_code == 409
        assert (answer.json()["overallRC"], answer.json()["modID"], answer.json()["rs"]) == (300, 10, 5)
    assert zhcp.guests["LINUX01"]["state"] == "on"


@pytest.mark.usefixtures("running")
async def test_a_capture_that_fails_starts_the_guest_again_and_keeps_nothing(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    zhcp.captured = b"this is no image"
    answer = await act(door, "capture", image="snap")
    assert answer.status_code >= 500
    assert zhcp.guests["LINUX01"]["state"] == "on"
    assert (await door.get("/images", params={"imagename": "snap"})).status_code == 404
    assert list((node.settings.state / "jobs").rglob("*")) == []


@pytest.mark.usefixtures("running")
async def test_only_the_jobs_own_token_may_send_its_image(door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp) -> None:
    zhcp.refuse_next = Refused(409, "still-on", "it does not go off")
    answer = await act(door, "capture", image="snap")
    job = answer.headers["zvm-job"]
    token = node.core.materials.token(job, "captured")
    for given, path in ((token, job), ("", job), (f"{job}.0", job), (token, "other")):
        sent = await door.put(f"/v1/jobs/{path}/image", headers={IMAGE_TOKEN_HEADER: given}, content=zhcp.captured)
        assert sent.status_code == 401, "the job is over, or the token is not its own"


async def taken_back(admin: httpx.AsyncClient, captured: httpx.Response) -> dict[str, Any]:
    """The job of a capture, when its undo is over."""
    job = captured.headers["zvm-job"]
    await ok(await admin.post(f"/jobs/{job}/undo"), 202)
    for _ in range(6000):
        found: dict[str, Any] = await ok(await admin.get(f"/jobs/{job}"))
        if found["state"] in {"undone", "failed"}:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(found)


@pytest.mark.usefixtures("running")
async def test_the_undo_of_a_capture_removes_its_image(
    door: httpx.AsyncClient, admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    zhcp.captured = image_file(node.settings.folder, "other.img", body=b"another").read_bytes()
    before = done(await door.get("/images"))
    captured = await act(door, "capture", image="snap")
    (image,) = done(await door.get("/images", params={"imagename": "snap"}))
    assert (await taken_back(admin, captured))["state"] == "undone"
    assert done(await door.get("/images")) == before
    assert not Path(image["image_path"]).exists()
    assert zhcp.guests["LINUX01"]["state"] == "on"
    told = (await admin.get("/events", params={"follow": False, "after": 0})).text
    assert told.count("event: image.deleted") == 1


@pytest.mark.usefixtures("running")
async def test_an_image_that_is_needed_stays_when_its_capture_is_undone(
    door: httpx.AsyncClient, admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    zhcp.captured = image_file(node.settings.folder, "other.img", body=b"another").read_bytes()
    captured = await act(door, "capture", image="snap")
    await ok(await admin.patch("/images/snap", json={"protected": True}))
    job = await taken_back(admin, captured)
    assert (job["state"], job["error"]["code"]) == ("failed", "not-undone")
    assert "image snap is protected" in job["steps"][-1]["detail"]
    await ok(await admin.patch("/images/snap", json={"protected": False}))
    await door.post("/guests", json={"guest": {"userid": "linux02", "vcpus": 1, "memory": 512, "disk_list": DISKS}})
    done(await door.post("/guests/linux02/action", json={"action": "deploy", "image": "snap"}))
    job = await taken_back(admin, captured)
    assert "guest LINUX02 was made from it" in job["steps"][-1]["detail"]
    done(await door.delete("/guests/linux02"))
    done(await door.delete("/images/snap"))
    again = await act(door, "capture", image="snap")
    assert (await taken_back(admin, captured))["state"] == "undone"
    assert done(await door.get("/images", params={"imagename": "snap"})), "another capture's by now"
    assert (await taken_back(admin, again))["state"] == "undone"
