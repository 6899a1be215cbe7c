"""A listing of guests is never older than the question, whoever changes them and however."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.guest_listing import Listings
from zvmcloud.manager.tables import guests

SYSTEMS = ("ZVM1", "ZVM2")


def guest(system: str, userid: str) -> Mapping[str, object]:
    return {"system": system, "userid": userid, "id": str(uuid.uuid4()), "created": 1.5, "comments": {}}


async def change(connection: Connection, dice: random.Random) -> None:
    """Something that SQL can do to guests."""
    system, userid, other = dice.choice(SYSTEMS), f"L{dice.randrange(6)}", f"L{dice.randrange(6)}"
    this = sa.and_(guests.c.system == system, guests.c.userid == userid)
    match dice.randrange(5):
        case 0 | 1:
            await connection.execute(sa.delete(guests).where(this))
            await connection.execute(sa.insert(guests), guest(system, userid))
        case 2:
            await connection.execute(sa.delete(guests).where(this))
        case 3:
            free = ~sa.select(guests.c.userid).where(guests.c.userid == other).correlate(None).exists()
            await connection.execute(sa.update(guests).where(this, free).values(userid=other))
        case 4:
            await connection.execute(sa.update(guests).where(this).values(tags={"a": userid}))


async def test_two_managers_list_what_is_there_after_every_change_of_either(database: str, tmp_path: Path) -> None:
    url, dice = database or f"sqlite:///{tmp_path / 'manager.sqlite'}", random.Random(17)
    both = [await Database.open(url), await Database.open(url)]
    listings = [Listings(opened) for opened in both]
    for number in range(120):
        try:
            async with both[number % 2].write() as connection:
                await change(connection, dice)
                if dice.randrange(4) == 0:
                    raise RuntimeError("this manager changes its mind")
        except RuntimeError:
            pass
        for system in SYSTEMS:
            async with both[0].read() as connection:
                query = sa.select(guests.c.userid).where(guests.c.system == system).order_by(guests.c.userid)
                there = tuple((await connection.execute(query)).scalars())
            for listing in listings:
                found = await listing.of(system)
                assert found.userids == there
                assert found.document.decode() == "[" + ", ".join(f'"{name}"' for name in there) + "]"
    for opened in both:
        await opened.close()


async def test_a_listing_is_made_once_for_all_who_ask_until_a_userid_changes(database: str, tmp_path: Path) -> None:
    opened = await Database.open(database or f"sqlite:///{tmp_path / 'manager.sqlite'}")
    listings = Listings(opened)
    async with opened.write() as connection:
        await connection.execute(sa.insert(guests), [guest(system, "L1") for system in SYSTEMS])
    first = await listings.of("ZVM1")
    async with opened.write() as connection:
        await connection.execute(sa.update(guests).values(tags={"a": "b"}))
        await connection.execute(sa.delete(guests).where(guests.c.system == "ZVM2"))
    assert await listings.of("ZVM1") is first, "neither tags nor another system's guests are told"
    async with opened.write() as connection:
        await connection.execute(sa.update(guests).values(system="ZVM2"))
    assert [(await listings.of(system)).userids for system in SYSTEMS] == [(), ("L1",)]
    await opened.close()


async def test_what_another_program_writes_into_the_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "manager.sqlite"
    opened = await Database.open(f"sqlite:///{file}")
    listings = Listings(opened)
    assert (await listings.of("ZVM1")).userids == ()
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(sa.insert(guests), guest("ZVM1", "L1"))
    engine.dispose()
    assert (await listings.of("ZVM1")).userids == ("L1",)
    await opened.close()


@pytest.mark.parametrize("userids", [("L2", "L1"), ()])
async def test_a_system_without_guests_has_a_listing_too(userids: tuple[str, ...], tmp_path: Path) -> None:
    opened = await Database.open(f"sqlite:///{tmp_path / 'manager.sqlite'}")
    async with opened.write() as connection:
        for userid in userids:
            await connection.execute(sa.insert(guests), guest("ZVM1", userid))
    assert (await Listings(opened).of("ZVM1")).userids == tuple(sorted(userids))
    await opened.close()
