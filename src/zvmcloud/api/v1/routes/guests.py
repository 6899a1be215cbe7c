"""Guests."""

from __future__ import annotations

from fastapi import APIRouter

from zvmcloud.api.v1.context import Reader, TheNode
from zvmcloud.api.v1.models import Guest
from zvmcloud.api.v1.paging import Cursor, Limit, Page, key_of, page
from zvmcloud.manager import tables
from zvmcloud.manager.listing import Listing

router = APIRouter(tags=["guests"])

GUESTS = Listing(tables.guests, ("system", "userid"))


@router.get("/guests")
async def guests(
    node: TheNode, caller: Reader, system: str = "", project: str = "", limit: Limit = 100, cursor: Cursor = ""
) -> Page[Guest]:
    """The guests this manager owns, of the caller's projects, by system and userid."""
    rows = await GUESTS.rows(
        node.core.database,
        caller,
        after=key_of(cursor, str, str),
        limit=limit,
        equal={"system": node.core.system(system) if system else "", "project": project},
    )
    return page(rows, limit, Guest.of, GUESTS.key)
