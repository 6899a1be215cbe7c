"""Directory manager functions over real sockets: prototypes, tags, search, online and offline, work units ..."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from simulator.checks import consistent
from simulator.support import linux
from zvmcloud.simulator import Simulator, storage
from zvmcloud.smapi import ebcdic
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import IMPATIENT, Client
from zvmcloud.smapi.declare import Request
from zvmcloud.smapi.errors import SmapiError

PROTOTYPE = (
    "USER PROTO NOLOG 1G 2G G",
    "ACCOUNT NONE",
    "INCLUDE LNXDFLT",
    "MDISK 0100 3390 AUTOG 5 POOL1 MR",
)


async def refused(client: Client, request: Request[Any]) -> tuple[int, int]:
    with pytest.raises(SmapiError) as caught:
        await client.call(request)
    return caught.value.rc, caught.value.rs


async def entry(client: Client, name: str) -> list[str]:
    reply = (await client.call(f.ImageQueryDM(target=name))).reply
    assert all(len(record) == 72 for record in reply.image_record_array)
    return [record.rstrip() for record in reply.image_record_array]


async def create(client: Client, name: str, *more: str) -> None:
    await client.call(f.ImageCreateDM(target=name, image_record_array=(*linux(name), *more)))


# -- prototypes -------------------------------------------------------------------------------------------------------


async def test_a_guest_is_made_from_a_prototype(sim: Simulator, client: Client) -> None:
    assert await refused(client, f.PrototypeNameQueryDM(target="MAINT")) == (416, 4)
    await client.call(f.PrototypeCreateDM(target="PROTO", prototype_record_array=PROTOTYPE))
    names = (await client.call(f.PrototypeNameQueryDM(target="MAINT"))).reply.prototype_name_array
    assert names == ("PROTO",)
    shown = (await client.call(f.PrototypeQueryDM(target="proto"))).reply.prototype_record_array
    assert tuple(line.rstrip() for line in shown) == PROTOTYPE
    made = f.ImageCreateDM(
        target="LINUX01", prototype_name="PROTO", initial_password="SECRET", initial_account_number="DEPT7"
    )
    await client.call(made)
    assert await entry(client, "LINUX01") == [
        "USER LINUX01 SECRET 1G 2G G",
        "ACCOUNT DEPT7",
        "INCLUDE LNXDFLT",
        "MDISK 0100 3390 1 5 LX0001 MR",
    ]
    assert "LINUX01.0100" in sim.system.disks
    assert await refused(client, made) == (400, 8)
    consistent(sim.system)


async def test_what_prototypes_refuse(client: Client) -> None:
    await client.call(f.PrototypeCreateDM(target="PROTO", prototype_record_array=PROTOTYPE))
    assert await refused(client, f.PrototypeCreateDM(target="PROTO", prototype_record_array=PROTOTYPE)) == (416, 8)
    assert await refused(client, f.PrototypeCreateDM(target="P2", prototype_record_array=("MACHINE ESA",))) == (416, 0)
    assert await refused(client, f.PrototypeReplaceDM(target="P2", prototype_record_array=PROTOTYPE)) == (416, 4)
    assert await refused(client, f.PrototypeDeleteDM(target="P2")) == (416, 4)
    assert await refused(client, f.ImageCreateDM(target="L1", prototype_name="P2")) == (400, 20)
    phrase = f.ImageCreateDM(target="L1", prototype_name="PROTO", initial_password="a phrase of words")
    assert await refused(client, phrase) == (500, 20)
    await client.call(f.PrototypeReplaceDM(target="PROTO", prototype_record_array=PROTOTYPE[:1]))
    await client.call(f.ImageCreateDM(target="L1", prototype_name="PROTO"))
    assert await entry(client, "L1") == ["USER L1 NOLOG 1G 2G G"]
    await client.call(f.PrototypeDeleteDM(target="PROTO"))
    assert await refused(client, f.PrototypeQueryDM(target="PROTO")) == (416, 4)


# -- local tags -------------------------------------------------------------------------------------------------------


def define(name: str, ordinal: int, action: int = 1) -> f.DirectoryManagerLocalTagDefineDM:
    return f.DirectoryManagerLocalTagDefineDM(target="MAINT", tag_name=name, tag_ordinal=ordinal, define_action=action)


async def test_a_tag_keeps_its_letters_and_is_a_comment_of_the_entry(client: Client) -> None:
    await create(client, "LINUX01")
    query = f.DirectoryManagerLocalTagQueryDM(target="LINUX01", tag_name="Tag1")
    assert (await client.call(query)).rs == 28
    tag = f.DirectoryManagerLocalTagSetDM(target="LINUX01", tag_name="Tag1", tag_value="Val1")
    assert await refused(client, tag) == (432, 8)
    await client.call(define("Tag1", 1))
    await client.call(tag)
    assert (await client.call(query)).reply.tag_value == "Val1"
    assert "*TAG1: Val1" in await entry(client, "LINUX01")
    long = " ".join(f"Word{number}" for number in range(140))
    await client.call(f.DirectoryManagerLocalTagSetDM(target="LINUX01", tag_name="Tag1", tag_value=long))
    assert (await client.call(query)).reply.tag_value == long
    # The records of an entry carry its tags through a replacement.
    await client.call(f.ImageLockDM(target="LINUX01"))
    await client.call(f.ImageReplaceDM(target="LINUX01", image_record_array=tuple(await entry(client, "LINUX01"))))
    assert (await client.call(query)).reply.tag_value == long
    delete = f.DirectoryManagerLocalTagDeleteDM(target="MAINT", tag_name="Tag1")
    assert await refused(client, delete) == (432, 16)
    await client.call(f.ImageDeleteDM(target="LINUX01"))
    await client.call(delete)
    assert await refused(client, delete) == (432, 8)


async def test_tags_have_different_names_and_ordinals(client: Client) -> None:
    await client.call(define("ONE", 1))
    assert await refused(client, define("ONE", 2)) == (432, 4)
    assert await refused(client, define("TWO", 1)) == (432, 12)
    assert await refused(client, define("TWO", 2, action=2)) == (432, 8)
    await client.call(define("TWO", 2))
    assert await refused(client, define("TWO", 1, action=2)) == (432, 12)
    await client.call(define("TWO", 0, action=2))


# -- reading it all ---------------------------------------------------------------------------------------------------


async def test_a_search_matches_words_from_the_beginning_of_a_statement(client: Client) -> None:
    await create(client, "LINUX01", "* Made by hand")
    search = f.DirectoryManagerSearchDM(target="MAINT", search_pattern="user linux*")
    found = (await client.call(search)).reply.statement_array
    assert [(item.target_id, item.statement) for item in found] == [("LINUX01", "USER LINUX01 LBYONLY 2G 4G G")]
    comment = (await client.call(f.DirectoryManagerSearchDM(target="MAINT", search_pattern="* MADE"))).reply
    assert comment.statement_array[0].target_id == "LINUX01"
    none = await client.call(f.DirectoryManagerSearchDM(target="MAINT", search_pattern="HAND"))
    assert none.rs == 28


async def test_the_whole_directory_comes_as_records_and_as_keywords(client: Client) -> None:
    await create(client, "LINUX01")
    records = (await client.call(f.QueryAllDM(target="MAINT", format="NO"))).reply.directory_entries_array
    kinds = {item.directory_entry_id: item.directory_entry_type for item in records}
    assert (kinds["LINUX01"], kinds["LNXDFLT"], kinds["MAINT"]) == (0, 1, 6)
    keywords = (await client.call(f.QueryAllDM(target="MAINT", format="YES"))).reply.directory_entries_array
    assert {item.directory_entry_type for item in keywords} == {0, 1}
    data = next(item.directory_entry_data for item in keywords if item.directory_entry_id == "LINUX01")
    assert "STORAGE_INITIAL=2G" in data
    assert "LBYONLY" in data
    assert "LINK=" in data
    assert "CONSOLE_PROFILE=VDEV=0009 DEVTYPE=3215 CLASS=T" in data


# -- online and offline -----------------------------------------------------------------------------------------------


async def test_changes_made_offline_wait_until_they_are_put_online(sim: Simulator, client: Client) -> None:
    await create(client, "LINUX01")
    await client.call(f.StaticImageChangesDeactivateDM(target="MAINT"))
    new = f.ImageCreateDM(target="LINUX02", image_record_array=linux("LINUX02"))
    assert (await client.call(new)).rs == 8
    answer = await client.call(
        f.ImageDiskCreateDM(
            target="LINUX01",
            image_disk_number="0101",
            image_disk_device_type="3390",
            image_disk_allocation_type="AUTOG",
            allocation_area_name_or_volser="POOL1",
            allocation_unit_size=1,
            image_disk_size=2,
            image_disk_mode="MR",
        )
    )
    assert (answer.rc, answer.rs) == (0, 8)
    assert "USER LINUX02 LBYONLY 2G 4G G" in await entry(client, "LINUX02")
    # CP knows neither the guest nor the disk.
    assert await refused(client, f.ImageActivate(target="LINUX02")) == (200, 4)
    await client.call(f.ImageActivate(target="LINUX01"))
    machine = sim.system.machines["LINUX01"]
    assert machine.device("0101") is None
    await client.call(f.StaticImageChangesImmediateDM(target="MAINT"))
    await client.call(f.ImageActivate(target="LINUX02"))
    await client.call(f.ImageRecycle(target="LINUX01"))
    assert sim.system.machines["LINUX01"].device("0101") is not None
    # Still offline: a deletion does not reach CP either, until changes are activated.
    await client.call(f.ImageDeactivate(target="LINUX02", force_time="IMMED"))
    assert (await client.call(f.ImageDeleteDM(target="LINUX02"))).rs == 8
    assert await refused(client, f.ImageQueryDM(target="LINUX02")) == (400, 4)
    await client.call(f.ImageActivate(target="LINUX02"))
    await client.call(f.ImageDeactivate(target="LINUX02", force_time="IMMED"))
    await client.call(f.StaticImageChangesActivateDM(target="MAINT"))
    assert await refused(client, f.ImageActivate(target="LINUX02")) == (200, 4)
    await client.call(f.ImageIPLSetDM(target="LINUX01", saved_system="CMS"))
    assert (await client.call(f.ImageIPLSetDM(target="LINUX01", saved_system="0100"))).rs == 0
    consistent(sim.system)


async def test_a_minidisk_that_is_deleted_offline_keeps_its_data_until_changes_are_online(
    sim: Simulator, client: Client
) -> None:
    await create(client, "LINUX01")
    add = f.ImageDiskCreateDM(
        target="LINUX01", image_disk_number="0101", image_disk_device_type="3390", image_disk_allocation_type="AUTOG",
        allocation_area_name_or_volser="POOL1", allocation_unit_size=1, image_disk_size=2, image_disk_mode="MR",
        image_disk_formatting=5, image_disk_label="OLD101",
    )  # fmt: skip
    await client.call(add)
    old = sim.system.disks["LINUX01.0101"]
    await client.call(f.StaticImageChangesDeactivateDM(target="MAINT"))
    await client.call(f.ImageDiskDeleteDM(target="LINUX01", image_disk_number="0101", data_security_erase=0))
    assert not any("MDISK 0101" in line for line in await entry(client, "LINUX01"))
    await client.call(f.ImageActivate(target="LINUX01"))
    device = sim.system.machines["LINUX01"].device("0101")
    assert getattr(device, "file", "") == old.file
    consistent(sim.system)
    # Its address goes to another minidisk: then the old one is gone, but for the machine that has it.
    await client.call(add)
    new = sim.system.disks["LINUX01.0101"]
    assert new.file != old.file
    await client.call(f.ImageDiskDeleteDM(target="LINUX01", image_disk_number="0101", data_security_erase=0))
    assert "LINUX01.0101" not in sim.system.disks
    await client.call(f.ImageDeactivate(target="LINUX01", force_time="IMMED"))
    await client.call(f.StaticImageChangesActivateDM(target="MAINT"))
    await client.call(f.ImageActivate(target="LINUX01"))
    assert sim.system.machines["LINUX01"].device("0101") is None
    assert not (sim.system.disk_folder / old.file).exists()
    consistent(sim.system)


async def test_putting_changes_online_deletes_what_was_deleted(sim: Simulator, client: Client) -> None:
    await create(client, "LINUX01")
    (key,) = [key for key in sim.system.disks if key.startswith("LINUX01.")] or [""]
    await client.call(f.StaticImageChangesDeactivateDM(target="MAINT"))
    await client.call(f.ImageDeleteDM(target="LINUX01"))
    assert (key in sim.system.disks) == bool(key)
    consistent(sim.system)
    await client.call(f.StaticImageChangesImmediateDM(target="MAINT"))
    assert key not in sim.system.disks
    consistent(sim.system)


async def test_what_waits_offline_survives_a_restart(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path) as sim:
        client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT", patience=IMPATIENT)
        await create(client, "LINUX01")
        await client.call(define("T", 1))
        await client.call(f.DirectoryManagerLocalTagSetDM(target="LINUX01", tag_name="T", tag_value="Kept"))
        await client.call(f.PrototypeCreateDM(target="PROTO", prototype_record_array=PROTOTYPE))
        await client.call(f.StaticImageChangesDeactivateDM(target="MAINT"))
        await client.call(f.ImageDeleteDM(target="LINUX01"))
        await create(client, "LINUX02")
    async with Simulator(state=tmp_path) as sim:
        client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT", patience=IMPATIENT)
        assert await refused(client, f.ImageActivate(target="LINUX02")) == (200, 4)
        await client.call(f.ImageActivate(target="LINUX01"))
        assert (await client.call(f.ImageIPLSetDM(target="LINUX02", saved_system="CMS"))).rs == 8
        await client.call(f.PrototypeQueryDM(target="PROTO"))
        await client.call(f.StaticImageChangesActivateDM(target="MAINT"))
        await client.call(f.ImageActivate(target="LINUX02"))


async def test_a_refused_change_of_an_identity_leaves_its_disks(sim: Simulator, client: Client) -> None:
    subconfig = ("SUBCONFIG OPS-1", "MDISK 0191 3390 AUTOG 2 POOL1 MR ALL")
    await client.call(f.ImageCreateDM(target="OPS-1", image_record_array=subconfig))
    build = f"BUILD ON {sim.system.name} USING SUBCONFIG OPS-1"
    wrong = ("IDENTITY OPS OPSPW 32M 64M G", build, "MDISK 0200 3390 AUTOG 9 NOPOOL MR")
    assert await refused(client, f.ImageCreateDM(target="OPS", image_record_array=wrong)) == (420, 8)
    assert sim.system.home("OPS-1") == "OPS-1"
    consistent(sim.system)


async def test_a_changed_password_counts_at_logon_when_it_is_online(client: Client, sim: Simulator) -> None:
    await client.call(f.StaticImageChangesDeactivateDM(target="MAINT"))
    await client.call(f.ImagePasswordSetDM(target="MAINT", image_password="NEWPASS"))
    new = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="NEWPASS", patience=IMPATIENT)
    assert await refused(new, f.CheckAuthentication()) == (120, 0)
    await client.call(f.StaticImageChangesImmediateDM(target="MAINT"))
    await new.call(f.CheckAuthentication())


# -- SUBCONFIG --------------------------------------------------------------------------------------------------------


async def test_an_identity_has_the_disks_of_its_subconfig(sim: Simulator, client: Client) -> None:
    name = sim.system.name
    subconfig = ("SUBCONFIG OPS-1", "MDISK 0191 3390 AUTOG 2 POOL1 MR ALL", "SPOOL 000C 2540 READER *")
    await client.call(f.ImageCreateDM(target="OPS-1", image_record_array=subconfig))
    assert "OPS-1.0191" in sim.system.disks
    identity = ("IDENTITY OPS OPSPW 32M 64M G", f"BUILD ON {name} USING SUBCONFIG OPS-1", "CONSOLE 0009 3215 T")
    await client.call(f.ImageCreateDM(target="OPS", image_record_array=identity))
    assert "OPS.0191" in sim.system.disks
    consistent(sim.system)
    await client.call(f.ImageActivate(target="OPS"))
    assert sim.system.machines["OPS"].device("0191") is not None
    assert await refused(client, f.ImageDeleteDM(target="OPS-1")) == (400, 16)
    await client.call(f.ImageDeactivate(target="OPS", force_time="IMMED"))
    await client.call(f.ImageDeleteDM(target="OPS"))
    assert "OPS-1.0191" in sim.system.disks
    await client.call(f.ImageDeleteDM(target="OPS-1"))
    consistent(sim.system)
    names = (await client.call(f.ImageNameQueryDM(target="MAINT"))).reply.image_name_array
    assert "OPS" not in names


# -- LOADDEV, CTCA, copies --------------------------------------------------------------------------------------------


async def test_loaddev_statements_are_those_that_z_vm_writes(client: Client) -> None:
    await create(client, "LINUX01")
    scp = ebcdic.encode("0123").decode("latin-1")
    await client.call(
        f.ImageSCSICharacteristicsDefineDM(
            target="LINUX01",
            boot_program="1",
            BR_LBA="0123456789ABCDEF",
            LUN="5241000000000000",
            port_name="5005076300c20b8e",
            SCP_data_type=3,
            SCP_data=scp,
        )
    )
    assert [line for line in await entry(client, "LINUX01") if line.startswith("LOADDEV")] == [
        "LOADDEV SCPDATA HEX '0123'",
        "LOADDEV PORTNAME 5005076300C20B8E",
        "LOADDEV LUN 5241000000000000",
        "LOADDEV BR_LBA 0123456789ABCDEF",
        "LOADDEV BOOTPROG 1",
    ]
    query = f.ImageSCSICharacteristicsQueryDM(target="LINUX01")
    reply = (await client.call(query)).reply
    assert (reply.boot_program, reply.LUN, reply.SCP_data_type) == ("1", "5241000000000000", 3)
    assert reply.SCP_data == "\x01#"
    text = "it's root=/dev/sda1 " * 20
    await client.call(
        f.ImageSCSICharacteristicsDefineDM(
            target="LINUX01",
            boot_program="DELETE",
            SCP_data_type=2,
            SCP_data=ebcdic.encode(text).decode("iso8859-15"),
        )
    )
    reply = (await client.call(query)).reply
    assert (reply.boot_program, reply.LUN, reply.SCP_data_type) == ("", "5241000000000000", 2)
    assert ebcdic.decode(reply.SCP_data.encode("iso8859-15")) == text
    gone = f.ImageSCSICharacteristicsDefineDM(target="LINUX01", boot_program="DELETE")
    assert await refused(client, gone) == (456, 4)
    bad = f.ImageSCSICharacteristicsDefineDM(target="LINUX01", SCP_data_type=3, SCP_data="zz")
    assert await refused(client, bad) == (520, 2826)
    await create(client, "LINUX02")
    assert (await client.call(f.ImageSCSICharacteristicsQueryDM(target="LINUX02"))).rs == 28


async def test_ctcas_are_coupled_while_both_guests_are_on(sim: Simulator, client: Client) -> None:
    for name in ("LINUX01", "LINUX02"):
        await create(client, name)
    statement = f.VirtualChannelConnectionCreateDM(
        target="LINUX01", image_device_number="0500", coupled_image_name="LINUX02"
    )
    await client.call(statement)
    assert await refused(client, statement) == (404, 4)
    assert "SPECIAL 0500 CTCA LINUX02" in await entry(client, "LINUX01")
    missing = f.VirtualChannelConnectionCreateDM(
        target="LINUX01", image_device_number="0501", coupled_image_name="NOBODY"
    )
    assert await refused(client, missing) == (412, 4)
    connect = f.VirtualChannelConnectionCreate(
        target="LINUX01",
        image_device_number="0500",
        coupled_image_name="LINUX02",
        coupled_image_device_number="0600",
    )
    assert await refused(client, connect) == (200, 12)
    await client.call(f.ImageActivate(target="LINUX01"))
    assert await refused(client, connect) == (212, 4)
    await client.call(f.ImageActivate(target="LINUX02"))
    await client.call(connect)
    assert await refused(client, connect) == (204, 12)
    console = f.VirtualChannelConnectionCreate(
        target="LINUX01",
        image_device_number="0009",
        coupled_image_name="LINUX02",
        coupled_image_device_number="0601",
    )
    assert await refused(client, console) == (212, 28)
    peer = sim.system.machines["LINUX02"].device("0600")
    assert (peer.peer, peer.peer_vdev) == ("LINUX01", "0500")  # type: ignore[union-attr]
    await client.call(f.ImageDeactivate(target="LINUX01", force_time="IMMED"))
    assert sim.system.machines["LINUX02"].device("0600").peer == ""  # type: ignore[union-attr]
    drop = f.VirtualChannelConnectionDelete(target="LINUX02", image_device_number="0600")
    await client.call(drop)
    assert await refused(client, drop) == (204, 8)
    drop_dm = f.VirtualChannelConnectionDeleteDM(target="LINUX01", image_device_number="0500")
    await client.call(drop_dm)
    assert await refused(client, drop_dm) == (404, 8)


async def test_a_copied_minidisk_has_the_data_of_its_source(sim: Simulator, client: Client) -> None:
    await create(client, "LINUX01", "MDISK 0100 3390 AUTOG 2 POOL1 MR")
    await create(client, "LINUX02")
    source = sim.system.disks["LINUX01.0100"]
    path = storage.file_of(sim.system, source)
    with path.open("r+b") as file:
        file.seek(65536)
        file.write(b"data")
    copy = f.ImageDiskCopyDM(
        target="LINUX02",
        image_disk_number="0777",
        source_image_name="LINUX01",
        source_image_disk_number="0100",
        image_disk_allocation_type="AUTOG",
        allocation_area_name_or_volser="POOL1",
    )
    await client.call(copy)
    assert await refused(client, copy) == (408, 4)
    made = storage.file_of(sim.system, sim.system.disks["LINUX02.0777"])
    assert made.read_bytes() == path.read_bytes()
    other = f.ImageDiskCopyDM(
        target="LINUX02",
        image_disk_number="0778",
        source_image_name="LINUX01",
        source_image_disk_number="0100",
        image_disk_allocation_type="AUTOV",
        allocation_area_name_or_volser="FB0001",
    )
    assert await refused(client, other) == (404, 24)
    use = f.ImageDiskCopy(target="LINUX02", image_disk_number="0777")
    assert await refused(client, use) == (200, 12)
    await client.call(f.ImageActivate(target="LINUX02"))
    assert await refused(client, use) == (208, 4)
    assert await refused(client, f.ImageDiskCopy(target="LINUX02", image_disk_number="0779")) == (208, 36)
    consistent(sim.system)


async def test_ipl_statements_of_a_profile(client: Client) -> None:
    await client.call(f.ImageIPLSetDM(target="LNXDFLT", saved_system="0100", parameter_string="ROOT"))
    reply = (await client.call(f.ImageIPLQueryDM(target="LNXDFLT"))).reply
    assert (reply.saved_system, reply.parameter_string) == ("0100", "ROOT")
    await client.call(f.ImageIPLDeleteDM(target="LNXDFLT"))
    assert await refused(client, f.ImageIPLDeleteDM(target="LNXDFLT")) == (460, 4)


# -- work units -------------------------------------------------------------------------------------------------------


async def test_work_units_are_followed_and_can_be_called_off(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path, asynchronous=True) as sim:
        client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT", patience=IMPATIENT)
        made = f.ImageCreateDM(target="LINUX01", image_record_array=linux("LINUX01"))
        answer = await client.call(made, follow=False)
        assert (answer.rc, answer.rs) == (592, 0)
        number = answer.reply.operation_id
        ask = f.QueryAsynchronousOperationDM(target="MAINT", operation_id=number)
        assert (await client.call(ask)).rs == 104
        await client.call(f.DirectoryManagerTaskCancelDM(target="MAINT", operation_id=number))
        await asyncio.sleep(0.1)
        assert (await client.call(ask)).rs == 108
        assert await refused(client, f.ImageQueryDM(target="LINUX01")) == (400, 4)
        assert await refused(client, f.DirectoryManagerTaskCancelDM(target="MAINT", operation_id=number)) == (452, 4)
        await client.call(made)
        update = f.ImageDefinitionUpdateDM(
            target="LINUX01", definition_update_directory_keyword_parameter_list=("IPL=VDEV=CMS",)
        )
        begun = await client.call(update, follow=False)
        assert (begun.rc, begun.rs) == (592, 4)
        ask = f.QueryAsynchronousOperationDM(target="MAINT", operation_id=int(begun.text[0]))
        await asyncio.sleep(0.1)
        assert (await client.call(ask)).rs == 100
        assert "IPL CMS" in await entry(client, "LINUX01")
        # What cannot be done is refused at once.
        assert await refused(client, made) == (400, 8)
