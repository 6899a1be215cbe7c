"""The road through the agent, on a simulated z/VM: define, deploy, network, start, look, stop, delete."""

import asyncio
import base64
import gzip
import hashlib
from itertools import pairwise
from pathlib import Path

import pytest

from zhcp.conftest import Agent
from zvmcloud.images import cdl, configdrive, header, sample
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk, RemoveDisks
from zvmcloud.zhcp.guest_messages import (
    DeleteGuest,
    PauseGuest,
    RebootGuest,
    ResetGuest,
    ShutdownGuest,
    StartGuest,
    StopGuest,
    UnpauseGuest,
)
from zvmcloud.zhcp.network_messages import (
    CoupleNic,
    CreateNic,
    CreateVswitch,
    DeleteNic,
    DeleteVswitch,
    GrantVswitch,
    RevokeVswitch,
    SetVswitchVlan,
    UncoupleNic,
)
from zvmcloud.zhcp.operations.linked import linked
from zvmcloud.zhcp.reader_messages import PunchFiles, ReaderFile

EXT4 = NewDisk(vdev="0101", size_units=20, pool="POOL1", format="ext4")
ROOT = NewDisk(vdev="0100", size_units=10, pool="POOL1", boot=True)


async def until_up(agent: Agent, userid: str = "LINUX01") -> None:
    for _ in range(100):
        try:
            await agent.client.command(userid, "echo 'ping'", epoch=1)
        except ZhcpError:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError(f"{userid} has not come up")


def config_drive(hostname: str) -> ReaderFile:
    network = configdrive.Network("192.0.2.10/24", "192.0.2.1", name="enc1000")
    data = configdrive.write_iso(configdrive.tree(hostname, (network,)))
    return ReaderFile(name="cfgdrive", type="iso", class_="X", data=base64.b64encode(data).decode())


async def test_a_guest_is_deployed_started_and_deleted(agent: Agent) -> None:
    created = await agent.run(agent.guest("LINUX01", ROOT, EXT4))
    assert created.result is not None
    assert [d["vdev"] for d in created.result["disks"]] == ["0100", "0101"]  # type: ignore[union-attr,index,call-overload]
    names = [call.name for call in created.calls]
    assert names.count("Image_Create_DM") == 1
    assert names.count("Image_Disk_Create_DM") == 2
    written = await agent.run(agent.write_image())
    assert written.result is not None
    assert (written.result["units"], written.result["bootable"]) == (5, True)
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    await agent.run(CreateNic(userid="LINUX01", vdev="1000", mac="02:00:00:12:34:56"))
    await agent.run(CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1"))
    await agent.run(GrantVswitch(name="VSW1", userid="LINUX01"))
    await agent.run(PunchFiles(userid="LINUX01", files=(config_drive("web01"),)))
    facts = await agent.client.guest("LINUX01")
    assert facts["power_state"] == "off"
    assert "NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 DEVICES 3 MACID 123456" in facts["entry"]  # type: ignore[operator]
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)
    facts = await agent.client.guest("LINUX01")
    assert facts["power_state"] == "on"
    assert isinstance(facts["live"], dict)
    assert (await agent.client.command("LINUX01", "hostname", epoch=1))[1].strip() == "web01"
    console = await agent.client.console("LINUX01")
    assert "web01 login:" in console
    (adapter,) = await agent.client.adapters("LINUX01")
    assert isinstance(adapter, dict)
    assert (adapter["adapter_address"], adapter["lan_name"]) == ("1000", "VSW1")
    await agent.run(ShutdownGuest(userid="LINUX01", timeout=30, poll=1))
    assert (await agent.client.guest("LINUX01"))["power_state"] == "off"
    await agent.run(DeleteGuest(userid="LINUX01"))
    assert {"userid": "LINUX01"} not in await agent.client.guests()
    pool = await agent.client.pool("POOL1")
    assert pool["used"] == 0
    (switch,) = await agent.client.vswitches()
    assert isinstance(switch, dict)
    assert switch["authorized_users"] == []


