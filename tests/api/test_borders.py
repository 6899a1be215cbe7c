"""Networks and pools that are marked as a project's are used by its members and by operators, by nobody else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.native import As, ok, refused, token_of
from api.test_inventory import done, look
from manager.over_simulator import Managed
from zvmcloud.manager import borders
from zvmcloud.manager.errors import NotAllowed, NotFound
from zvmcloud.manager.identity.roles import SYSTEM, Caller, Role
from zvmcloud.manager.inventory.tables import marks, seen_resources
from zvmcloud.manager.jobs.plan import Step
from zvmcloud.manager.node import Node

G1 = "/guests/ZVM1/G1"
NETWORK = {"network": "QNET"}
COPY = {"userid": "G2"}


@pytest.fixture
def node(zvm: Managed) -> Node:
    return zvm.node


@pytest.fixture
async def sam(zvm: Managed, admin: httpx.AsyncClient, client: As) -> httpx.AsyncClient:
    """A member of p, who has the guest G1; the VSWITCH QNET and the pool POOL1 are q's."""
    sam = client(await token_of(admin, "sam", "member", p="member"))
    await ok(await admin.post("/projects", json={"name": "q"}), 201)
    await zvm.node.networks.create_vswitch("ZVM1", "QNET", {"connection": "DISCONNECT", "vid": "100"})
    await done(sam, await sam.post("/systems/ZVM1/guests", json={"userid": "G1", "disks": [{"size": "5"}]}))
    await done(sam, await sam.post(f"{G1}/nics", json={"vdev": "1000"}))
    await look(admin)
    for kind, name in (("vswitch", "QNET"), ("pool", "POOL1")):
        await ok(await admin.patch(f"/marks/{kind}/ZVM1/{name}", json={"project": "q"}))
    return sam


USES: dict[str, tuple[str, dict[str, Any]]] = {
    "an adapter on its network": (f"{G1}/nics", NETWORK),
    "a plan of one": (f"{G1}/nics?dry_run=true", NETWORK),
    "an adapter coupled to it": (f"{G1}/nics/1000/couple", {"vswitch": "QNET"}),
    "a copy of a guest with an adapter on it": (f"{G1}/clone", {"to": "G2", "networks": [NETWORK]}),
    "a guest in its pool": ("/systems/ZVM1/guests", {**COPY, "disks": [{"size": "5"}]}),
    "a disk in its pool": (f"{G1}/disks", {"size": "5"}),
}


@pytest.mark.parametrize("what", USES)
async def test_a_member_of_another_project_gets_no_part_of_it(
    zvm: Managed, sam: httpx.AsyncClient, admin: httpx.AsyncClient, what: str
) -> None:
    path, body = USES[what]
    problem = await refused(await sam.post(path, json=body), 404, "not-found")
    assert "is not in a project of sam" in problem["detail"]
    system = zvm.simulator.system
    assert "G2" not in system.entries
    assert not any(grant.userid == "G1" for grant in system.vswitches["QNET"].grants)
    await ok(await admin.put("/projects/q/members/sam", json={"role": "member"}), 204)
    answer = await sam.post(path, json=body)
    if "dry_run" in path:
        await ok(answer)
    else:
        await done(sam, answer)


async def test_only_an_operator_gives_a_guest_more_than_one_vlan(
    zvm: Managed, sam: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await ok(await admin.put("/projects/q/members/sam", json={"role": "member"}), 204)
    for more in (
        {"port_type": "TRUNK", "vlans": ["66", "70-80"]},
        {"port_type": "TRUNK", "vlans": ["66"]},
    ):
        problem = await refused(await sam.post(f"{G1}/nics", json={**NETWORK, **more}), 403, "role")
        assert "TRUNK" in problem["detail"]
    for several in (["66", "67"], ["70-80"]):
        await refused(await sam.post(f"{G1}/nics", json={**NETWORK, "vlans": several}), 400, "bad-parameter")
    await done(sam, await sam.post(f"{G1}/nics", json={**NETWORK, "vlans": ["66"]}))
    trunk = {**NETWORK, "port_type": "TRUNK", "vlans": ["66", "70-80"], "vdev": "2000"}
    await done(admin, await admin.post(f"{G1}/nics", json=trunk))
    assert zvm.simulator.system.active("G1") is False


async def test_an_operator_of_some_projects_gives_trunk_ports_on_their_networks(node: Node) -> None:
    attach = Step("nic", "", "nic.attach", {"network": "QNET", "lan_owner": "SYSTEM", "port_type": "TRUNK"})
    of_p, of_q = (Caller("opal", Role.OPERATOR, {name: Role.OPERATOR}, name) for name in ("p", "q"))
    mark = {"kind": "vswitch", "system": "ZVM1", "name": "QNET", "project": "q", "tags": {}, "changed": 1.0}
    async with node.core.database.write() as connection:
        await borders.check(connection, of_p, "ZVM1", [attach])
        await connection.execute(sa.insert(marks), {**mark, "actor": "admin"})
        await borders.check(connection, of_q, "ZVM1", [attach])
        with pytest.raises(NotFound):
            await borders.check(connection, of_p, "ZVM1", [attach])


async def test_a_shared_pool_is_whose_its_mark_at_any_member_says(node: Node) -> None:
    reserve = Step("reserve", "", "manager.volume_reserved", {"pool": "luns", "home": "ssi:SSI1"})
    stranger = Caller("eve", Role.MEMBER, {"p": Role.MEMBER}, "p")
    reader = Caller("ray", Role.READER, {"q": Role.READER}, "q")
    owner = Caller("sam", Role.MEMBER, {"q": Role.MEMBER}, "q")
    mark = {"kind": "volume-pool", "system": "ZVM2", "name": "luns", "project": "q", "tags": {}, "changed": 1.0}
    async with node.core.database.write() as connection:
        await connection.execute(sa.insert(marks), {**mark, "actor": "admin"})
        await borders.check(connection, stranger, "ZVM1", [reserve])
        for system in ("ZVM1", "ZVM2"):
            row: dict[str, Any] = {
                "system": system,
                "kind": "ssi",
                "name": "SSI1",
                "facts": {},
                "first": 1.0,
                "changed": 1.0,
            }
            await connection.execute(sa.insert(seen_resources), row)
        with pytest.raises(NotFound):
            await borders.check(connection, stranger, "ZVM1", [reserve])
        with pytest.raises(NotAllowed):
            await borders.check(connection, reader, "ZVM1", [reserve])
        for caller in (owner, SYSTEM):
            await borders.check(connection, caller, "ZVM1", [reserve])
