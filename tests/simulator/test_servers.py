"""Functions of the servers: metadata, segments, dumps, interfaces, VMRM, thresholds, service, shutdown, xCAT."""

from __future__ import annotations

import asyncio

import pytest

from simulator.support import codes, write_image
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import Simulator, dumps, guests, shutdown, spool, storage, thresholds, traffic
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.model_devices import GuestLan, Service
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client
from zvmcloud.smapi.errors import TransportError

PLACE = "VMSYS:VMRMSVM."


def off(sim: Simulator, userid: str) -> None:
    with sim.system.transaction():
        guests.log_off(sim.system, userid)


# -- metadata ---------------------------------------------------------------------------------------------------------


async def test_metadata_is_kept_by_identifier_and_name(sim: Simulator, client: Client) -> None:
    entries = (
        f.MetadataEntry(metadata_entry_name="key1", metadata="val1"),
        f.MetadataEntry(metadata_entry_name="Key2", metadata="value 2"),
    )
    assert await codes(client, f.MetadataSet(target="MAINT", metadata_entry_array=entries)) == (0, 0)
    got = await client.call(f.MetadataGet(target="maint", metadata_name_list="Key2 key2 key1"))
    assert [item.metadata for item in got.reply.metadata_entry_array] == ["value 2", "", "val1"]
    space = await client.call(f.MetadataSpaceQuery(target="MAINT", searchkey="K*"))
    assert space.reply.output_data == ("7 Key2",)
    assert await codes(client, f.MetadataSpaceQuery(target="MAINT", searchkey="x*")) == (4, 4)
    assert await codes(client, f.MetadataSpaceQuery(target="ZHCP", searchkey="*")) == (8, 8)
    assert await codes(client, f.MetadataDelete(target="MAINT", metadata_name_list="key1")) == (0, 0)
    assert (await client.call(f.MetadataSpaceQuery(target="MAINT", searchkey="*"))).reply.output_data == ("7 Key2",)
    off(sim, "LOHCOST")
    assert await codes(client, f.MetadataGet(target="MAINT", metadata_name_list="key1")) == (900, 68)
    assert await codes(client, f.MetadataSpaceQuery(target="MAINT", searchkey="*")) == (8, 12)


# -- saved segments ---------------------------------------------------------------------------------------------------


async def test_a_segment_is_saved_opened_and_deleted(sim: Simulator, client: Client) -> None:
    create = f.SharedMemoryCreate(
        target="MAINT",
        memory_segment_name="SHAREMEM",
        begin_page=0xF000,
        end_page=0xF0FF,
        page_access_descriptor=1,
        memory_attributes=1,
        memory_access_identifier="ZHCP",
    )
    assert await codes(client, create) == (0, 0)
    assert await codes(client, create) == (0, 12)
    query = f.SharedMemoryQuery(target="MAINT", memory_segment_name="SHAREMEM")
    (segment,) = (await client.call(query)).reply.memory_segment_array
    assert segment.memory_segment_status == 3
    assert (segment.page_range_array[0].begin_page, segment.page_range_array[0].end_page) == (0xF000, 0xF0FF)
    add = f.SharedMemoryAccessAddDM(target="MAINT", memory_segment_name="SHAREMEM")
    assert await codes(client, add) == (0, 0)
    assert await codes(client, add) == (424, 4)
    entry = await client.call(f.ImageQueryDM(target="MAINT"))
    assert "NAMESAVE SHAREMEM" in [line.strip() for line in entry.reply.image_record_array]
    access = f.SharedMemoryAccessQueryDM(target="MAINT", memory_segment_name="SHAREMEM")
    assert (await client.call(access)).reply.name_array == ("MAINT",)
    none = f.SharedMemoryAccessQueryDM(target="TCPIP", memory_segment_name="SHAREMEM")
    assert await codes(client, none) == (0, 20)
    remove = f.SharedMemoryAccessRemoveDM(target="MAINT", memory_segment_name="SHAREMEM")
    assert await codes(client, remove) == (0, 0)
    assert await codes(client, remove) == (424, 8)
    replace = f.SharedMemoryReplace(target="MAINT", memory_segment_name="SHAREMEM", memory_access_identifier="NOBODY")
    assert await codes(client, replace) == (0, 4)
    delete = f.SharedMemoryDelete(target="MAINT", memory_segment_name="SHAREMEM")
    assert await codes(client, delete) == (0, 0)
    assert await codes(client, delete) == (600, 28)
    assert await codes(client, query) == (0, 28)