async def test_a_second_disk_holds_the_file_system_that_was_asked_for(agent: Agent) -> None:
    fba = NewDisk(vdev="0102", size_units=32768, type="FBA", pool="FBAPOOL", format="ext4")
    swap = NewDisk(vdev="0103", size_units=5, pool="POOL1", format="swap")
    xfs = NewDisk(vdev="0105", size_units=500, pool="POOL1", format="xfs")
    await agent.run(agent.guest("LINUX01", ROOT, EXT4, fba, swap, NewDisk(vdev="0104", vdisk_blocks=2048), xfs))
    async with linked(agent.runner.context("test"), "LINUX01", "0101", write=False) as (_, path):
        with EckdDisk(path) as disk:
            (partition,) = cdl.partitions(disk)
            superblock = cdl.PartitionBlocks(disk, partition).read(0)[1024:2048]
            assert superblock[56:58] == b"\x53\xef"
            assert int.from_bytes(superblock[4:8], "little") == partition.blocks
            assert path.stat().st_blocks * 512 < 20 * 983040 / 4
    async with linked(agent.runner.context("test"), "LINUX01", "0102", write=False) as (_, path):
        with FbaDisk(path) as fba_disk:
            assert fba_disk.read(2048 + 2, 1)[56:58] == b"\x53\xef"
    async with linked(agent.runner.context("test"), "LINUX01", "0103", write=False) as (_, path):
        with EckdDisk(path) as disk:
            first = cdl.PartitionBlocks(disk, cdl.partitions(disk)[0]).read(0)
            assert first[4086:4096] == b"SWAPSPACE2"
    async with linked(agent.runner.context("test"), "LINUX01", "0105", write=False) as (_, path):
        with EckdDisk(path) as disk:
            (partition,) = cdl.partitions(disk)
            superblock = cdl.PartitionBlocks(disk, partition).read(0)
            assert superblock[:4] == b"XFSB"
            assert int.from_bytes(superblock[8:16], "big") <= partition.blocks
            assert path.stat().st_blocks * 512 < 500 * 983040 / 4
    facts = await agent.client.guest("LINUX01")
    assert "MDISK 0104 FB-512 V-DISK 2048 MWV" in facts["entry"]  # type: ignore[operator]


