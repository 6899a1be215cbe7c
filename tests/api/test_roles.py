"""Every route of the native API with every role: who is let in and who is not."""

from __future__ import annotations

import re

import httpx
import pytest
import sqlalchemy as sa
from starlette.routing import Route

from api.native import As, ok, token_of
from zvmcloud.api.v1.app import ROUTERS, Native, document
from zvmcloud.manager.identity.roles import Role
from zvmcloud.manager.jobs.plan import NOTHING, Plan, Step
from zvmcloud.manager.node import Node
from zvmcloud.manager.operations import OPERATIONS
from zvmcloud.manager.tables import plans

ANYBODY = None
GUEST = "/guests/{system}/{userid}"
LEAST: dict[str, Role | None] = {
    "GET /health": ANYBODY,
    "POST /login": ANYBODY,
    "GET /images/{name}/content": Role.MEMBER,
    "GET /ready": ANYBODY,
    "POST /enroll": ANYBODY,
    "GET /metrics": Role.READER,
    "GET /systems": Role.READER,
    "POST /systems": Role.ADMIN,
    "GET /systems/{system}": Role.READER,
    "DELETE /systems/{system}": Role.ADMIN,
    "PATCH /systems/{system}": Role.ADMIN,
    "POST /systems/{system}/enrollment": Role.ADMIN,
    "POST /systems/{system}/look": Role.OPERATOR,
    "GET /inventory/guests": Role.READER,
    "GET /inventory/disks": Role.READER,
    "GET /inventory/nics": Role.READER,
    "GET /inventory/resources": Role.READER,
    "GET /inventory/zhcps": Role.READER,
    "GET /marks/{kind}/{system}/{name}": Role.READER,
    "PATCH /marks/{kind}/{system}/{name}": Role.MEMBER,
    "GET /inventory/clusters": Role.READER,
    "GET /drift": Role.READER,
    "GET /systems/{system}/host": Role.READER,
    f"GET {GUEST}/usage": Role.READER,
    f"POST {GUEST}/move": Role.MEMBER,
    f"GET {GUEST}/history": Role.READER,
    f"GET {GUEST}/history/{{number}}": Role.READER,
    f"GET {GUEST}/history/{{number}}/diff": Role.READER,
    f"POST {GUEST}/adopt": Role.OPERATOR,
    f"POST {GUEST}/forget": Role.OPERATOR,
    f"POST {GUEST}/repair": Role.MEMBER,
    f"POST {GUEST}/restore": Role.OPERATOR,
    "GET /guests": Role.READER,
    f"GET {GUEST}": Role.READER,
    f"PATCH {GUEST}": Role.MEMBER,
    f"GET {GUEST}/console": Role.READER,
    f"POST {GUEST}/command": Role.OPERATOR,
    f"POST {GUEST}/console": Role.MEMBER,
    f"GET {GUEST}/console/stream": Role.READER,
    "GET /events": Role.READER,
    "GET /webhooks": Role.READER,
    "POST /webhooks": Role.MEMBER,
    "GET /webhooks/{webhook}": Role.READER,
    "PATCH /webhooks/{webhook}": Role.MEMBER,
    "DELETE /webhooks/{webhook}": Role.MEMBER,
    "GET /webhooks/{webhook}/deliveries": Role.READER,
    "GET /images": Role.READER,
    "GET /images/{name}": Role.READER,
    "POST /images": Role.MEMBER,
    "PATCH /images/{name}": Role.MEMBER,
    "DELETE /images/{name}": Role.MEMBER,
    "GET /image-storage": Role.OPERATOR,
    "POST /image-storage/prune": Role.OPERATOR,
    "GET /uploads": Role.READER,
    "POST /uploads": Role.MEMBER,
    "GET /uploads/{upload}": Role.READER,
    "PUT /uploads/{upload}": Role.MEMBER,
    "DELETE /uploads/{upload}": Role.MEMBER,
    "GET /jobs": Role.READER,
    "GET /jobs/{job}": Role.READER,
    "POST /jobs/{job}/cancel": Role.MEMBER,
    "POST /jobs/{job}/retry": Role.MEMBER,
    "POST /jobs/{job}/undo": Role.MEMBER,
    "GET /jobs/{job}/events": Role.READER,
    "GET /jobs/{job}/log": Role.READER,
    "POST /bulk/deploy": Role.MEMBER,
    "POST /bulk/power": Role.MEMBER,
    "POST /bulk/delete": Role.MEMBER,
    "GET /operations": Role.READER,
    "GET /plans/{plan}": Role.READER,
    "POST /plans/{plan}/apply": Role.MEMBER,
    "POST /systems/{system}/guests": Role.MEMBER,
    f"DELETE {GUEST}": Role.MEMBER,
    f"POST {GUEST}/start": Role.MEMBER,
    f"POST {GUEST}/stop": Role.MEMBER,
    f"POST {GUEST}/shutdown": Role.MEMBER,
    f"POST {GUEST}/reboot": Role.MEMBER,
    f"POST {GUEST}/reset": Role.MEMBER,
    f"POST {GUEST}/pause": Role.MEMBER,
    f"POST {GUEST}/unpause": Role.MEMBER,
    "POST /systems/{system}/guests/provision": Role.MEMBER,
    f"POST {GUEST}/config-drive": Role.MEMBER,
    f"POST {GUEST}/clone": Role.MEMBER,
    f"POST {GUEST}/deploy": Role.MEMBER,
    f"POST {GUEST}/capture": Role.MEMBER,
    f"POST {GUEST}/resize-cpus": Role.MEMBER,
    f"POST {GUEST}/resize-memory": Role.MEMBER,
    f"POST {GUEST}/reconfigure": Role.MEMBER,
    f"POST {GUEST}/disks": Role.MEMBER,
    f"POST {GUEST}/disks/configure": Role.MEMBER,
    f"DELETE {GUEST}/disks/{{vdev}}": Role.MEMBER,
    f"POST {GUEST}/nics": Role.MEMBER,
    f"DELETE {GUEST}/nics/{{vdev}}": Role.MEMBER,
    f"POST {GUEST}/nics/{{vdev}}/couple": Role.MEMBER,
    f"POST {GUEST}/nics/{{vdev}}/uncouple": Role.MEMBER,
    f"POST {GUEST}/reader/purge": Role.MEMBER,
    f"POST {GUEST}/reader/order": Role.MEMBER,
    f"POST {GUEST}/reader/transfer": Role.MEMBER,
    f"POST {GUEST}/netboot": Role.MEMBER,
    f"GET {GUEST}/relocation": Role.READER,
    "POST /systems/{system}/evacuate": Role.OPERATOR,
    "POST /systems/{system}/vswitches": Role.OPERATOR,
    "PATCH /systems/{system}/vswitches/{vswitch}": Role.OPERATOR,
    "DELETE /systems/{system}/vswitches/{vswitch}": Role.OPERATOR,
    "POST /systems/{system}/vswitches/{vswitch}/grant": Role.OPERATOR,
    "POST /systems/{system}/vswitches/{vswitch}/revoke": Role.OPERATOR,
    "POST /systems/{system}/lans": Role.OPERATOR,
    "POST /systems/{system}/lans/{lan}/delete": Role.OPERATOR,
    f"POST {GUEST}/relocate": Role.MEMBER,
    f"POST {GUEST}/volumes": Role.MEMBER,
    f"POST {GUEST}/volumes/detach": Role.MEMBER,
    "GET /systems/{system}/fcp-devices": Role.OPERATOR,
    "GET /systems/{system}/fcp-templates": Role.OPERATOR,
    "POST /systems/{system}/fcp-templates": Role.OPERATOR,
    "DELETE /systems/{system}/fcp-templates/{template}": Role.OPERATOR,
    "GET /systems/{system}/nics": Role.OPERATOR,
    "GET /systems/{system}/vswitches": Role.OPERATOR,
    "GET /systems/{system}/vswitches/{vswitch}": Role.OPERATOR,
    "GET /systems/{system}/volumes": Role.READER,
    "POST /systems/{system}/volumes": Role.MEMBER,
    "POST /systems/{system}/volumes/adopt": Role.OPERATOR,
    "GET /systems/{system}/volumes/{volume}": Role.READER,
    "DELETE /systems/{system}/volumes/{volume}": Role.MEMBER,
    "POST /systems/{system}/volumes/{volume}/extend": Role.MEMBER,
    "POST /systems/{system}/volumes/{volume}/copy": Role.MEMBER,
    "POST /systems/{system}/volumes/{volume}/rename": Role.MEMBER,
    "POST /systems/{system}/volumes/{volume}/send": Role.MEMBER,
    "POST /systems/{system}/volumes/{volume}/write": Role.MEMBER,
    "POST /systems/{system}/volumes/{volume}/release": Role.OPERATOR,
    "GET /systems/{system}/volume-pools": Role.READER,
    "GET /systems/{system}/volume-pools/{pool}": Role.OPERATOR,
    "PATCH /systems/{system}/volume-pools/{pool}": Role.OPERATOR,
    "GET /systems/{system}/volume-pools/{pool}/check": Role.OPERATOR,
    "POST /systems/{system}/volume-pools/{pool}/discover": Role.OPERATOR,
    "POST /systems/{system}/volume-pools/{pool}/repair": Role.OPERATOR,
    "GET /systems/{system}/volume-pools/{pool}/file": Role.OPERATOR,
    "PUT /systems/{system}/volume-pools/{pool}/file": Role.OPERATOR,
    "POST /systems/{system}/volume-pools/{pool}/luns/{lun}/free": Role.OPERATOR,
    "DELETE /systems/{system}/volume-pools/{pool}/luns/{lun}": Role.OPERATOR,
    "GET /whoami": Role.READER,
    "POST /logout": Role.READER,
    "GET /tokens": Role.READER,
    "POST /tokens": Role.READER,
    "DELETE /tokens/{token}": Role.READER,
    "GET /users": Role.ADMIN,
    "POST /users": Role.ADMIN,
    "GET /users/{name}": Role.ADMIN,
    "PATCH /users/{name}": Role.ADMIN,
    "DELETE /users/{name}": Role.ADMIN,
    "GET /projects": Role.READER,
    "POST /projects": Role.ADMIN,
    "GET /projects/{name}": Role.READER,
    "PATCH /projects/{name}": Role.ADMIN,
    "DELETE /projects/{name}": Role.ADMIN,
    "PUT /projects/{name}/members/{user}": Role.ADMIN,
    "DELETE /projects/{name}/members/{user}": Role.ADMIN,
    "GET /audit": Role.ADMIN,
    "GET /audit/verify": Role.ADMIN,
}
"""The least role of every route that is in the document."""
BODIES: dict[str, dict[str, object]] = {
    f"POST {GUEST}/command": {"command": "true"},
    f"POST {GUEST}/console": {"text": "true"},
    "POST /webhooks": {"url": "http://192.0.2.1/", "secret": "x" * 16},
    f"POST {GUEST}/deploy": {"image": "x"},
    "POST /systems/{system}/guests/provision": {"userid": "nobody", "image": "x"},
    f"POST {GUEST}/config-drive": {"drive": "AA=="},
    f"POST {GUEST}/move": {"destination": "ZVM1"},
    f"POST {GUEST}/clone": {"to": "other"},
    f"POST {GUEST}/capture": {"image": "x"},
    f"POST {GUEST}/resize-cpus": {"vcpus": 2},
    f"POST {GUEST}/resize-memory": {"memory_mb": 2048},
    f"POST {GUEST}/reconfigure": {"share": "RELATIVE 200"},
    f"POST {GUEST}/disks": {"size": "1G"},
    f"POST {GUEST}/disks/configure": {"mounts": [{"vdev": "0101"}]},
    f"POST {GUEST}/nics": {"network": "VSW1"},
    f"POST {GUEST}/nics/{{vdev}}/couple": {"vswitch": "VSW1"},
    f"POST {GUEST}/reader/purge": {},
    f"POST {GUEST}/reader/order": {"spoolids": ["1"]},
    f"POST {GUEST}/reader/transfer": {"spoolids": ["1"], "to": "other"},
    f"POST {GUEST}/netboot": {"kernel": {"url": "u", "sha256": "s"}, "initrd": {"url": "u", "sha256": "s"}},
    "POST /systems/{system}/vswitches": {"name": "toolonganame"},
    "PATCH /systems/{system}/vswitches/{vswitch}": {"isolation": "ON"},
    "POST /systems/{system}/vswitches/{vswitch}/grant": {"userid": "x"},
    "POST /systems/{system}/vswitches/{vswitch}/revoke": {"userid": "x"},
    "POST /systems/{system}/lans": {"name": "toolonganame"},
    "POST /systems/{system}/lans/{lan}/delete": {},
    f"POST {GUEST}/relocate": {"destination": "VM2"},
    f"POST {GUEST}/volumes": {"volume": "x"},
    f"POST {GUEST}/volumes/detach": {"volume": "x"},
    "POST /systems/{system}/volumes": {"name": "x", "pool": "p1", "size_gb": 1},
    "POST /systems/{system}/volumes/adopt": {"name": "x", "pool": "p1", "lun": "x"},
    "POST /systems/{system}/volumes/{volume}/extend": {"size_gb": 1},
    "POST /systems/{system}/volumes/{volume}/copy": {"source": "x"},
    "POST /systems/{system}/volumes/{volume}/rename": {"name": "x"},
    "POST /systems/{system}/volumes/{volume}/send": {"url": "http://192.0.2.1/x"},
    "POST /systems/{system}/volumes/{volume}/write": {"url": "http://192.0.2.1/x", "md5": "0" * 32},
    "POST /systems/{system}/guests": {"userid": "nobody"},
    "POST /systems": {"name": "ZVM1", "url": "http://zhcp"},
    "POST /enroll": {"token": "x", "csr": "x", "url": "https://zhcp"},
    f"POST {GUEST}/restore": {"version": 1},
    "POST /images": {"name": "x", "url": "http://192.0.2.1/x", "md5": "0" * 32, "project": "nothing"},
    "POST /uploads": {"name": "x", "bytes": 1, "md5": "0" * 32, "project": "nothing"},
    "POST /login": {"user": "x", "password": "y"},
    "POST /tokens": {"name": "x", "seconds": 1},
    "POST /users": {"name": "x"},
    "POST /projects": {"name": "x"},
    "POST /bulk/deploy": {"names": "web[1-2]", "image": "nothing"},
    "POST /bulk/power": {"verb": "start", "names": "nobody"},
    "POST /bulk/delete": {"names": "nobody"},
    "PUT /projects/{name}/members/{user}": {},
}
"""Requests that are well formed, so that what refuses them is the role and nothing else."""
ROLES = (None, *Role)