async def test_a_segment_needs_pages_and_a_restriction_to_be_opened(client: Client) -> None:
    values = {"target": "MAINT", "memory_segment_name": "SEG1", "page_access_descriptor": 3}
    wrong = f.SharedMemoryCreate(begin_page=20, end_page=10, **values)  # type: ignore[arg-type]
    assert await codes(client, wrong) == (600, 8)
    open_to = f.SharedMemoryCreate(
        begin_page=10,
        end_page=20,
        memory_attributes=2,
        memory_access_identifier="ZHCP",
        **values,  # type: ignore[arg-type]
    )
    assert await codes(client, open_to) == (600, 24)
    missing = f.SharedMemoryAccessAddDM(target="NOBODY", memory_segment_name="SEG1")
    assert await codes(client, missing) == (400, 4)
    everything = await client.call(f.SharedMemoryQuery(target="MAINT", memory_segment_name="*"))
    assert "SMAPIOUT" in [item.memory_segment_name for item in everything.reply.memory_segment_array]


# -- dumps ------------------------------------------------------------------------------------------------------------


async def test_a_dump_waits_in_the_reader_is_loaded_and_deleted(sim: Simulator, client: Client) -> None:
    query = f.QueryABENDDump(target="MAINT", location="ALL")
    assert await codes(client, query) == (0, 28)
    with sim.system.transaction():
        first, second = dumps.take(sim.system), dumps.take(sim.system)
    array = (await client.call(query)).reply.abend_dump_array
    assert [(item.abend_dump_loc, item.abend_dump_id.strip(), item.abend_dump_dist.strip()) for item in array] == [
        (1, first.spoolid, "SNP001"),
        (1, second.spoolid, "SNP002"),
    ]
    assert await codes(client, f.ProcessABENDDump(target="MAINT", spoolid=second.spoolid)) == (0, 0)
    array = (await client.call(query)).reply.abend_dump_array
    assert [(item.abend_dump_loc, item.abend_dump_id.strip()) for item in array] == [
        (1, first.spoolid),
        (2, "PRB00000"),
    ]
    assert [file.spoolid for file in spool.files(sim.system, "OPERATNS")] == [first.spoolid]
    assert await codes(client, f.ProcessABENDDump(target="MAINT")) == (0, 0)
    assert await codes(client, f.ProcessABENDDump(target="MAINT")) == (8, 3003)
    assert await codes(client, f.DeleteABENDDump(target="MAINT", id="PRB00001")) == (0, 0)
    assert await codes(client, f.DeleteABENDDump(target="MAINT", id="PRB00001")) == (8, 3003)
    off(sim, "OPERATNS")
    assert await codes(client, query) == (200, 12)


# -- interfaces -------------------------------------------------------------------------------------------------------


def interface(**values: str) -> f.NetworkIPInterfaceCreate:
    known = {"tcpip_stack": "TCPIP", "interface_id": "ETH99", "primary_ipv4": "192.168.1.99"}
    return f.NetworkIPInterfaceCreate(target="MAINT", **{**known, **values})


async def test_an_interface_on_a_lan_that_exists_is_configured_and_changed(sim: Simulator, client: Client) -> None:
    with sim.system.transaction():
        sim.system.guest_lans.put("SYSTEM.TEST", GuestLan("SYSTEM", "TEST"))
    assert await codes(client, interface(interface="VETH F100 SYSTEM TEST")) == (0, 0)
    assert (await codes(client, interface(interface="VETH F200 SYSTEM TEST"))) == (8, 12)
    query = f.NetworkIPInterfaceQuery(target="MAINT", tcpip_stack="TCPIP", interface_id="ETH99")
    (text,) = (await client.call(query)).reply.interface_configuration_array
    assert "IP=192.168.1.99/24" in text.split()
    modify = f.NetworkIPInterfaceModify(
        target="MAINT", tcpip_stack="TCPIP", interface_id="ETH99", add_ip="192.168.2.1/26"
    )
    assert await codes(client, modify) == (0, 0)
    assert "192.168.2.1" in (await client.call(f.IPaddrGet())).reply.ip_list
    two = f.NetworkIPInterfaceModify(
        target="MAINT", tcpip_stack="TCPIP", interface_id="ETH99", change_mtu="9000", delete_ip="192.168.2.1"
    )
    assert await codes(client, two) == (8, 3002)
    remove = f.NetworkIPInterfaceRemove(target="MAINT", tcpip_stack="TCPIP", interface_id="ETH99")
    assert await codes(client, remove) == (0, 0)
    assert sim.system.machines["TCPIP"].device("F100") is None
    answer = await client.call(remove, allow=((8, 12),))
    assert answer.text == ("DTCIFC2612E Unknown interface: ETH99",)


