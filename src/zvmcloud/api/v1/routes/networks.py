"""Adapters as they were recorded, and virtual switches as they are: what a network agent compares."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel

from zvmcloud.api.v1.context import Operator, TheNode
from zvmcloud.api.v1.paging import Cursor, Limit, Page, key_of, page
from zvmcloud.manager import tables
from zvmcloud.manager.facts import Document
from zvmcloud.manager.listing import Listing

router = APIRouter(tags=["networks"])

NICS = Listing(tables.nics, ("system", "userid", "vdev"), project="")


class RecordedNic(BaseModel):
    """An adapter of a guest of ours. ``nic_id`` is the caller's own name of it; ``vswitch`` and ``vlan`` are what it
    was coupled to, null when it is not."""

    userid: str
    vdev: str
    nic_id: str | None
    mac: str | None
    vswitch: str | None
    vlan: int | None


class Right(BaseModel):
    """Who may couple to a VSWITCH, and in which VLANs."""

    userid: str
    vlans: list[int]


class Coupled(BaseModel):
    """An adapter of a guest that is on, which is coupled now."""

    userid: str
    vdev: str


class VirtualSwitch(BaseModel):
    """A VSWITCH. ``status``: OSA device ready, defined, ... ``devices``: its real devices, the active one and those
    for fail-over."""

    name: str
    status: str
    vlan_aware: bool
    devices: list[str]
    rights: list[Right]
    coupled: list[Coupled]


@router.get("/systems/{system}/nics", name="nic.list")
async def nics(
    node: TheNode,
    caller: Operator,
    system: str,
    userid: Annotated[str, Query(max_length=8, description="only of this guest")] = "",
    nic_id: Annotated[str, Query(max_length=255, description="the adapter that has this name")] = "",
    named: Annotated[bool, Query(description="only those that have a name")] = False,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[RecordedNic]:
    """The adapters of the guests of a system, as they were recorded when they were made and coupled."""
    rows = await NICS.rows(
        node.core.database,
        caller,
        after=key_of(cursor, str, str, str),
        limit=limit,
        equal={"system": node.core.system(system), "userid": userid.upper(), "nic_id": nic_id},
        where=[tables.nics.c.nic_id.is_not(None) if named else sa.true()],
    )
    return page(rows, limit, lambda row: RecordedNic.model_validate(dict(row)), NICS.key)


@router.get("/systems/{system}/vswitches", name="vswitch.list")
async def vswitches(node: TheNode, _caller: Operator, system: str) -> list[VirtualSwitch]:
    """The virtual switches of a system with who may use them and who does, asked of z/VM now."""
    name = node.core.system(system)
    return [_switch(item) for item in await node.networks.switches(name)]


@router.get("/systems/{system}/vswitches/{vswitch}", name="vswitch.show")
async def vswitch(node: TheNode, _caller: Operator, system: str, vswitch: str) -> VirtualSwitch:
    """One virtual switch, asked of z/VM now."""
    return _switch(await node.networks.vswitch(node.core.system(system), vswitch))


def _switch(found: Document) -> VirtualSwitch:
    return VirtualSwitch(
        name=found.text("name"),
        status=found.text("status"),
        vlan_aware=found.document("attributes").text("vlan_awareness") == "AWARE",
        devices=[device.text("real_device_address") for device in found.documents("real_devices")],
        rights=[
            Right(userid=user.text("grant_userid"), vlans=[int(number) for number in user.texts("user_vlan_ids")])
            for user in found.documents("authorized_users")
        ],
        coupled=[
            Coupled(userid=adapter.text("adapter_owner"), vdev=adapter.text("adapter_vdev").zfill(4))
            for adapter in found.documents("adapters")
        ],
    )
