"""An installation from the network: its URLs and its parameter line may hold passwords; only the agent gets them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.native import As, ok, refused, token_of
from api.test_plans import GUEST, LINUX01, over
from manager.fake_zhcp import FakeZhcp, Refused
from zvmcloud.manager.events.tables import events
from zvmcloud.manager.node import Node
from zvmcloud.manager.tables import job_steps, plans

SECRETS = ("Geheim1", "Geheim2", "Geheim3", "Geheim4")
NETBOOT = {
    "kernel": {"url": "https://anna:Geheim1@192.0.2.1/k?tok=Geheim2", "sha256": "0" * 64},
    "initrd": {"url": "https://192.0.2.1/i?tok=Geheim2", "sha256": "1" * 64},
    "method": "kickstart",
    "repository": "https://anna:Geheim1@192.0.2.1/rhel",
    "profile": "https://192.0.2.1/ks.cfg?tok=Geheim3",
    "parm": "inst.vncpassword=Geheim4",
    "nic": "1000",
}
SHOWN = {
    "kernel": {"url": "https://192.0.2.1/k", "sha256": "0" * 64},
    "initrd": {"url": "https://192.0.2.1/i", "sha256": "1" * 64},
    "method": "kickstart",
    "repository": "https://192.0.2.1/rhel",
    "profile": "https://192.0.2.1/ks.cfg",
    "parm": "(not shown)",
    "nic": "1000",
}


@pytest.fixture
async def booted(admin: httpx.AsyncClient, zhcp: FakeZhcp, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the agent was sent for installations of LINUX01; the first one fails."""
    await over(admin, await admin.post("/systems/zvm1/guests", json=GUEST))
    sent: list[dict[str, Any]] = []

    def netboot(parameters: dict[str, Any]) -> dict[str, Any]:
        sent.append(parameters)
        if len(sent) == 1:
            raise Refused(409, "spool-full", "the spool is full")
        return {"userid": parameters["userid"]}

    monkeypatch.setattr(zhcp, "_do_guest_netboot", netboot, raising=False)
    return sent


async def test_who_may_only_read_sees_no_password_of_an_installation_and_the_agent_gets_them_all(
    admin: httpx.AsyncClient, client: As, node: Node, booted: list[dict[str, Any]]
) -> None:
    reader = client(await token_of(admin, "ray", "reader", default="reader"))
    plan = await ok(await admin.post(f"{LINUX01}/netboot?dry_run=true", json=NETBOOT))
    job = await over(admin, await admin.post(f"/plans/{plan['id']}/apply"))
    assert job["state"] == "failed"
    retried = await admin.post(f"/jobs/{job['id']}/retry")
    retried.headers["location"] = f"/v1/jobs/{job['id']}"
    again = await over(admin, retried)
    assert again["state"] == "done"
    for parameters in booted:
        assert {name: parameters[name] for name in NETBOOT} == NETBOOT
        assert "stored" not in parameters
    assert len(booted) == 2
    (step,) = again["steps"]
    assert {name: step["parameters"][name] for name in SHOWN} == SHOWN
    seen = [(await reader.get(path)).text for path in (f"/jobs/{job['id']}", f"/plans/{plan['id']}")]
    async with node.core.database.read() as connection:
        seen += [str((await connection.execute(sa.select(table))).all()) for table in (job_steps, plans, events)]
    seen += [(await admin.get(path)).text for path in ("/audit", f"/jobs/{job['id']}/log")]
    assert [secret for secret in SECRETS for text in seen if secret in text] == []
    assert not (node.settings.folder / "jobs" / job["id"]).exists(), "the file is gone with the job's end"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"kernel": {"url": "file:///etc/Geheim1", "sha256": "0" * 64}}, "bad-input"),
        ({"initrd": {"url": "https://anna:Geheim1@", "sha256": "0" * 64}}, "bad-parameter"),
        ({"initrd": {"url": "https://192.0.2.1:Geheim1/", "sha256": "0" * 64}}, "bad-parameter"),
        ({"profile": ""}, "bad-parameter"),
        ({"parm": "Geheim1\n"}, "bad-parameter"),
        ({"repository": "gopher://Geheim1"}, "bad-parameter"),
        ({"parm": "x" * 896}, "bad-parameter"),
    ],
)
async def test_what_is_no_installation_is_refused_before_a_job_begins(
    admin: httpx.AsyncClient, booted: list[dict[str, Any]], changed: dict[str, object], code: str
) -> None:
    problem = await refused(await admin.post(f"{LINUX01}/netboot", json={**NETBOOT, **changed}), 400, code)
    assert "Geheim" not in str(problem)
    assert booted == []