async def test_an_interface_on_a_lan_that_does_not_exist_is_not_there(client: Client) -> None:
    assert await codes(client, interface(interface="VETH F100 SYSTEM TEST")) == (0, 0)
    query = f.NetworkIPInterfaceQuery(target="MAINT", tcpip_stack="TCPIP", interface_id="ETH99")
    assert await codes(client, query) == (8, 4)
    assert await codes(client, interface(interface="ETH 0999")) == (8, 8)
    assert await codes(client, interface(interface="BOTH 0999")) == (8, 3003)
    nowhere = f.NetworkIPInterfaceQuery(target="MAINT", tcpip_stack="NOSTACK")
    assert await codes(client, nowhere) == (8, 3020)


# -- VMRM -------------------------------------------------------------------------------------------------------------


def update(*lines: str, check: int = 0) -> f.VMRMConfigurationUpdate:
    return f.VMRMConfigurationUpdate(
        target="MAINT",
        configuration_file_name="VMRM",
        configuration_file_type="CONFIG",
        configuration_dir_name=PLACE,
        syncheck_only=check,
        update_file=lines,
    )


RULES = (
    "* servers",
    "GOAL MAX VELOCITY CPU 100",
    "WORKLOAD WORK2 USER zhcp*,",
    "  maint",
    "MANAGE WORK2 GOAL MAX IMPORTANCE 10",
)


async def test_the_resource_manager_works_by_its_configuration(sim: Simulator, client: Client) -> None:
    assert await codes(client, update(*RULES, check=1)) == (0, 0)
    query = f.VMRMConfigurationQuery(
        target="MAINT",
        configuration_file_name="vmrm",
        configuration_file_type="config",
        configuration_dir_name="vmsys:vmrmsvm.",
    )
    assert (await client.call(query)).reply.configuration_file != RULES
    assert await codes(client, update(*RULES)) == (0, 0)
    assert (await client.call(query)).reply.configuration_file == RULES
    with sim.system.transaction():
        guests.log_on(sim.system, "ZHCP")
    measured = (await client.call(f.VMRMMeasurementQuery(target="MAINT"))).reply
    assert measured.workload_array == ("WORK2            CPU 100 DASD null",)
    assert await codes(client, update("GOAL MAX VELOCITY CPU 101")) == (800, 12)
    assert (await client.call(query)).reply.configuration_file == RULES
    warned = await client.call(update("WORKLOAD WORK1 USER A", check=1))
    assert warned.reply.log_record_array == ("workload WORK1 is not managed",)
    off(sim, "VMRMSVM")
    assert await codes(client, f.VMRMMeasurementQuery(target="MAINT")) == (800, 8)


# -- thresholds and load ----------------------------------------------------------------------------------------------


def test_crossing_a_threshold_is_told_once_until_the_value_has_fallen(system: System, clock: ManualClock) -> None:
    with system.transaction():
        guests.log_on(system, "ZHCP", ipl=False)
        guests.load(system, "ZHCP", "CMS")
        thresholds.enable(system, "USER_CPU ZHCP", 50)
    clock.advance(70)
    assert "THRESHOLD" not in "\n".join(system.machines["PERSMAPI"].console)
    with system.transaction():
        traffic.set_load(system, system.machines["ZHCP"], cpu=100, seconds=300)
    clock.advance(180)
    crossings = [line for line in system.machines["PERSMAPI"].console if "THRESHOLD" in line]
    assert len(crossings) == 1
    clock.advance(240)
    assert not system.thresholds["USER_CPU ZHCP"].crossed


