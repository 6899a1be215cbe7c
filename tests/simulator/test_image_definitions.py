"""Image_Definition_*: entries by keywords, as recorded on z/VM 7.1."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.checks import consistent
from simulator.support import linux
from zvmcloud.simulator import Simulator
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client
from zvmcloud.smapi.declare import Request
from zvmcloud.smapi.errors import SmapiError

#: The recorded call (tests/Image_Definition_Create_DM/2), in a pool of this system.
RECORDED = (
    "CONSOLE=VDEV=0009 DEVTYPE=3215 CLASS=T",
    "CPU=CPUADDR=00 BASE=YES",
    "CPU_MAXIMUM=COUNT=1 TYPE=ESA",
    "IPL=VDEV=CMS",
    "LINK=USERID=MAINT VDEV1=190 VDEV2=0190 MODE=RR",
    "LINK=USERID=MAINT VDEV1=19E VDEV2=019E MODE=RR",
    (
        "MDISK=VDEV=777 DEVTYPE=XXXX DISKTYPE=AUTOG COUNT=1000 NAME=POOL1 READPASSWORD=READ WRITEPASSWORD=WRITE"
        " MULTIPASSWORD=MULTIPLE"
    ),
    "PASSWORD=@sm8pi@",
    "PRIVILEGE_CLASSES=ABCDEFG",
    "SPOOL=VDEV=000C DEVTYPE=2540_READER CLASS=*",
    "SPOOL=VDEV=000D DEVTYPE=2540_PUNCH CLASS=A",
    "SPOOL=VDEV=000E DEVTYPE=1403 CLASS=A",
    "STORAGE_INITIAL=1G",
    "STORAGE_MAXIMUM=2G",
)
#: The recorded answer to a query for everything (tests/Image_Definition_Query_DM/3); the place is this system's.
ANSWER = (
    "CONSOLE=VDEV=0009 DEVTYPE=3215 CLASS=T",
    "CPU=CPUADDR=00 BASE=YES DEDICATE=NO",
    "CPU_MAXIMUM=COUNT=1 TYPE=ESA",
    "IPL=VDEV=CMS",
    "LINK=USERID=MAINT VDEV1=190 VDEV2=0190 MODE=RR",
    "LINK=USERID=MAINT VDEV1=19E VDEV2=019E MODE=RR",
    (
        "MDISK=VDEV=0777 DEVTYPE=3390 DISKTYPE=PERM START=1 COUNT=1000 VOLID=LX0001 MODE=W READPASSWORD=READ"
        " WRITEPASSWORD=WRITE MULTIPASSWORD=MULTIPLE"
    ),
    "@SM8PI@",
    "PRIVILEGE_CLASSES=ABCDEFG",
    "SPOOL=VDEV=000C DEVTYPE=2540_READER CLASS=*",
    "SPOOL=VDEV=000D DEVTYPE=2540_PUNCH CLASS=A",
    "SPOOL=VDEV=000E DEVTYPE=1403 CLASS=A",
    "STORAGE_INITIAL=1G",
    "STORAGE_MAXIMUM=2G",
    "COMMAND_DEFINE_CPU=",
    "COMMAND_SET_CPUAFFINITY=",
    "COMMAND_SET_SHARE=",
    "COMMAND_SET_VCONFIG=",
    "DEDICATE=",
    "INCLUDE=",
    "NICDEF=",
    "OPTION=",
    "SHARE=",
    "VMRELOCATE=",
)
#: One more statement of every keyword that the recorded entry does not have.
OTHERS = {
    "COMMAND_DEFINE_CPU": "CPUADDR=01 TYPE=IFL",
    "COMMAND_SET_CPUAFFINITY": "ON",
    "COMMAND_SET_SHARE": "RELATIVE=200",
    "COMMAND_SET_VCONFIG": "MODE=LINUX",
    "DEDICATE": "VDEV=5000 RDEV=F080",
    "INCLUDE": "LNXDFLT",
    "NICDEF": "VDEV=F000 TYPE=QDIO LAN=SYSTEM SWITCHNAME=EXTERN",
    "OPTION": "ACCT MAXCONN 1024 QUICKDSP",
    "SHARE": "ABSOLUTE=3% LIMIT=NOLIMIT",
    "VMRELOCATE": "ON DOMAIN SSI",
}


def made(target: str, *items: str) -> f.ImageDefinitionCreateDM:
    return f.ImageDefinitionCreateDM(target=target, definition_create_directory_keyword_parameter_list=items)


def update(*items: str, target: str = "GT@PING") -> f.ImageDefinitionUpdateDM:
    return f.ImageDefinitionUpdateDM(target=target, definition_update_directory_keyword_parameter_list=items)


def drop(*items: str) -> f.ImageDefinitionDeleteDM:
    return f.ImageDefinitionDeleteDM(target="GT@PING", definition_delete_directory_keyword_parameter_list=items)


async def ask(client: Client, text: str = "*", target: str = "GT@PING") -> tuple[str, ...]:
    request = f.ImageDefinitionQueryDM(target=target, definition_query_directory_keyword_parameter_list=(text,))
    return (await client.call(request)).reply.directory_information_data


async def refused(client: Client, request: Request[Any]) -> tuple[int, int, tuple[str, ...]]:
    with pytest.raises(SmapiError) as caught:
        await client.call(request)
    return caught.value.rc, caught.value.rs, caught.value.text


async def test_the_recorded_definition_gives_the_recorded_description(sim: Simulator, client: Client) -> None:
    await client.call(made("gt@ping", *RECORDED))
    assert await ask(client, target="gt@ping") == ANSWER
    assert await ask(client, "ipl PASSWORD NICDEF") == ("IPL=VDEV=CMS", "@SM8PI@", "NICDEF=")
    assert (await refused(client, made("GT@PING", *RECORDED)))[:2] == (400, 8)
    consistent(sim.system)


@pytest.mark.parametrize("keyword", sorted(OTHERS))
async def test_every_keyword_can_be_set_shown_and_dropped(client: Client, keyword: str) -> None:
    item = f"{keyword}={OTHERS[keyword]}"
    await client.call(made("GT@PING", *RECORDED, item))
    shown = await ask(client, keyword)
    assert shown == (item,)
    whole = await ask(client)
    assert set(ANSWER) - {f"{keyword}="} <= set(whole)
    await client.call(drop(item))
    assert await ask(client, keyword) == (f"{keyword}=",)
    operation = " OPERATION=ADD" if keyword in ("DEDICATE", "NICDEF", "COMMAND_DEFINE_CPU") else ""
    await client.call(update(f"{item}{operation}"))
    assert await ask(client, keyword) == (item,)


async def test_the_recorded_refusals(client: Client) -> None:
    await client.call(made("GT@PING", *RECORDED))
    text = ("UNKNOWN_DIRECTORY_KEYWORD_PARAMETER=BOGUS_KEYWORD",)
    assert await refused(client, update("BOGUS_KEYWORD=BAD")) == (8, 3002, text)
    assert await refused(client, made("OTHER", "BOGUS_KEYWORD=BAD")) == (8, 3002, text)
    assert await refused(client, drop("*")) == (8, 3002, ("UNKNOWN_DIRECTORY_KEYWORD_PARAMETER=*",))
    query = f.ImageDefinitionQueryDM(
        target="GT@PING", definition_query_directory_keyword_parameter_list=("BOGUS_KEYWORD=BAD",)
    )
    whole = ("UNKNOWN_DIRECTORY_KEYWORD_PARAMETER=BOGUS_KEYWORD=BAD",)
    assert await refused(client, query) == (8, 3002, whole)
    assert (await refused(client, update("IPL=VDEV=CMS", target="NOBODY")))[:2] == (400, 4)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("MDISK=VDEV=0778 DEVTYPE=XXXX DISKTYPE=AUTOG COUNT=1 NAME=POOL1", (408, 8)),
        ("MDISK=OPERATION=ADD VDEV=0777 DEVTYPE=XXXX DISKTYPE=AUTOG COUNT=1 NAME=POOL1", (408, 4)),
        ("MDISK=OPERATION=ADD VDEV=000C DEVTYPE=XXXX DISKTYPE=AUTOG COUNT=1 NAME=POOL1", (408, 4)),
        ("MDISK=OPERATION=ADD VDEV=0778 DEVTYPE=XXXX DISKTYPE=AUTOG COUNT=0 NAME=POOL1", (8, 3032)),
        ("MDISK=OPERATION=ADD VDEV=0778 COLOUR=RED", (8, 3002)),
        ("MDISK=VDEV=0777 COUNT=5", (8, 3032)),
        ("LINK=USERID=MAINT VDEV1=19D VDEV2=019D MODE=RR", (408, 8)),
        ("NICDEF=VDEV=1000 TYPE=QDIO", (404, 8)),
        ("NICDEF=OPERATION=ADD VDEV=0777 TYPE=QDIO", (404, 4)),
        ("SPOOL=OPERATION=ADD VDEV=000C DEVTYPE=1403", (404, 4)),
        ("CPU=CPUADDR=00", (520, 28)),
        ("CPU=CPUADDR=99", (520, 28)),
        ("PASSWORD=two words", (8, 3032)),
        ("PASSWORD=muchtoolong", (444, 0)),
        ("STORAGE_INITIAL=4G", (8, 3032)),
        ("SHARE=LIMIT=NOLIMIT", (8, 3032)),
    ],
)
async def test_an_update_that_cannot_be_changes_nothing(client: Client, item: str, expected: tuple[int, int]) -> None:
    await client.call(made("GT@PING", *RECORDED))
    before = await ask(client)
    assert (await refused(client, update("IPL=VDEV=0777", item)))[:2] == expected
    assert await ask(client) == before


async def test_disks_come_and_go_by_keywords(sim: Simulator, client: Client) -> None:
    await client.call(made("GT@PING", *RECORDED))
    await client.call(
        update("MDISK=OPERATION=ADD VDEV=999 COUNT=10 DEVTYPE=XXXX DISKTYPE=AUTOG NAME=POOL1", "IPL=VDEV=0999 PARM=A B")
    )
    assert "GT@PING.0999" in sim.system.disks
    assert await ask(client, "IPL") == ("IPL=VDEV=0999 PARM=A B",)
    await client.call(update("MDISK=VDEV=0999 MODE=MR READPASSWORD=ALL"))
    assert (await ask(client, "MDISK"))[1].endswith("VOLID=LX0001 MODE=MR READPASSWORD=ALL")
    assert (await refused(client, update("MDISK=VDEV=0999 MULTIPASSWORD=X")))[:2] == (408, 28)
    await client.call(f.ImageLockDM(target="GT@PING", device_address="0999"))
    assert (await refused(client, drop("MDISK=VDEV=0999")))[:2] == (408, 12)
    await client.call(f.ImageUnlockDM(target="GT@PING", device_address="0999"))
    await client.call(drop("LINK=USERID=MAINT VDEV1=19E"))
    assert await ask(client, "LINK") == ("LINK=USERID=MAINT VDEV1=190 VDEV2=0190 MODE=RR",)
    await client.call(drop("MDISK=VDEV=999", "CPU=CPUADDR=0", "LINK="))
    assert "GT@PING.0999" not in sim.system.disks
    assert await ask(client, "LINK") == ("LINK=",)
    for item, expected in (
        ("MDISK=VDEV=0999", (408, 8)),
        ("CPU=CPUADDR=00", (520, 30)),
        ("SHARE=", (8, 4)),
        ("NICDEF=VDEV=1000", (404, 8)),
        ("PASSWORD=", (8, 3032)),
    ):
        assert (await refused(client, drop(item)))[:2] == expected
    await client.call(drop("IPL="))
    assert (await refused(client, drop("IPL=")))[:2] == (460, 4)
    consistent(sim.system)


async def test_storage_and_its_maximum_change_together(client: Client) -> None:
    await client.call(made("GT@PING", *RECORDED))
    await client.call(update("STORAGE_INITIAL=4G", "STORAGE_MAXIMUM=8G", "PRIVILEGE_CLASSES=G"))
    shown = await ask(client, "STORAGE_INITIAL STORAGE_MAXIMUM PRIVILEGE_CLASSES")
    assert shown == ("STORAGE_INITIAL=4G", "STORAGE_MAXIMUM=8G", "PRIVILEGE_CLASSES=G")


async def test_what_resizing_sends(client: Client) -> None:
    await client.call(f.ImageCreateDM(target="LINUX01", image_record_array=linux("LINUX01")))
    await client.call(
        update("COMMAND_DEFINE_CPU=CPUADDR=00 TYPE=IFL", "COMMAND_DEFINE_CPU=CPUADDR=01 TYPE=IFL", target="LINUX01")
    )
    await client.call(update("CPU_MAXIMUM=COUNT=16 TYPE=ESA", target="LINUX01"))
    assert await ask(client, "COMMAND_DEFINE_CPU CPU_MAXIMUM", "LINUX01") == (
        "COMMAND_DEFINE_CPU=CPUADDR=00 TYPE=IFL",
        "COMMAND_DEFINE_CPU=CPUADDR=01 TYPE=IFL",
        "CPU_MAXIMUM=COUNT=16 TYPE=ESA",
    )
