"""Jobs that are over and run again: retried from the step that failed, or undone."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.native import ok, refused
from api.test_connector_road import add_image
from api.test_plans import GUEST, LINUX01, over
from manager.fake_zhcp import FakeZhcp, Refused
from zvmcloud.manager.jobs.again import FILES_KEPT
from zvmcloud.manager.node import Node
from zvmcloud.manager.tables import jobs


@pytest.fixture
async def failed(
    admin: httpx.AsyncClient, door: httpx.AsyncClient, zhcp: FakeZhcp, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """A deploy whose second step failed once."""
    await add_image(door, sample)
    await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))

    def full(_: dict[str, Any]) -> dict[str, Any]:
        raise Refused(409, "spool-full", "the spool is full")

    with monkeypatch.context() as patched:
        patched.setattr(zhcp, "_do_reader_punch", full)
        job = await over(admin, await admin.post(f"{LINUX01}/deploy", json={"image": "sample", "hostname": "web01"}))
    assert (job["state"], [step["state"] for step in job["steps"]]) == ("failed", ["undone", "failed", "pending"])
    zhcp.ran.clear()
    return job


async def test_a_failed_job_is_retried_and_does_again_what_it_took_back(
    admin: httpx.AsyncClient, zhcp: FakeZhcp, failed: dict[str, Any], node: Node
) -> None:
    answer = await admin.post(f"/jobs/{failed['id']}/retry")
    answer.headers["location"] = f"/v1/jobs/{failed['id']}"
    job = await over(admin, answer)
    assert (job["state"], job["error"], job["run"]) == ("done", None, 1)
    assert zhcp.ran == [f"{job['id']}/write-image.r1 disk.write_image", f"{job['id']}/punch-hostname.r1 reader.punch"]
    assert not (node.settings.folder / "jobs" / job["id"]).exists(), "its files are gone with its end"
    await refused(await admin.post(f"/jobs/{job['id']}/retry"), 409, "job-state")


async def test_a_job_whose_files_are_gone_is_not_retried(
    admin: httpx.AsyncClient, zhcp: FakeZhcp, failed: dict[str, Any], node: Node
) -> None:
    shutil.rmtree(node.settings.folder / "jobs" / failed["id"])
    await refused(await admin.post(f"/jobs/{failed['id']}/retry"), 409, "job-files-gone")
    assert (await ok(await admin.get(f"/jobs/{failed['id']}")))["state"] == "failed"
    assert zhcp.ran == []


async def test_a_job_that_is_done_is_undone_last_step_first(admin: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    job = await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))
    assert "LINUX01" in zhcp.guests
    answer = await admin.post(f"/jobs/{job['id']}/undo")
    answer.headers["location"] = f"/v1/jobs/{job['id']}"
    undone = await over(admin, answer)
    assert (undone["state"], [step["state"] for step in undone["steps"]]) == ("undone", ["undone", "undone"])
    assert zhcp.guests == {}
    assert (await ok(await admin.get("/guests")))["items"] == []
    await refused(await admin.post(f"/jobs/{job['id']}/undo"), 409, "job-state")
    made = await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))
    assert made["state"] == "done", "as if it had never been"


async def test_a_job_with_a_step_that_cannot_be_taken_back_is_not_undone(
    admin: httpx.AsyncClient, zhcp: FakeZhcp
) -> None:
    await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))
    job = await over(admin, await admin.delete(LINUX01))
    zhcp.ran.clear()
    problem = await refused(await admin.post(f"/jobs/{job['id']}/undo"), 409, "job-not-undoable")
    assert "what was on its disks is gone" in problem["detail"], "as the operation declares it"
    assert zhcp.ran == []


async def test_an_undo_that_an_agent_refuses_says_so(
    admin: httpx.AsyncClient, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))

    def locked(_: dict[str, Any]) -> dict[str, Any]:
        raise Refused(409, "entry-locked", "the entry is locked")

    monkeypatch.setattr(zhcp, "_do_guest_delete", locked)
    answer = await admin.post(f"/jobs/{job['id']}/undo")
    answer.headers["location"] = f"/v1/jobs/{job['id']}"
    found = await over(admin, answer)
    assert (found["state"], found["error"]["code"]) == ("failed", "not-undone")
    assert "the entry is locked" in found["steps"][0]["detail"]


async def test_a_job_of_a_guest_that_another_job_changes_waits(
    admin: httpx.AsyncClient, zhcp: FakeZhcp, failed: dict[str, Any]
) -> None:
    zhcp.delay = 0.5
    await ok(await admin.post(f"{LINUX01}/start"), 202)
    await refused(await admin.post(f"/jobs/{failed['id']}/retry"), 409, "guest-busy")
    await refused(await admin.post("/jobs/none/retry"), 404, "job-unknown")


async def test_the_start_of_a_manager_leaves_what_a_retry_needs(
    admin: httpx.AsyncClient, failed: dict[str, Any], node: Node
) -> None:
    folder = node.settings.folder / "jobs" / failed["id"]
    assert await node.keeping.sweep() == 0
    assert folder.exists()
    async with node.core.database.write() as connection:
        long_ago = sa.update(jobs).where(jobs.c.id == failed["id"]).values(finished=time.time() - FILES_KEPT - 1)
        await connection.execute(long_ago)
    os.utime(folder, (1, 1))  # another manager of the database might have made a young one just now
    assert await node.keeping.sweep() == 1
    await refused(await admin.post(f"/jobs/{failed['id']}/retry"), 409, "job-files-gone")


async def test_the_files_of_a_failed_job_are_forgotten_after_a_day(
    failed: dict[str, Any], node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = node.settings.folder / "jobs" / failed["id"]
    await node.runner.forget_files()
    assert folder.exists()
    monkeypatch.setattr("zvmcloud.manager.jobs.runner.FILES_KEPT", -5.0)
    await node.runner.forget_files()
    assert not folder.exists()