async def test_thresholds_are_enabled_by_their_documented_names(sim: Simulator, client: Client) -> None:
    for text in ("system_cpu=99", "System_Paging = 10", "User_IO = zhcp 100"):
        enable = f.SystemPerformanceThresholdEnable(target="MAINT", event_type=text)
        assert await codes(client, enable) == (0, 0)
    assert set(sim.system.thresholds) == {"SYSTEM_CPU", "SYSTEM_PAGING", "USER_IO ZHCP"}
    disable = f.SystemPerformanceThresholdDisable(target="MAINT", event_type="User_IO zhcp")
    assert await codes(client, disable) == (0, 0)
    assert set(sim.system.thresholds) == {"SYSTEM_CPU", "SYSTEM_PAGING"}
    for text in ("System_Nothing=1", "system_cpu", "user_cpu=50", "system_cpu=101"):
        enable = f.SystemPerformanceThresholdEnable(target="MAINT", event_type=text)
        assert await codes(client, enable) == (8, 3002)
    off(sim, "PERSMAPI")
    enable = f.SystemPerformanceThresholdEnable(target="MAINT", event_type="system_cpu=99")
    assert await codes(client, enable) == (8, 4)


async def test_counters_move_with_a_guests_load(sim: Simulator, client: Client) -> None:
    query = f.ImagePerformanceQuery(target="MAINT", guest_names=("TCPIP",))
    before = (await client.call(query)).reply.performance_records[0]
    with sim.system.transaction():
        traffic.set_load(sim.system, sim.system.machines["TCPIP"], cpu=10_000)
    await asyncio.sleep(0.2)
    after = (await client.call(query)).reply.performance_records[0]
    assert after.used_CPU_time - before.used_CPU_time >= 150_000
    info = await client.call(f.SystemPerformanceInfoQuery(target="MAINT", monrate="QUERY"))
    assert int(info.reply.performance_info[1]) >= 100 // len(sim.system.facts.processors)
    assert info.reply.performance_info[5] == "MONITOR EVENT RATE 2.00 SECONDS"
    changed = await client.call(f.SystemPerformanceInfoQuery(target="MAINT", monrate="5.0"))
    assert changed.reply.performance_info[5] == "MONITOR EVENT RATE 5.00 SECONDS"
    shown = await client.call(f.SystemPerformanceInformationQuery(target="MAINT", MONITOR_EVENT="QUERY=YES"))
    assert "MONITOR_RATE=5.00 SECONDS " in shown.reply.system_performance_information_data


# -- service, status, xCAT --------------------------------------------------------------------------------------------


def service(text: str) -> f.SystemServiceQuery:
    return f.SystemServiceQuery(target="MAINT", COMPONENT=text)


async def test_service_of_a_component(sim: Simulator, client: Client) -> None:
    (text,) = (await client.call(service("namecomponent=cp type=rsu"))).reply.system_service_query_data
    assert text == "COMPONENT=NAME=CP TYPE=RSU SERVICE_LEVEL=RSU-2101 PRODUCTION_LEVEL=ZVM1.RSU-2101"
    assert await codes(client, service("NAMECOMPONENT=CP TYPE=APAR NUMBER=VM66201")) == (8, 4)
    with sim.system.transaction():
        sim.system.services.put("CP", Service("CP", "2101", ("UM35292 VM66201",)))
    (text,) = (await client.call(service("NAMECOMPONENT=CP TYPE=APAR NUMBER=VM66201"))).reply.system_service_query_data
    assert "PTF=UM35292" in text.split()
    assert await codes(client, service("NAMECOMPONENT=XYZ TYPE=RSU")) == (8, 28)
    assert await codes(client, service("NAMECOMPONENT=CP TYPE=FIX")) == (8, 3003)
    assert await codes(client, service("TYPE=RSU")) == (8, 3004)


async def test_a_status_capture_is_a_file_of_the_servers(sim: Simulator, client: Client) -> None:
    assert await codes(client, f.SMAPIStatusCapture(target="MAINT")) == (0, 0)
    lines = sim.system.texts["VMSYS:VSMWORK1. SMAPI STATUS"].lines
    assert "VSMWORK1 LOGGED ON" in lines


async def test_where_a_guest_was_iplled_from(sim: Simulator, client: Client) -> None:
    answer = await client.call(f.ImageIPLDeviceQuery(userid="TCPIP"))
    assert answer.reply.ipl_device == "CMS"
    assert await codes(client, f.ImageIPLDeviceQuery(userid="NOBODY")) == (200, 12)


