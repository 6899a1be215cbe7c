"""SMAPI over sockets: what was created is what is listed; refusals have the documented codes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from simulator.checks import consistent
from simulator.support import Agent, config_drive, linux, write_image
from zvmcloud.simulator import Simulator, storage
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client
from zvmcloud.smapi.declare import Request
from zvmcloud.smapi.errors import SmapiError


async def refused(client: Client, request: Request[Any]) -> tuple[int, int]:
    """The codes of a call that is not a plain success."""
    try:
        answer = await client.call(request)
    except SmapiError as error:
        return error.rc, error.rs
    return answer.rc, answer.rs


def disk(target: str, number: str, size: int, area: str = "POOL1", device: str = "3390") -> f.ImageDiskCreateDM:
    return f.ImageDiskCreateDM(
        target=target,
        image_disk_number=number,
        image_disk_device_type=device,
        image_disk_allocation_type="AUTOG",
        allocation_area_name_or_volser=area,
        allocation_unit_size=1,
        image_disk_size=size,
        image_disk_mode="MR",
        image_disk_formatting=1,
    )


def switch(name: str, **values: str) -> f.VirtualNetworkVswitchCreateExtended:
    keys: dict[str, Any] = {"real_device_address": "1F00", "connection_value": "CONNECT", "transport_type": "ETHERNET"}
    return f.VirtualNetworkVswitchCreateExtended(target="MAINT", switch_name=name, **{**keys, **values})


async def create(client: Client, name: str = "LINUX01") -> None:
    await client.call(f.ImageCreateDM(target=name, image_record_array=linux(name)))
    await client.call(disk(name, "0100", 10))


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the condition is in the model)
            await asyncio.sleep(0.01)


async def test_the_life_of_a_guest(sim: Simulator, client: Client, agent: Agent) -> None:
    await create(client)
    await client.call(switch("VSW1"))
    await client.call(
        f.VirtualNetworkVswitchSetExtended(target="MAINT", switch_name="VSW1", grant_userid="linux01", persist="YES")
    )
    await client.call(
        f.VirtualNetworkAdapterConnectVswitchDM(target="LINUX01", image_device_number="1000", switch_name="vsw1")
    )
    records = (await client.call(f.ImageQueryDM(target="linux01"))).reply.image_record_array
    assert [record.rstrip() for record in records] == [
        "USER LINUX01 LBYONLY 2G 4G G",
        "INCLUDE LNXDFLT",
        "MACHINE ESA 8",
        "IPL 0100",
        "NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 DEVICES 3 MACID 123456",
        "MDISK 0100 3390 1 10 LX0001 MR",
    ]
    assert {len(record) for record in records} == {72}
    assert (await agent.cp("LINK LINUX01 0100 F000 MW"))[0] == 0
    await asyncio.to_thread(write_image, agent.devices / "0.0.f000")
    assert (await agent.cp("DETACH F000"))[0] == 0
    await agent.punch("cfgdrive", "iso", config_drive(), "LINUX01")
    await client.call(f.ImageActivate(target="LINUX01"))
    assert "LINUX01" in (await client.call(f.ImageStatusQuery(target="*"))).reply.image_name_array
    await until(lambda: (running := sim.system.machines["LINUX01"].system) and running.phase == "up")
    adapters = await client.call(f.VirtualNetworkAdapterQueryExtended(target="LINUX01", image_device_number="*"))
    items = adapters.reply.virtual_network_adapter_data
    assert items[0] == "adapter_count=1"
    assert {"adapter_status=02", "lan_name=VSW1", "mac_address=020000123456", "mac_ip_address=192.0.2.10"} <= set(items)
    (shown,) = (await client.call(f.VirtualNetworkVswitchQuery(target="MAINT", switch_name="*"))).reply.vswitch_array
    assert [item.adapter_owner.strip() for item in shown.connected_adapter_array] == ["LINUX01"]
    extended = await client.call(f.VirtualNetworkVswitchQueryExtended(target="MAINT", switch_name="VSW1"))
    (switched,) = extended.reply.vswitch_array
    assert switched.connected_adapter_array == ("LINUX01 1000 02-00-00-12-34-56 QDIO",)
    assert switched.authorized_user_array == ("0000 LINUX01 NOPROM NOOSDSIM 0 ",)
    await client.call(f.ImageConsoleGet(target="LINUX01"))
    assert await refused(client, f.ImageConsoleGet(target="LINUX01")) == (8, 8)
    reader = await client.call(f.SystemRDRFileQuery(target="MAINT"))
    assert reader.reply.reader_file_info[0].startswith("LINUX01  0001 T CON")
    assert await refused(client, f.ImageDeleteDM(target="LINUX01")) == (596, 6831)
    answer = await client.call(f.ImageDeactivate(target="LINUX01"))
    assert (answer.rc, answer.rs) == (0, 300)
    assert await refused(client, f.ImageActivate(target="LINUX01")) == (200, 16)
    await until(lambda: "LINUX01" not in sim.system.machines)
    assert await refused(client, f.ImageStatusQuery(target="LINUX01")) == (0, 12)
    await client.call(f.ImageDeleteDM(target="LINUX01"))
    assert "LINUX01" not in (await client.call(f.ImageNameQueryDM(target="MAINT"))).reply.image_name_array
    consistent(sim.system)


REFUSALS: list[tuple[Request[Any], tuple[int, int]]] = [
    (f.ImageCreateDM(target="LINUX01", image_record_array=linux("LINUX01")), (400, 8)),
    (f.ImageQueryDM(target="NOBODY"), (400, 4)),
    (f.ImageDeleteDM(target="NOBODY"), (400, 4)),
    (f.ImageReplaceDM(target="LINUX01", image_record_array=linux("LINUX01")), (400, 24)),
    (f.ImageUnlockDM(target="LINUX01"), (400, 24)),
    (f.ImageUnlockDM(target="LINUX01", device_address="0100"), (404, 24)),
    (f.ImageLockDM(target="LINUX01", device_address="0999"), (404, 8)),
    (f.ImageLockQueryDM(target="LINUX01"), (0, 24)),
    (f.ImageActivate(target="NOBODY"), (200, 4)),
    (f.ImageActivate(target="TCPIP"), (200, 8)),
    (f.ImageDeactivate(target="LINUX01"), (200, 12)),
    (f.ImageDeactivate(target="TCPIP", force_time="WITHIN 99999"), (200, 36)),
    (f.ImageRecycle(target="LINUX01"), (200, 12)),
    (f.ImagePause(target="LINUX01", action="PAUSE"), (8, 12)),
    (f.ImageConsoleGet(target="LINUX01"), (8, 8)),
    (f.ImageActiveConfigurationQuery(target="LINUX01"), (200, 12)),
    (disk("LINUX01", "0100", 1), (408, 4)),
    (disk("LINUX01", "0101", 1, "NOPOOL"), (420, 8)),
    (disk("LINUX01", "0101", 2_000_000_000), (408, 24)),
    (disk("LINUX01", "0101", 1, "FBAPOOL"), (408, 24)),
    (disk("NOBODY", "0101", 1), (400, 4)),
    (f.ImageDiskDeleteDM(target="LINUX01", image_disk_number="0999"), (208, 36)),
    (f.ImageDiskCreate(target="LINUX01", image_disk_number="0100"), (200, 12)),
    (f.ImageDiskQuery(target="LINUX01", vdasd_id="ALL"), (200, 12)),
    (f.ImageDeviceUndedicateDM(target="LINUX01", image_device_number="5000"), (404, 8)),
    (
        f.ImageDeviceDedicateDM(target="LINUX01", image_device_number="0100", real_device_number="1000", readonly=0),
        (404, 4),
    ),
    (
        f.VirtualNetworkAdapterCreateExtendedDM(target="LINUX01", image_device_number="1000", adapter_type="QDIO"),
        (404, 4),
    ),
    (f.VirtualNetworkAdapterDeleteDM(target="LINUX01", image_device_number="2000"), (404, 8)),
    (f.VirtualNetworkAdapterDisconnectDM(target="LINUX01", image_device_number="1000"), (212, 32)),
    (f.VirtualNetworkAdapterDelete(target="TCPIP", image_device_number="2000"), (204, 8)),
    (f.VirtualNetworkAdapterConnectVswitch(target="LINUX01", image_device_number="1000", switch_name="X"), (200, 12)),
    (f.VirtualNetworkVswitchQuery(target="MAINT", switch_name="NOSW"), (212, 40)),
    (f.VirtualNetworkVswitchDeleteExtended(target="MAINT", switch_name="NOSW"), (212, 40)),
    (switch("VSW1"), (212, 36)),
    (
        f.VirtualNetworkVswitchSetExtended(
            target="MAINT", switch_name="VSW1", grant_userid="LINUX01", user_vlan_id="10", persist="YES"
        ),
        (396, 2846),
    ),
    (f.ImageVolumeSpaceQueryDM(target="MAINT", query_type=2, entry_type=3, entry_names="NOPOOL"), (420, 8)),
    (f.NameListQuery(target="NOLIST"), (200, 24)),
    (f.NameListAdd(target="NEWLIST", name="LINUX01"), (0, 12)),
    (f.AuthorizationListAdd(target="MAINT", for_id="ALL", function_id="ALL"), (108, 0)),
    (f.AuthorizationListRemove(target="NOBODY", for_id="*", function_id="*"), (112, 0)),
    (f.SSIQuery(target="ALL"), (4, 3008)),
    (f.ResponseRecovery(target="MAINT", failed_request_id=1234), (4, 4)),
    (f.QueryAsynchronousOperationDM(target="MAINT", operation_id=1234), (0, 0)),
    (f.DirectoryManagerTaskCancelDM(target="MAINT", operation_id=1234), (452, 4)),
    (f.QueryAPIFunctionalLevel(target="MAINT"), (0, 720)),
]


async def test_refusals_have_the_documented_codes_and_change_nothing(sim: Simulator, client: Client) -> None:
    await create(client)
    await client.call(switch("VSW1"))
    # Servers that boot meanwhile are no change that a refusal made.
    machines = sim.system.machines
    async with asyncio.timeout(60):
        while any(item.system is not None and item.system.phase != "up" for item in machines.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    for request, codes in REFUSALS:
        before = sim.system.entries.items(), sim.system.vswitches.items(), sim.system.machines.items()
        assert await refused(client, request) == codes, request
        assert (sim.system.entries.items(), sim.system.vswitches.items(), sim.system.machines.items()) == before
    consistent(sim.system)


async def test_authorization_is_by_userid_target_and_function(sim: Simulator, client: Client) -> None:
    entry = ("USER CLOUD SECRET 32M 32M G",)
    await client.call(f.ImageCreateDM(target="CLOUD", image_record_array=entry))
    cloud = Client("127.0.0.1", sim.smapi_port, userid="cloud", password="secret")
    request = f.ImageStatusQuery(target="TCPIP")
    assert await refused(cloud, request) == (100, 16)
    await client.call(f.NameListAdd(target="SERVERS", name="tcpip"))
    await client.call(f.AuthorizationListAdd(target="CLOUD", for_id="SERVERS", function_id="IMAGE_OPERATIONS"))
    assert await refused(cloud, request) == (0, 0)
    assert await refused(cloud, f.ImageStatusQuery(target="MAINT")) == (100, 16)
    assert await refused(cloud, f.ImageQueryDM(target="TCPIP")) == (100, 16)
    assert await refused(cloud, f.CheckAuthentication()) == (0, 0)
    await client.call(f.AuthorizationListRemove(target="CLOUD", for_id="*", function_id="*"))
    assert await refused(cloud, request) == (100, 16)


@pytest.mark.parametrize(
    ("userid", "password"), [("MAINT", "WRONG"), ("NOBODY", "MAINT"), ("TCPIP", "AUTOONLY"), ("", "")]
)
async def test_bad_credentials_get_120(sim: Simulator, userid: str, password: str) -> None:
    stranger = Client("127.0.0.1", sim.smapi_port, userid=userid, password=password)
    assert await refused(stranger, f.CheckAuthentication()) == (120, 0)
    assert await refused(stranger, f.ImageQueryDM(target="MAINT")) == (120, 0)


async def test_name_lists_grow_and_end_with_their_last_name(client: Client) -> None:
    codes = [
        await refused(client, request)
        for request in (
            f.NameListAdd(target="nl1", name="a"),
            f.NameListAdd(target="NL1", name="B"),
            f.NameListAdd(target="NL1", name="b"),
            f.NameListRemove(target="NL1", name="C"),
            f.NameListRemove(target="NL1", name="A"),
            f.NameListRemove(target="NL1", name="B"),
            f.NameListRemove(target="NL1", name="B"),
        )
    ]
    assert codes == [(0, 12), (0, 0), (0, 36), (0, 32), (0, 0), (0, 16), (200, 24)]


async def test_a_list_can_be_activated_and_failures_are_told_one_by_one(sim: Simulator, client: Client) -> None:
    for name in ("LINUX01", "LINUX02"):
        await create(client, name)
        await client.call(f.NameListAdd(target="MINE", name=name))
    answer = await client.call(f.ImageActivate(target="MINE"))
    assert (answer.reply.activated, answer.reply.not_activated) == (2, 0)
    await client.call(f.ImageDeactivate(target="LINUX01", force_time="IMMED"))
    again = await client.call(f.ImageActivate(target="MINE"), allow=((200, 28),))
    assert (again.reply.activated, again.reply.not_activated) == (1, 1)
    assert [(item.image_name, item.reason_code) for item in again.reply.failing_array] == [("LINUX02", 8)]


async def test_free_and_used_space_follow_the_disks(client: Client) -> None:
    async def free() -> int:
        query = f.ImageVolumeSpaceQueryDM(target="MAINT", query_type=2, entry_type=3, entry_names="POOL1")
        return sum(int(line.split()[3]) for line in (await client.call(query)).reply.record_array)

    before = await free()
    await create(client)
    assert before - await free() == 10
    query = f.ImageVolumeSpaceQueryDM(target="MAINT", query_type=3, entry_type=3, entry_names="POOL1")
    assert (await client.call(query)).reply.record_array == ("LX0001 3390 1 10 LINUX01 0100 * POOL1 LX0001",)
    await client.call(f.ImageDiskDeleteDM(target="LINUX01", image_disk_number="0100"))
    assert await free() == before


async def test_a_copied_disk_has_the_data(sim: Simulator, client: Client) -> None:
    await create(client)
    await create(client, "LINUX02")
    source = storage.file_of(sim.system, sim.system.disks["LINUX01.0100"])
    write_image(source)
    await client.call(
        f.ImageDiskCopyDM(
            target="LINUX02",
            image_disk_number="0200",
            source_image_name="LINUX01",
            source_image_disk_number="0100",
            image_disk_allocation_type="AUTOG",
            allocation_area_name_or_volser="POOL1",
            image_disk_mode="MR",
        )
    )
    copy = storage.file_of(sim.system, sim.system.disks["LINUX02.0200"])
    assert copy.read_bytes() == source.read_bytes()
    assert copy.stat().st_blocks <= source.stat().st_blocks + 64


async def test_resizing_changes_the_entry(client: Client) -> None:
    await create(client)
    update = ("COMMAND_DEFINE_CPU=CPUADDR=02 TYPE=IFL", "SHARE=RELATIVE=400")
    await client.call(
        f.ImageDefinitionUpdateDM(target="LINUX01", definition_update_directory_keyword_parameter_list=update)
    )
    records = [line.rstrip() for line in (await client.call(f.ImageQueryDM(target="LINUX01"))).reply.image_record_array]
    assert "COMMAND DEFINE CPU 02 TYPE IFL" in records
    assert "SHARE RELATIVE 400" in records
    with pytest.raises(SmapiError) as caught:
        await client.call(
            f.ImageDefinitionUpdateDM(
                target="LINUX01", definition_update_directory_keyword_parameter_list=("BOGUS_KEYWORD=BAD",)
            )
        )
    assert (caught.value.rc, caught.value.rs) == (8, 3002)
    assert caught.value.text == ("UNKNOWN_DIRECTORY_KEYWORD_PARAMETER=BOGUS_KEYWORD",)


async def test_host_information_is_the_models(sim: Simulator, client: Client) -> None:
    information = (await client.call(f.SystemInformationQuery(target="MAINT"))).reply.system_information_data
    storage = next(line for line in information if line.startswith("STORAGE=")).split()
    assert (storage[0], storage[4]) == ("STORAGE=STORAGE=64G", "STANDBY=0")
    moment = next(line for line in information if "IPL_TIME=" in line).split()
    assert moment[5].startswith("IPL_TIME=")
    processors = (await client.call(f.SystemProcessorQuery(target="MAINT"))).reply.system_processor_array
    assert len(processors) == len(sim.system.facts.processors)
    records = (await client.call(f.SystemImagePerformanceQuery(target="TCPIP"))).reply.image_performance_array
    assert [record.guest_name.strip() for record in records] == ["TCPIP"]
    osas = (await client.call(f.VirtualNetworkOSAQuery(target="MAINT"))).reply.osa_info_array
    assert "1F00 FREE OSA 1F NO" in osas
    await client.call(switch("VSW1"))
    assert (
        "1F00 ATTACHEDDTCVSW1 OSA 1F NO"
        in (await client.call(f.VirtualNetworkOSAQuery(target="MAINT"))).reply.osa_info_array
    )


async def test_profiles_are_entries_of_their_own(client: Client) -> None:
    profile = ("PROFILE MINE", "IPL CMS")
    await client.call(f.ProfileCreateDM(target="MINE", profile_record_array=profile))
    assert await refused(client, f.ProfileCreateDM(target="MINE", profile_record_array=profile)) == (400, 8)
    assert await refused(client, f.ImageQueryDM(target="MINE")) == (400, 4)
    assert await refused(client, f.ProfileReplaceDM(target="MINE", profile_record_array=profile)) == (400, 24)
    await client.call(f.ProfileLockDM(target="MINE"))
    assert await refused(client, f.ProfileLockQueryDM(target="MINE")) == (0, 12)
    changed = ("PROFILE MINE", "IPL GCS")
    await client.call(f.ProfileReplaceDM(target="MINE", profile_record_array=changed))
    reply = (await client.call(f.ProfileQueryDM(target="MINE"))).reply
    assert [record.rstrip() for record in reply.profile_record_array] == list(changed)
    await client.call(f.ProfileDeleteDM(target="MINE"))
    assert await refused(client, f.ProfileQueryDM(target="MINE")) == (400, 4)


async def test_domain_and_scope_of_a_switch_are_kept_and_shown(sim: Simulator, client: Client) -> None:
    made = (
        switch("VSWI", vswitch_type="IVL", vswitch_domain="C"),
        switch("VSWG", vswitch_global="GLOBAL"),
        switch("VSWD", vswitch_type="IVL", vswitch_global="DOMAIN"),
    )
    for request in made:
        await client.call(request)
    kept = {name: (row.ivl_domain, row.scope) for name, row in sim.system.vswitches.items()}
    assert kept == {"VSWI": ("C", "LOCAL"), "VSWG": ("", "GLOBAL"), "VSWD": ("A", "DOMAIN")}
    answer = await client.call(f.VirtualNetworkVswitchQueryExtended(target="MAINT", switch_name="*"))
    assert answer.data is not None
    shown = {row.vswitch_attributes[0].split()[0]: row.global_member_array for row in answer.data.vswitch_array}
    assert shown == {"VSWI": (), "VSWG": ("ZVM1 ACTIVE",), "VSWD": ()}
    assert await refused(client, switch("VSW9", vswitch_domain="A")) == (8, 3002)
    assert await refused(client, switch("VSW9", vswitch_type="IVL", vswitch_domain="Z")) == (8, 3003)
    assert await refused(client, switch("VSW9", vswitch_global="WORLD")) == (8, 3003)