def routes(node: Node) -> set[str]:
    paths = document()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


UNLISTED = {
    "HEAD /images/{name}/content": "as the GET of the same path",
    "HEAD /uploads/{upload}": "as the GET of the same path",
    "PUT /jobs/{job}/image": "of agents, with the token of their job: tests/api/test_connector_capture.py",
    "GET /openapi.json": "the document itself, for everybody",
    "HEAD /openapi.json": "the same",
}
"""Routes that the document does not tell of."""


async def test_the_table_has_every_route(node: Node) -> None:
    assert routes(node) == set(LEAST)


def test_no_route_is_left_out_of_the_document() -> None:
    served = {
        f"{method} {route.path}"
        for router in (*ROUTERS, Native().router)
        for route in router.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    assert served == set(LEAST) | set(UNLISTED)


@pytest.mark.parametrize("role", ROLES, ids=str)
async def test_who_is_let_in(role: Role | None, admin: httpx.AsyncClient, client: As) -> None:
    token = ""
    if role is not None:
        token = await token_of(admin, "sam", str(role), **({} if role.everywhere else {"shop": str(role)}))
    wrong, asked = [], client(token)
    for route in sorted(LEAST, key=lambda one: one == "POST /logout"):  # the last: it ends the token
        least = LEAST[route]
        method, _, path = route.partition(" ")
        path = re.sub(r"{(\w+)}", lambda found: {"system": "ZVM1", "number": "1"}.get(found[1], "nobody"), path)
        path += "?follow=false" if path == "/events" else ""
        body = BODIES.get(route) if method in {"POST", "PUT", "PATCH"} else None
        sends_json = body if body is not None or method in {"GET", "DELETE"} else {}
        answer = await asked.request(method, path, json=sends_json)
        code = answer.json().get("code", "") if answer.status_code >= 400 else ""
        if least is ANYBODY:
            fine = answer.status_code in {200, 401} and code != "unauthorized"
        elif role is None:
            fine = (answer.status_code, code) == (401, "unauthorized")
        elif role.covers(least):
            fine = code not in {"unauthorized", "role"} and answer.status_code < 500
        else:
            fine = (answer.status_code, code) == (403, "role")
        if not fine:
            wrong.append((route, str(role), answer.status_code, code))
    assert wrong == []


async def test_to_run_a_job_or_a_plan_again_needs_the_role_of_its_operation(
    admin: httpx.AsyncClient, client: As, node: Node
) -> None:
    member = client(await token_of(admin, "sam", "member", default="member"))
    shown = await ok(await admin.post("/systems/ZVM1/vswitches?dry_run=true", json={"name": "VSWX"}))
    asked, wrong = 0, []
    for name, found in OPERATIONS.items():
        if member_may := Role.MEMBER.covers(found.role):
            asks = []
        else:
            async with node.core.database.write() as connection:
                document = (await connection.execute(sa.select(plans.c.plan))).scalar_one()
                await connection.execute(sa.update(plans).values(plan={**document, "kind": name}))
            asks = [f"/plans/{shown['id']}/apply"]
        job = await node.journal.begin(Plan(name, name, "ZVM1", (Step("x", "x", NOTHING, {}),), project="default"))
        for path in (*asks, *(f"/jobs/{job}/{how}" for how in ("cancel", "retry", "undo"))):
            code = (await member.post(path)).json().get("code")
            asked += 1
            if (code != "role") is not member_may:
                wrong.append((name, path, code))
    assert wrong == []
    assert asked > 3 * len(OPERATIONS)