async def test_xcat_runs_the_commands_it_needs(sim: Simulator, client: Client) -> None:
    answer = await client.call(f.XcatAccomodation(target="MAINT", command=b"cmd=QUERY USERID"))
    assert answer.reply.XCAT_commands_data == ("VSMWORK1 AT ZVM1",)
    garbage = f.XcatAccomodation(target="MAINT", command=b"CMD=QUERY USERID\0\x01\x02\x03")
    assert (await client.call(garbage)).reply.XCAT_commands_data == ("VSMWORK1 AT ZVM1",)
    refused = await client.call(f.XcatAccomodation(target="MAINT", command=b"cmd=SHUTDOWN"), allow=((8, 3002),))
    assert "SHUTDOWN" in refused.text[0]
    assert await codes(client, f.XcatAccomodation(target="MAINT", command=b"QUERY USERID")) == (8, 3002)


async def test_xcat_copies_and_purges_for_others(sim: Simulator, client: Client) -> None:
    system = sim.system
    with system.transaction():
        for userid in ("AAA", "BBB"):
            dm.create(system, userid, [f"USER {userid} SECRET 64M 64M G"])
            dm.add_disk(system, userid, Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
        spool.create(system, "AAA", "MAINT", b"letter")
    source, target = (storage.file_of(system, system.disks[f"{userid}.0100"]) for userid in ("AAA", "BBB"))
    write_image(source)
    copy = f.XcatAccomodation(target="MAINT", command=b"CMD=FLASHCOPY AAA 0100 0 END BBB 0100 0 END SYNC")
    assert await codes(client, copy) == (592, 8888)
    assert target.read_bytes() == source.read_bytes()
    assert not system.machines["VSMWORK1"].disks
    missing = f.XcatAccomodation(target="MAINT", command=b"CMD=FLASHCOPY AAA 0999 0 END BBB 0100 0 END SYNC")
    assert (await codes(client, missing))[0] == 396
    purge = f.XcatAccomodation(target="MAINT", command=b"CMD=PURGE AAA RDR ALL")
    assert await codes(client, purge) == (0, 0)
    assert spool.files(system, "AAA") == []


# -- shutdown ---------------------------------------------------------------------------------------------------------


async def test_a_shutdown_stops_the_guests_and_starts_the_system_again(sim: Simulator, client: Client) -> None:
    ipl_at = sim.system.facts.ipl_at
    with sim.system.transaction():
        guests.log_on(sim.system, "ZHCP")
    assert await codes(client, f.SystemShutdown(target="MAINT", Immediate="IMMEDIATE")) == (0, 0)
    for _ in range(100):
        await asyncio.sleep(0.05)
        if sim.system.facts.ipl_at > ipl_at:
            break
    assert "ZHCP" not in sim.system.machines
    assert "VSMWORK1" in sim.system.machines
    assert await codes(client, f.QueryAPIFunctionalLevel(target="MAINT")) == (0, sim.system.facts.level)


async def test_without_reipl_the_system_stays_down(sim: Simulator, client: Client) -> None:
    request = f.SystemShutdown(target="MAINT", Immediate="IMMEDIATE", Reipl="NOREIPL")
    assert await codes(client, request) == (0, 0)
    for _ in range(100):
        await asyncio.sleep(0.05)
        if shutdown.is_down(sim.system):
            break
    assert len(sim.system.machines) == 0
    with pytest.raises(TransportError):
        await client.call(f.QueryAPIFunctionalLevel(target="MAINT"))


async def test_a_planned_shutdown_can_be_called_off(sim: Simulator, client: Client) -> None:
    assert await codes(client, f.SystemShutdown(target="MAINT", Within="3600")) == (0, 0)
    assert shutdown.planned(sim.system) is not None
    assert await codes(client, f.SystemShutdown(target="MAINT", Cancel="CANCEL")) == (0, 0)
    assert shutdown.planned(sim.system) is None
    assert (await codes(client, f.SystemShutdown(target="MAINT", Cancel="CANCEL")))[0] == 396
    both = f.SystemShutdown(target="MAINT", Within="60", By="12:00")
    assert await codes(client, both) == (8, 24)
    assert await codes(client, f.SystemShutdown(target="MAINT", Within="0")) == (8, 3003)
    assert await codes(client, f.SystemShutdown(target="MAINT", By="25:00")) == (8, 3003)


def test_guests_get_their_signal_before_the_system_goes(system: System, clock: ManualClock) -> None:
    with system.transaction():
        guests.log_on(system, "ZHCP", ipl=False)
        shutdown.plan(system, 10, reipl=False, immediate=False)
    clock.advance(9)
    assert "TCPIP" in system.machines
    clock.advance(10)
    assert shutdown.is_down(system)
    assert len(system.machines) == 0