async def test_the_image_is_on_the_disk_to_the_last_byte(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    async with linked(agent.runner.context("test"), "LINUX01", "0100", write=False) as (_, path):
        with EckdDisk(path) as disk:
            assert disk.sha256(5) == agent.image.content_sha256
            system = sample.read_system(disk)
            assert system is not None
            assert system.distro == "zvmsample1.0"


@pytest.mark.parametrize("code", ["digest-mismatch", "image-truncated", "image-missing", "image-too-large"])
async def test_a_failed_deploy_leaves_nothing_linked_and_nothing_that_boots(agent: Agent, code: str) -> None:
    await agent.run(agent.guest("LINUX01", NewDisk(vdev="0100", size_units=4 if "large" in code else 10, pool="POOL1")))
    wrong: dict[str, dict[str, object]] = {
        "digest-mismatch": {"sha256": "0" * 64},
        "image-truncated": {"bytes": agent.image.bytes + 1},
        "image-missing": {"url": agent.image.path.with_name("nothing").as_uri()},
        "image-too-large": {},
    }
    problem = await agent.refused(agent.write_image(**wrong[code]))  # type: ignore[arg-type]
    assert problem.code == code
    answer = await agent.runner.machine.cp("QUERY VIRTUAL DASD")
    assert not any(" F0" in line for line in answer.lines)
    async with linked(agent.runner.context("test"), "LINUX01", "0100", write=False) as (_, path):
        with EckdDisk(path) as disk:
            assert list(disk.used_tracks()) == []
    await agent.run(agent.guest("OTHER"))


async def test_power_verbs_follow_the_state_of_the_guest(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    assert (await agent.refused(PauseGuest(userid="LINUX01"))).code == "guest-inactive"
    assert (await agent.run(StopGuest(userid="LINUX01"))).result == {"power_state": "off", "was_on": False}
    assert (await agent.run(StartGuest(userid="LINUX01"))).result == {"power_state": "on", "was_on": False}
    assert (await agent.run(StartGuest(userid="LINUX01"))).result == {"power_state": "on", "was_on": True}
    await until_up(agent)
    busy = await agent.refused(agent.write_image())
    assert (busy.status, busy.code) == (409, "guest-active")
    assert "LINUX01 is on" in busy.detail
    await agent.run(PauseGuest(userid="LINUX01"))
    await agent.run(UnpauseGuest(userid="LINUX01"))
    await agent.run(RebootGuest(userid="LINUX01"))
    await until_up(agent)
    await agent.run(ResetGuest(userid="LINUX01"))
    assert (await agent.run(StopGuest(userid="LINUX01"))).result == {"power_state": "off", "was_on": True}
    assert (await agent.refused(RebootGuest(userid="LINUX01"))).code == "guest-inactive"
    for operation in (StartGuest(userid="NOBODY"), PauseGuest(userid="NOBODY"), StopGuest(userid="NOBODY")):
        assert (await agent.refused(operation)).status == 404


async def test_disks_are_added_and_removed(agent: Agent) -> None:
    await agent.run(agent.guest())
    added = await agent.run(AddDisks(userid="LINUX01", disks=(EXT4,)))
    assert added.result is not None
    assert len(added.result["disks"]) == 1  # type: ignore[arg-type]
    assert (await agent.refused(AddDisks(userid="LINUX01", disks=(EXT4,)))).code == "disk-exists"
    removed = await agent.run(RemoveDisks(userid="LINUX01", vdevs=("0101", "0199")))
    assert removed.result == {"removed": ["0101"]}
    await agent.run(StartGuest(userid="LINUX01"))
    assert (await agent.refused(RemoveDisks(userid="LINUX01", vdevs=("0100",)))).code == "guest-active"
    assert (await agent.refused(AddDisks(userid="NOBODY", disks=(EXT4,)))).code == "guest-unknown"


async def test_a_guest_that_exists_an_unknown_pool_and_a_full_pool_change_nothing(agent: Agent) -> None:
    await agent.run(agent.guest())
    twice = await agent.refused(agent.guest())
    assert (twice.status, twice.code) == (409, "guest-exists")
    before = await agent.client.pool("POOL1")
    nowhere = await agent.refused(agent.guest("LINUX02", NewDisk(vdev="0100", size_units=1, pool="NOPOOL")))
    assert (nowhere.status, nowhere.code) == (404, "pool-unknown")
    full = await agent.refused(agent.guest("LINUX02", NewDisk(vdev="0100", size_units=60000, pool="POOL1")))
    assert (full.status, full.code) == (409, "pool-full")
    assert "largest extent" in full.detail
    profile = await agent.refused(
        agent.guest("LINUX02").__class__(userid="LINUX02", vcpus=1, memory_mb=512, profile="NOPROF")
    )
    assert (profile.status, profile.code) == (404, "profile-unknown")
    assert {"userid": "LINUX02"} not in await agent.client.guests()
    assert await agent.client.pool("POOL1") == before


async def test_a_guest_whose_second_disk_fails_is_gone_again(agent: Agent) -> None:
    tiny = NewDisk(vdev="0101", size_units=1, pool="POOL1", format="xfs")
    small = NewDisk(vdev="0101", size_units=100, type="FBA", pool="FBAPOOL", format="ext4")
    problem = await agent.refused(agent.guest("LINUX01", ROOT, small))
    assert problem.code == "disk-too-small"
    assert [call.name for call in problem.calls][-1] == "Image_Delete_DM"
    assert {"userid": "LINUX01"} not in await agent.client.guests()
    assert (await agent.client.pool("POOL1"))["used"] == 0
    assert (await agent.refused(agent.guest("LINUX01", ROOT, tiny))).status in (501, 422)


async def test_nics_are_coupled_with_one_statement_and_undone_when_the_running_guest_refuses(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",), vid="AWARE"))
    await agent.run(CreateNic(userid="LINUX01", vdev="1000"))
    assert (await agent.refused(CreateNic(userid="LINUX01", vdev="1000"))).code == "device-exists"
    unknown = await agent.refused(CoupleNic(userid="LINUX01", vdev="2000", vswitch="VSW1"))
    assert (unknown.status, unknown.code) == (404, "nic-unknown")
    off = await agent.refused(CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1", active=True))
    assert (off.status, off.code) == (409, "guest-inactive")
    await agent.run(CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1", vlan=12))
    nics = [line for line in (await agent.client.guest("LINUX01"))["entry"] if line.startswith("NICDEF")]  # type: ignore[union-attr]
    assert len(nics) == 1
    assert "LAN SYSTEM VSW1" in nics[0]  # type: ignore[operator]
    assert "VLAN 12" in nics[0]  # type: ignore[operator]
    await agent.run(UncoupleNic(userid="LINUX01", vdev="1000"))
    await agent.run(UncoupleNic(userid="LINUX01", vdev="1000"))
    await agent.run(SetVswitchVlan(name="VSW1", userid="LINUX01", vlan=12))
    switch = await agent.client.vswitch("VSW1")
    assert [user["grant_userid"] for user in switch["authorized_users"]] == ["LINUX01"]  # type: ignore[union-attr,index,call-overload]
    await agent.run(RevokeVswitch(name="VSW1", userid="LINUX01"))
    assert (await agent.refused(GrantVswitch(name="NOSW", userid="LINUX01"))).code == "vswitch-unknown"
    assert (await agent.refused(CreateVswitch(name="VSW1"))).code == "vswitch-exists"
    await agent.run(DeleteNic(userid="LINUX01", vdev="1000"))
    assert (await agent.run(DeleteNic(userid="LINUX01", vdev="1000"))).result == {"vdev": "1000", "existed": False}
    await agent.run(DeleteVswitch(name="VSW1"))
    await agent.run(DeleteVswitch(name="VSW1"))
    with pytest.raises(ZhcpError, match="vswitch-unknown"):
        await agent.client.vswitch("VSW1")


async def test_a_live_coupling_that_is_refused_leaves_the_entry_as_it_was(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    await agent.run(CreateNic(userid="LINUX01", vdev="1000"))
    await agent.run(StartGuest(userid="LINUX01"))
    before = (await agent.client.guest("LINUX01"))["entry"]
    problem = await agent.refused(CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1", active=True))
    assert problem.status in (404, 409)
    assert problem.smapi is not None
    assert (await agent.client.guest("LINUX01"))["entry"] == before
    await agent.run(GrantVswitch(name="VSW1", userid="LINUX01"))
    await agent.run(CoupleNic(userid="LINUX01", vdev="1000", vswitch="VSW1", active=True))


async def test_the_sample_boots_and_an_empty_disk_does_not(agent: Agent, tmp_path: Path) -> None:
    await agent.run(agent.guest())
    await agent.run(StartGuest(userid="LINUX01"))
    await asyncio.sleep(0.2)
    with pytest.raises(ZhcpError) as caught:
        await agent.client.command("LINUX01", "uname -srm", epoch=1)
    assert caught.value.problem.code == "guest-unreachable"
    await agent.run(StopGuest(userid="LINUX01"))
    await agent.run(agent.write_image())
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)
    rc, output = await agent.client.command("LINUX01", "uname -srm", epoch=1)
    assert (rc, output.strip()) == (0, f"Linux {sample.KERNEL_RELEASE} s390x")


@pytest.mark.parametrize("agent", [{"asynchronous": True}], indirect=True)
async def test_directory_work_in_the_background_is_followed_to_its_end(agent: Agent) -> None:
    created = await agent.run(agent.guest())
    assert created.result is not None
    assert (await agent.client.guest("LINUX01"))["power_state"] == "off"
    assert all(call.rc in (0, 400) for call in created.calls if call.kind == "smapi")
    await agent.run(DeleteGuest(userid="LINUX01"))
    assert {"userid": "LINUX01"} not in await agent.client.guests()


async def test_deleting_a_running_guest_logs_it_off_and_forgets_its_rights(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    await agent.run(GrantVswitch(name="VSW1", userid="LINUX01"))
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)
    deleted = await agent.run(DeleteGuest(userid="LINUX01"))
    assert deleted.result == {"userid": "LINUX01", "existed": True}
    again = await agent.run(DeleteGuest(userid="LINUX01"))
    assert again.result == {"userid": "LINUX01", "existed": False}
    assert (await agent.client.vswitch("VSW1"))["authorized_users"] == []
    with pytest.raises(ZhcpError, match="guest-unknown"):
        await agent.client.console("LINUX01")


async def test_guests_made_at_the_same_time_share_a_pool_without_overlap(agent: Agent) -> None:
    names = [f"LINUX{number:02}" for number in range(8)]
    await asyncio.gather(*(agent.run(agent.guest(name), step=name) for name in names))
    used = (await agent.client.pool("POOL1"))["used_extents"]
    assert isinstance(used, list)
    disks = [disk for disk in used if isinstance(disk, dict)]
    assert sorted(str(disk["owner"]) for disk in disks) == names
    extents = sorted((str(d["volume"]), int(str(d["start"])), int(str(d["size"]))) for d in disks)
    assert len(extents) == 8
    for (volume, start, size), (next_volume, next_start, _) in pairwise(extents):
        assert volume != next_volume or start + size <= next_start
    await asyncio.gather(*(agent.run(DeleteGuest(userid=name), step=f"delete-{name}") for name in names))
    assert (await agent.client.pool("POOL1"))["used"] == 0


async def test_the_copy_tells_its_progress(agent: Agent) -> None:
    await agent.run(agent.guest())
    seen: list[tuple[float, str]] = []
    await agent.client.run(
        job="j",
        step="w",
        epoch=1,
        operation=agent.write_image(),
        progress=lambda o: seen.append((o.progress, o.detail)),
    )
    assert seen[-1] == (1.0, "wrote 5 cylinders to disk 0100 of LINUX01")
    assert [progress for progress, _ in seen] == sorted(progress for progress, _ in seen)


async def test_an_fba_disk_image_is_deployed_and_boots_an_unknown_system(agent: Agent) -> None:
    content = b"\0\x08" + bytes(510) + b"fba " * 128 * 99
    image = agent.image.path.with_name("fba")
    image.write_bytes(header.render(header.ImageHeader(header.ImageKind.FBA_DISK, 100, 6)) + gzip.compress(content))
    disk = NewDisk(vdev="0100", size_units=4096, type="FBA", pool="FBAPOOL")
    await agent.run(agent.guest("LINUX01", disk))
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    written = await agent.run(agent.write_image(url=image.as_uri(), sha256=digest, bytes=image.stat().st_size))
    assert written.result is not None
    assert (written.result["kind"], written.result["units"], written.result["bootable"]) == ("FBA", 100, True)
    async with linked(agent.runner.context("test"), "LINUX01", "0100", write=False) as (_, path):
        with FbaDisk(path) as fba:
            assert fba.read(0, 100) == content
    eckd = await agent.refused(agent.write_image())
    assert eckd.code == "image-kind-mismatch"


async def test_a_disk_linked_by_another_guest_is_not_overwritten(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.runner.machine.cp("LINK LINUX01 0100 AS E000 RR")
    problem = await agent.refused(agent.write_image())
    assert (problem.status, problem.code) == (409, "disk-in-use")
    await agent.runner.machine.cp("DETACH E000")
    async with linked(agent.runner.context("test"), "LINUX01", "0100", write=False) as (_, path):
        with EckdDisk(path) as disk:
            assert disk.sha256(5) == agent.image.content_sha256


async def test_an_unknown_disk_and_an_unknown_guest_are_named(agent: Agent) -> None:
    await agent.run(agent.guest())
    disk = await agent.refused(agent.write_image(vdev="0999"))
    assert (disk.status, disk.code) == (404, "disk-unknown")
    assert disk.cp is not None
    guest = await agent.refused(agent.write_image("NOBODY"))
    assert (guest.status, guest.code) == (404, "guest-unknown")
    punched = await agent.refused(PunchFiles(userid="NOBODY", files=(ReaderFile(name="a", data="eA=="),)))
    assert (punched.status, punched.code) == (404, "guest-unknown")
    assert await agent.runner.machine.reader() == ()
