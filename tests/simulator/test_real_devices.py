"""Real disks, the SCSI fabric, EQIDs, volumes of the system configuration, page and spool space."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.support import codes
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import Simulator, dasd, fabric, guests, space, spool, storage
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.model_devices import Lun, Monitor, SpaceVolume
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client

CONFIG = {
    "system_config_name": "SYSTEM",
    "system_config_type": "CONFIG",
    "parm_disk_owner": "PMAINT",
    "parm_disk_number": "CF0",
    "parm_disk_password": "MULTIPLE",
}
PORT, LUN = "500507630708D3B3", "4000400000000000"


async def disks(client: Client) -> dict[str, str]:
    answer = await client.call(f.SystemDiskQuery(target="MAINT", dev_num="ALL"))
    return {item.split(" ")[0]: item for item in answer.reply.disk_info_array}


async def test_a_new_disk_is_introduced_to_cp(sim: Simulator, client: Client) -> None:
    assert "7010" not in await disks(client)
    assert await codes(client, f.SystemDiskAccessibility(target="MAINT", dev_num="7010")) == (8, 8)
    assert await codes(client, f.SystemDiskAdd(target="MAINT", dev_num="7010")) == (0, 0)
    assert (await disks(client))["7010"] == "7010 3390-0C FREE ......"
    assert await codes(client, f.SystemDiskAccessibility(target="MAINT", dev_num="7010")) == (0, 0)
    assert await codes(client, f.SystemDiskAdd(target="MAINT", dev_num="7099")) == (396, 40)


async def test_cp_and_a_volume_in_use_keep_a_disk_from_being_attached(client: Client) -> None:
    assert await codes(client, f.SystemDiskAccessibility(target="MAINT", dev_num="5000")) == (8, 10)
    assert await codes(client, f.SystemDiskAccessibility(target="MAINT", dev_num="6000")) == (8, 10)


async def test_an_edev_works_while_one_of_its_paths_does(sim: Simulator, client: Client) -> None:
    add = f.SystemSCSIDiskAdd(target="MAINT", dev_num="8000", dev_path_array=f"1A00 {PORT} {LUN}", option="1")
    assert await codes(client, add) == (0, 0)
    query = f.SystemSCSIDiskQuery(target="MAINT", dev_num="ALL")
    assert (await client.call(query)).reply.scsi_info_array == (f"8000 FBA 2107 {20 << 20} 1A00 {PORT} {LUN}",)
    more = f.SystemSCSIDiskAdd(target="MAINT", dev_num="8000", dev_path_array=f"1B00 {PORT} {LUN};", option="2")
    assert await codes(client, more) == (0, 0)
    other = f.SystemSCSIDiskAdd(
        target="MAINT", dev_num="8000", dev_path_array=f"1B00 {PORT} 4000400100000000", option="2"
    )
    assert await codes(client, other) == (396, 8700)
    fewer = f.SystemSCSIDiskAdd(target="MAINT", dev_num="8000", dev_path_array=f"1A00 {PORT} {LUN}", option="3")
    assert await codes(client, fewer) == (0, 0)
    last = f.SystemSCSIDiskAdd(target="MAINT", dev_num="8000", dev_path_array=f"1B00 {PORT} {LUN}", option="3")
    assert (await codes(client, last))[0] == 396
    assert (await disks(client))["8000"].startswith("8000 9336-10 FREE")
    wwpns = (await client.call(f.SystemWWPNQuery(target="MAINT"))).reply.wwpn_array
    assert {item.split()[0]: item.split()[4] for item in wwpns}["1B00"] == "1"
    assert await codes(client, f.SystemSCSIDiskDelete(target="MAINT", dev_num="8000")) == (0, 0)
    assert await codes(client, f.SystemSCSIDiskDelete(target="MAINT", dev_num="8000")) == (8, 8)
    assert await codes(client, query) == (4, 28)


async def test_a_path_that_leads_nowhere_leaves_the_edev_offline_and_without_size(client: Client) -> None:
    add = f.SystemSCSIDiskAdd(
        target="MAINT", dev_num="7000", dev_path_array="5000 0000000000000001 0000000000000001", option="1"
    )
    # A real disk has that number here, the recorded system had none.
    assert (await codes(client, add))[0] == 396
    add = f.SystemSCSIDiskAdd(
        target="MAINT", dev_num="8001", dev_path_array="5000 0000000000000001 0000000000000001", option="1"
    )
    assert await codes(client, add) == (396, 8700)
    answer = await client.call(f.SystemSCSIDiskQuery(target="MAINT", dev_num="8001"))
    assert answer.reply.scsi_info_array == ("8001 FBA SCSI 0",)


async def test_a_free_fcp_device_shows_the_luns_that_let_it_in(sim: Simulator, client: Client) -> None:
    answer = await client.call(f.SystemFCPFreeQuery(target="MAINT", fcp_dev="1A00"))
    assert len(answer.reply.fcp_array) == 16
    assert answer.reply.fcp_array[0].split(";")[:3] == ["1A00", "500507630708D3B3", "4000400000000000"]
    system = sim.system
    with system.transaction():
        for key, lun in system.luns.items():
            system.luns.put(key, Lun(lun.wwpn, lun.lun, lun.uuid, lun.blocks, hosts=("C05076DDF7001A01",)))
    assert (await client.call(f.SystemFCPFreeQuery(target="MAINT", fcp_dev="1A00"))).reply.fcp_array == ()
    assert len((await client.call(f.SystemFCPFreeQuery(target="MAINT", fcp_dev="1A01"))).reply.fcp_array) == 16
    assert await codes(client, f.SystemFCPFreeQuery(target="MAINT", fcp_dev="1F00")) == (8, 8)


async def test_an_fcp_device_on_a_channel_path_that_is_offline_is_offline(sim: Simulator, client: Client) -> None:
    system = sim.system
    with system.transaction():
        path = system.channel_paths["50"]
        system.channel_paths.put("50", type(path)(path.chpid, path.kind, path.pchid, online=False))
    wwpns = (await client.call(f.SystemWWPNQuery(target="MAINT", owner="YES"))).reply.wwpn_array
    assert {item.split()[4] for item in wwpns if item.split()[2] == "50"} == {"3"}
    assert not fabric.usable(system, "1A00")
    answer = await client.call(f.SystemIOQuery(real_device_address="1A00"))
    assert answer.reply.chpid_list == ("50 FCP OFFLINE",)
    assert await codes(client, f.SystemIOQuery(real_device_address="0FFF")) == (8, 8)


async def test_eqids_by_device_and_by_name(client: Client) -> None:
    answer = await client.call(f.SystemEQIDQuery(target="MAINT", eqid_for="RDEV", eqid_target="01F00-01F01"))
    assert answer.reply.eqid_array == ("01F00 OSA1F", "01F01 OSA1F")
    answer = await client.call(f.SystemEQIDQuery(target="MAINT", eqid_for="EQID", eqid_target="OSA1F"))
    assert answer.reply.eqid_array[0].split()[:3] == ["OSA1F", "01F00", "01F01"]
    everything = await client.call(f.SystemEQIDQuery(target="MAINT", eqid_for="ALL"))
    assert len(everything.reply.eqid_array) == 48
    unknown = f.SystemEQIDQuery(target="MAINT", eqid_for="EQID", eqid_target="NOSUCH")
    answer = await client.call(unknown, allow=((8, 3003),))
    assert answer.text == ("UNKNOWN_PARAMETER_OPERAND=NOSUCH",)


async def test_a_user_volume_can_be_used_once_it_is_added(sim: Simulator, client: Client) -> None:
    add = f.ImageVolumeAdd(target="MAINT", image_device_number="7000", image_vol_id="LXNEW1", **CONFIG)
    assert await codes(client, add) == (0, 0)
    assert await codes(client, add) == (300, 20)
    assert (await disks(client))["7000"] == "7000 3390-0C SYSTEM LXNEW1"
    region = f.ImageVolumeSpaceDefineDM(
        target="MAINT", function_type=4, region_name="LXNEW1", image_vol_id="LXNEW1", group_name="NEWPOOL"
    )
    assert await codes(client, region) == (0, 0)
    query = f.ImageVolumeSpaceQueryDM(target="MAINT", query_type=2, entry_type=3, entry_names="NEWPOOL")
    assert (await client.call(query)).reply.record_array == ("LXNEW1 3390-0C 1 60101 NEWPOOL LXNEW1",)
    assert await codes(client, f.SystemConfigSyntaxCheck(target="MAINT", **CONFIG)) == (0, 0)
    lines = sim.system.texts["PMAINT.0CF0 SYSTEM CONFIG"].lines
    assert lines[-1] == "User_Volume_List LXNEW1"


async def test_a_volume_with_minidisks_in_use_stays_with_cp(sim: Simulator, client: Client) -> None:
    add = f.ImageVolumeAdd(target="MAINT", image_device_number="7000", image_vol_id="LXNEW1", **CONFIG)
    delete = f.ImageVolumeDelete(target="MAINT", image_device_number="7000", image_vol_id="LXNEW1", **CONFIG)
    await client.call(add)
    with sim.system.transaction():
        dm.add_disk(sim.system, "ZHCP", Mdisk("0300", "3390", "PERM", 1, 10, "LXNEW1", "MR"))
    with sim.system.transaction():
        if "ZHCP" not in sim.system.machines:
            guests.log_on(sim.system, "ZHCP", ipl=False)
        else:
            storage.attach(sim.system, "ZHCP", "ZHCP", "0300", "0300", "MR")
    assert await codes(client, delete) == (396, 124)
    with sim.system.transaction():
        storage.detach(sim.system, "ZHCP", "0300")
    assert await codes(client, delete) == (0, 0)
    assert not dasd.mounted(sim.system, "LXNEW1")
    assert await codes(client, delete) == (300, 18)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parm_disk_owner": "NOBODY"}, 24),
        ({"parm_disk_password": ""}, 44),
        ({"parm_disk_password": "WRONG"}, 46),
        ({"parm_disk_password": ","}, 48),
        ({"system_config_name": "OTHER"}, 32),
    ],
)
async def test_a_parm_disk_that_cannot_be_had_refuses(client: Client, changes: dict[str, str], reason: int) -> None:
    values = {**CONFIG, **changes}
    add = f.ImageVolumeAdd(target="MAINT", image_device_number="7000", image_vol_id="LXNEW1", **values)
    assert await codes(client, add) == (300, reason)
    page = f.PageOrSpoolVolumeAdd(target="MAINT", vol_addr="7000", volume_label="PAGE02", volume_use="PAGE", **values)
    assert await codes(client, page) == (8, reason)


async def test_a_faulty_configuration_is_not_changed(sim: Simulator, client: Client) -> None:
    system = sim.system
    file = system.texts["PMAINT.0CF0 SYSTEM CONFIG"]
    with system.transaction():
        bad = type(file)(file.place, file.name, file.filetype, (*file.lines, "Nonsense 1"))
        system.texts.put("PMAINT.0CF0 SYSTEM CONFIG", bad)
    answer = await client.call(f.SystemConfigSyntaxCheck(target="MAINT", **CONFIG), allow=((8, 34),))
    assert "NONSENSE" in answer.text[0]
    add = f.ImageVolumeAdd(target="MAINT", image_device_number="7000", image_vol_id="LXNEW1", **CONFIG)
    assert await codes(client, add) == (300, 34)
    assert dasd.find(system, "7000").status == "FREE"  # type: ignore[union-attr]


async def test_paging_space_grows_by_a_volume(client: Client) -> None:
    before = (await client.call(f.SystemPageUtilizationQuery(target="MAINT"))).reply.paging_information
    assert before == ("1760K 0 0 M01P01 5002 1760K 0 0 NOTDRAINED",)
    add = f.PageOrSpoolVolumeAdd(target="MAINT", vol_addr="7001", volume_label="PAGE02", volume_use="PAGE", **CONFIG)
    assert await codes(client, add) == (0, 0)
    after = (await client.call(f.SystemPageUtilizationQuery(target="MAINT"))).reply.paging_information
    assert len(after) == 2
    assert after[1].startswith("PAGE02 7001 10564K 0 0")
    assert await codes(client, add) == (8, 10)
    again = f.PageOrSpoolVolumeAdd(target="MAINT", vol_addr="7002", volume_label="PAGE02", volume_use="PAGE", **CONFIG)
    assert await codes(client, again) == (8, 20)
    assert await codes(client, f.ImageVolumeShare(target="MAINT", img_vol_addr="7001")) == (8, 19)


async def test_spool_space_holds_the_spool_files(sim: Simulator, client: Client) -> None:
    def used(items: tuple[str, ...]) -> int:
        return int(items[0].split()[1])

    query = f.SystemSpoolUtilizationQuery(target="MAINT")
    before = used((await client.call(query)).reply.spool_information)
    with sim.system.transaction():
        file = spool.create(sim.system, "MAINT", "ZHCP", b"x" * 40_960)
    items = (await client.call(query)).reply.spool_information
    assert used(items) == before + 11
    assert items[0].endswith("NOTDUMP NOTDRAINED")
    with sim.system.transaction():
        spool.purge(sim.system, file)
    assert used((await client.call(query)).reply.spool_information) == before


def shared(sim: Simulator) -> bool:
    return sim.system.real_disks["6000"].shared


async def test_sharing_a_volume(sim: Simulator, client: Client) -> None:
    assert await codes(client, f.ImageVolumeShare(target="MAINT", img_vol_addr="6000")) == (0, 0)
    assert shared(sim)
    assert await codes(client, f.ImageVolumeShare(target="MAINT", img_vol_addr="6000", share_enable="OFF")) == (0, 0)
    assert not shared(sim)
    assert await codes(client, f.ImageVolumeShare(target="MAINT", img_vol_addr="5000")) == (8, 20)
    assert await codes(client, f.ImageVolumeShare(target="MAINT", img_vol_addr="0999")) == (8, 3012)
    assert dasd.mounted(sim.system, "LX0001")


async def test_disk_traffic_needs_the_monitors_io_domain(sim: Simulator, client: Client) -> None:
    query = f.SystemDiskIOQuery(target="MAINT", RDEV="6000 6001")
    answer = await client.call(query)
    assert [item.split()[0] for item in answer.reply.DASD_information] == ["6000", "6001"]
    with sim.system.transaction():
        sim.system.monitors.put("monitor", Monitor(io=False))
    assert await codes(client, query) == (8, 3017)
    with sim.system.transaction():
        sim.system.segments.remove("SMAPIOUT")
    assert await codes(client, query) == (8, 3018)
    assert await codes(client, f.SystemPerformanceInformationQuery(target="MAINT")) == (8, 3018)


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=5),
    files=st.lists(st.integers(0, 200_000), max_size=6),
)
def test_pages_in_use_add_up_over_the_volumes(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], files: list[int]
) -> None:
    system = open_system(Path(tmp_path_factory.mktemp("space")), PRESETS["small"], clock=ManualClock())
    try:
        with system.transaction():
            for volser in list(system.space_volumes):
                system.space_volumes.remove(volser)
            for number, pages in enumerate(sizes):
                volser = f"SPL{number:03d}"
                system.space_volumes.put(volser, SpaceVolume(volser, f"{number:04X}", "SPOOL", pages, number + 1))
            for size in files:
                try:
                    spool.create(system, "MAINT", "ZHCP", b"x" * size)
                except CpRefused:
                    assert not space.room_for(system, size)
        _adds_up(system, sum(sizes))
    finally:
        system.close()


def _adds_up(system: System, total: int) -> None:
    usage = space.usage(system, "SPOOL")
    assert sum(item.total for item in usage) == total
    assert sum(item.used for item in usage) == min(space.spool_pages(system), total)
    assert all(0 <= item.used <= item.total for item in usage)
