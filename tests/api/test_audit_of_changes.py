"""Every route that changes something leaves an entry in the audit: who, from where, what. Each has its line here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.native import ok
from api.test_plans import over
from manager.over_simulator import Managed, managed
from manager.support import image_file, settings
from zvmcloud.api.connector.routes import RULES
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.api.v1.app import document
from zvmcloud.client import operations
from zvmcloud.manager.identity.roles import SYSTEM as SYSTEM_CALLER
from zvmcloud.manager.identity.tables import audit
from zvmcloud.manager.operations import OPERATIONS

PLAIN, BYTES = {"content-type": "text/plain"}, {"content-type": "application/octet-stream"}
SYSTEM = "/systems/ZVM1"
POOL = f"{SYSTEM}/volume-pools/p1"
LUN = "4000400100000000-500507630708d3b3"
FILE = "free,500507630708d3b3,4000400100000000,2G,,,,\n"
TEMPLATE = {"name": "t2", "devices": "1a00;1b00"}
HOOK = {"url": "https://93.184.216.34/", "secret": "x" * 16, "kinds": ["job.*"]}

NATIVE: list[tuple[str, str, str, Any, str]] = [
    ("project.create", "POST", "/projects", {"name": "shop"}, "project.add"),
    ("project.change", "PATCH", "/projects/shop", {"description": "of it"}, "project.change"),
    ("user.create", "POST", "/users", {"name": "sam", "password": "correct horse"}, "user.add"),
    ("user.change", "PATCH", "/users/sam", {"role": "reader"}, "user.change"),
    ("project.admit", "PUT", "/projects/shop/members/sam", {"role": "member"}, "project.admit"),
    ("project.expel", "DELETE", "/projects/shop/members/sam", None, "project.expel"),
    ("token.create", "POST", "/tokens", {"name": "t", "user": "sam"}, "token.make"),
    ("token.delete", "DELETE", "/tokens/{id}", None, "token.revoke"),
    ("session.login", "POST", "/login", {"user": "sam", "password": "correct horse"}, "token.make"),
    ("user.delete", "DELETE", "/users/sam", None, "user.remove"),
    ("project.delete", "DELETE", "/projects/shop", None, "project.remove"),
    ("webhook.create", "POST", "/webhooks", HOOK, "webhook.create"),
    ("webhook.change", "PATCH", "/webhooks/{id}", {"kinds": []}, "webhook.change"),
    ("webhook.delete", "DELETE", "/webhooks/{id}", None, "webhook.delete"),
    ("fcp-template.create", "POST", f"{SYSTEM}/fcp-templates", TEMPLATE, "fcp-template.create"),
    ("fcp-template.delete", "DELETE", f"{SYSTEM}/fcp-templates/{{id}}", None, "fcp-template.delete"),
    ("volume-pool.import", "PUT", f"{POOL}/file", FILE, "volume-pool.import"),
    ("volume-pool.set", "PATCH", POOL, {"wipe": "none"}, "volume-pool.set"),
    ("volume-pool.free", "POST", f"{POOL}/luns/{LUN}/free", None, "volume-pool.free"),
    ("volume-pool.repair", "POST", f"{POOL}/repair", None, "volume-pool.repair"),
    ("volume-pool.remove", "DELETE", f"{POOL}/luns/{LUN}", None, "volume-pool.remove"),
    ("guest.change", "PATCH", "/guests/ZVM1/A1", {"tags": {"a": "b"}}, "guest.describe"),
    ("guest.command", "POST", "/guests/ZVM1/A1/command", {"command": "true"}, "guest.command"),
    ("mark.change", "PATCH", "/marks/vswitch/ZVM1/VSW1", {"tags": {"a": "b"}}, "mark.change"),
    ("image.change", "PATCH", "/images/im1", {"protected": False}, "image.change"),
    ("upload.create", "POST", "/uploads", {"name": "im9", "bytes": 1, "md5": "0" * 32}, "image.upload"),
    ("upload.delete", "DELETE", "/uploads/{id}", None, "image.upload"),
    ("image.delete", "DELETE", "/images/im1", None, "image.delete"),
    ("system.invite", "POST", "/systems/ZVM9/enrollment", {}, "system.invite"),
    ("system.create", "POST", "/systems", {"name": "ZVM8", "url": "http://192.0.2.8:1"}, "system.add"),
    ("system.change", "PATCH", "/systems/ZVM8", {"image_copies": 2}, "system.change"),
    ("system.delete", "DELETE", "/systems/ZVM8", None, "system.remove"),
    ("session.logout", "POST", "/logout", None, "token.revoke"),
]
"""Route, method, path ({id}: of what the last POST made), body, and the action that the audit has then."""
JOBS = ("guest.send", "image.import", "job.cancel", "job.retry", "job.undo", "plan.apply")
"""Routes that begin, or change, a job: the journal writes their entries (tests/api/test_audit_of_jobs.py)."""
NO_CHANGE = {
    "agent.enroll": "it has a token that was audited, and its entry is in tests/api/test_enrollment.py",
    "image-storage.prune": "each image that goes has an entry: tests/manager/test_image_keeping.py",
    "system.look": "z/VM is looked at; what it shows is recorded as seen",
    "upload.send": "bytes of an upload, whose beginning and end have entries",
    "volume-pool.discover": "it asks the storage; what it adds has an entry: tests/api/test_volumes.py",
}
CONNECTOR_TEMPLATE = {"name": "t1", "fcp_devices": "1a00;1b00", "host_default": True}
_USAGE = {"info": {"userid": "X", "reserved": 0, "connections": 0, "fcp_template_id": ""}}
CONNECTOR: list[tuple[str, str, Any, str]] = [
    ("POST /volumes/fcptemplates", "/volumes/fcptemplates", CONNECTOR_TEMPLATE, "fcp-template.create"),
    ("GET /volumes/conn/{userid}", "/volumes/conn/linux01", {"info": {"reserve": True}}, "fcp.reserve"),
    ("PUT /volumes/fcp/{fcp_id}", "/volumes/fcp/1a00", _USAGE, "fcp.change"),
    ("GET /volumes/conn/{userid}", "/volumes/conn/linux01", {"info": {"reserve": False}}, "fcp.unreserve"),
    ("PUT /volumes/fcptemplates/{template}", "/volumes/fcptemplates/{id}", {"name": "t2"}, "fcp-template.change"),
    ("DELETE /volumes/fcptemplates/{template}", "/volumes/fcptemplates/{id}", None, "fcp-template.delete"),
    ("PUT /files", "/files", b"x", "file.import"),
    ("PUT /images/{name}", "/images/im1", None, "image.export"),
    ("DELETE /images/{name}", "/images/im1", None, "image.delete"),
]
"""Route, path, body, and the action that the audit has then; a reservation comes by GET."""
CONNECTOR_JOBS = (
    "POST /guests", "DELETE /guests/{userid}", "POST /guests/{userid}/action",
    "POST /guests/volumes", "DELETE /guests/volumes", "PUT /volumes/volume_refresh_bootmap",
    "POST /guests/{userid}/nic", "DELETE /guests/{userid}/nic/{vdev}", "PUT /guests/{userid}/nic/{vdev}",
    "POST /guests/{userid}/interface", "DELETE /guests/{userid}/interface",
    "POST /guests/{userid}/disks", "PUT /guests/{userid}/disks", "DELETE /guests/{userid}/disks",
    "POST /vswitches", "DELETE /vswitches/{name}", "PUT /vswitches/{name}", "POST /images",
)  # fmt: skip
"""Routes that answer with their job."""
CONNECTOR_NO_CHANGE = {"POST /files": "it hands a file out"}


@pytest.fixture
async def zvm(tmp_path: Path, database: str) -> AsyncIterator[Managed]:
    make_secret(tmp_path / "state" / "connector.token")
    found = settings(tmp_path / "state", database=database, connector={"mode": "open", "open_from": ["127.0.0.1"]})
    async with managed(tmp_path, found) as opened:
        yield opened


@pytest.fixture
async def door(zvm: Managed) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(doors(zvm.node))
    async with httpx.AsyncClient(transport=transport, base_url="http://manager", timeout=60) as client:
        yield client


async def noted(zvm: Managed, after: int) -> tuple[int, list[str]]:
    """The number of the last entry, and what others than the manager itself did behind one."""
    async with zvm.node.core.database.read() as connection:
        rows = (await connection.execute(sa.select(audit).where(audit.c.number > after).order_by("number"))).all()
    return (rows[-1].number if rows else after), [
        row.action for row in rows if row.user != SYSTEM_CALLER.user and row.address
    ]


async def test_a_change_by_the_native_api_that_is_no_job_is_in_the_audit(
    zvm: Managed, door: httpx.AsyncClient, tmp_path: Path
) -> None:
    headers = {"authorization": f"Bearer {zvm.node.new_admin_token}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(doors(zvm.node)), base_url="http://manager/v1", headers=headers, timeout=60
    ) as admin:
        await over(admin, await admin.post(f"{SYSTEM}/guests", json={"userid": "A1"}))
        image = {"image_name": "im1", "url": image_file(tmp_path).as_uri(), "image_meta": {"os_version": "rhel8.2"}}
        assert (await door.post("/images", json={"image": image})).status_code == 200
        await over(admin, await admin.post(f"{SYSTEM}/vswitches", json={"name": "VSW1", "connection": "DISCONNECT"}))
        await ok(await admin.post(f"{SYSTEM}/look"))
        last, _ = await noted(zvm, 0)
        made, wrong = "", []
        for route, method, path, body, action in NATIVE:
            text = isinstance(body, str)
            sent: dict[str, Any] = {"content": body, "headers": PLAIN} if text else {"json": body}
            answer = await admin.request(method, path.format(id=made), **sent)
            told = answer.json() if answer.status_code == 201 else None
            made = told["id"] if isinstance(told, dict) and "id" in told else made
            last, actions = await noted(zvm, last)
            if action not in actions:
                wrong.append((route, answer.status_code, answer.text[:150], actions))
        assert wrong == []
        assert await zvm.node.audit.verify() is None


async def test_native_has_every_route() -> None:
    declared = {name.replace("_", "-") for name in OPERATIONS}
    changing = {one.name for one in operations(document()) if one.method != "GET"}
    told = [route for route, *_ in NATIVE] + list(JOBS) + list(NO_CHANGE)
    assert sorted(told) == sorted(changing - declared), "a declared operation is a job"


async def test_a_change_at_the_connectors_door_that_is_no_job_is_in_the_audit(
    zvm: Managed, door: httpx.AsyncClient, tmp_path: Path
) -> None:
    image = {"image_name": "im1", "url": image_file(tmp_path).as_uri(), "image_meta": {"os_version": "rhel8.2"}}
    assert (await door.post("/images", json={"image": image})).status_code == 200
    last, _ = await noted(zvm, 0)
    template, target, wrong = "", zvm.node.settings.folder / "files" / "im1", []
    for route, path, body, action in CONNECTOR:
        method = route.partition(" ")[0]
        wanted = {"location": {"dest_url": target.as_uri()}} if action == "image.export" else body
        sent: dict[str, Any] = {"content": body, "headers": BYTES} if isinstance(body, bytes) else {"json": wanted}
        answer = await door.request(method, path.format(id=template), **sent)
        if route == "POST /volumes/fcptemplates":
            template = answer.json()["output"]["fcp_template"]["id"]
        last, actions = await noted(zvm, last)
        if action not in actions:
            wrong.append((route, answer.status_code, answer.text[:150], actions))
    assert wrong == []


async def test_the_connector_has_every_route() -> None:
    changing = {f"{rule.method} {rule.path}" for rule in RULES if rule.method != "GET"}
    own = {route for route, *_ in CONNECTOR if not route.startswith("GET ")}
    assert own | set(CONNECTOR_JOBS) | set(CONNECTOR_NO_CHANGE) == changing
    assert len(own) + len(CONNECTOR_JOBS) + len(CONNECTOR_NO_CHANGE) == len(changing)
