"""Local disks of servers: root, ephemeral and swap; what is on them, and what happens when there is no room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from nova import exception

from nova_world import Compute, local_disks, until
from zvmcloud.client import change
from zvmcloud.images import cdl
from zvmcloud.images.diskfile import EckdDisk

pytestmark = pytest.mark.usefixtures("nothing_left")

EXT4, SWAP, XFS = (1080, b"\x53\xef"), (4086, b"SWAPSPACE2"), (0, b"XFSB")
"""What a partition with such a content has, and where."""
CYLINDER = 15 * 12 * 4096
"""Bytes of a 3390 cylinder in blocks of 4 KiB."""


@contextmanager
def partition(compute: Compute, userid: str, vdev: str) -> Iterator[tuple[int, bytes]]:
    """Bytes of the first partition of a minidisk, and its first 4 KiB."""
    with compute.stack.machine() as zhcp:
        zhcp.cp(f"LINK {userid} {vdev} 0F00 RR")
        try:
            with EckdDisk(zhcp.devices / "0.0.0f00") as disk:
                (only,) = cdl.partitions(disk)
                yield only.blocks * 4096, cdl.PartitionBlocks(disk, only).read(0)
        finally:
            zhcp.cp("DETACH 0F00")


def holds(compute: Compute, userid: str, vdev: str, content: tuple[int, bytes], size: int) -> bool:
    """Whether a disk has that content, and at least ``size`` bytes for it."""
    at, magic = content
    with partition(compute, userid, vdev) as (room, first):
        return room >= size * 0.99 and first[at : at + len(magic)] == magic


def vdevs(compute: Compute, userid: str) -> list[str]:
    return [line.split()[1] for line in compute.stack.entry(userid) if line.startswith("MDISK")]


def test_the_flavors_ephemeral_and_swap_disk_are_made_and_formatted(compute: Compute) -> None:
    server = compute.spawn(compute.instance(ephemeral_gb=1, swap=64), power_on=False)
    userid = compute.userid(server)
    assert vdevs(compute, userid) == ["0100", "0101", "0102"]
    assert holds(compute, userid, "0101", EXT4, 1 << 30)
    assert holds(compute, userid, "0102", SWAP, 64 << 20)
    compute.driver.destroy(compute.context, server, None)
    assert not compute.stack.exists(userid), "its disks went with it"


def used(compute: Compute, userid: str) -> set[tuple[str, str]]:
    """What the guest's Linux has mounted or swaps on, beside its root: virtual device and place."""
    with compute.stack.machine() as zhcp:
        disks = {row.split()[2]: row.split()[0][-4:] for row in zhcp.guest(userid, "lsdasd").splitlines()[1:]}
        rows = [row.removeprefix("└─").split() for row in zhcp.guest(userid, "lsblk -n").splitlines()]
    return {(disks[row[0][:-1]], row[3]) for row in rows if row[2] == "part" and row[3] != "/"}


@pytest.mark.parametrize("kind", ["SOFT", "HARD"])
def test_a_server_has_its_ephemeral_and_swap_disks_mounted_after_each_boot(compute: Compute, kind: str) -> None:
    server = compute.instance()
    wanted = local_disks(compute.context, server, [(1, "xfs"), (1, None)], swap=32)
    compute.spawn(server, block_device_info=wanted)
    userid = compute.userid(server)
    compute.up(userid)
    mounted = {("0101", "/mnt/ephemeral0101"), ("0102", "/mnt/ephemeral0102"), ("0103", "[SWAP]")}
    assert used(compute, userid) == mounted
    with compute.stack.machine() as zhcp:
        zhcp.guest(userid, "umount /mnt/ephemeral0102")
    assert used(compute, userid) == mounted - {("0102", "/mnt/ephemeral0102")}
    compute.driver.reboot(compute.context, server, None, kind)
    compute.up(userid)
    until(lambda: used(compute, userid) == mounted, "mounted again")


def test_ephemeral_disks_of_several_kinds_and_a_swap_disk_come_as_they_were_ordered(compute: Compute) -> None:
    server = compute.instance(ephemeral_gb=2, swap=128)
    wanted = local_disks(compute.context, server, [(1, "xfs"), (1, None)], swap=32)
    compute.spawn(server, block_device_info=wanted, power_on=False)
    userid = compute.userid(server)
    assert vdevs(compute, userid) == ["0100", "0101", "0102", "0103"]
    assert holds(compute, userid, "0101", XFS, 1 << 30)
    assert holds(compute, userid, "0102", EXT4, 1 << 30)
    assert holds(compute, userid, "0103", SWAP, 32 << 20)


def test_a_format_that_zvm_does_not_make_ends_the_build_before_anything_is_made(compute: Compute) -> None:
    server = compute.instance()
    wanted = local_disks(compute.context, server, [(1, "ntfs")])
    with pytest.raises(exception.BuildAbortException, match=r"ntfs"):
        compute.spawn(server, block_device_info=wanted)
    assert not compute.driver.instance_exists(server)


@pytest.mark.parametrize("swap", [0, 64], ids=["ephemeral", "swap"])
def test_a_disk_that_zvm_refuses_leaves_nothing(compute: Compute, swap: int) -> None:
    server = compute.instance()
    userid = next(compute.driver._servers.userids(server))
    wanted = local_disks(compute.context, server, [] if swap else [(1, None)], swap=swap)
    refusal = {"function": "Image_Disk_Create_DM", "target": userid, "skip": 1, "rc": 596, "rs": 1139}
    with compute.stack.fault(**refusal) as struck:
        with pytest.raises(exception.NovaException, match=r"596.*1139"):
            compute.spawn(server, block_device_info=wanted)
        assert struck() == 1
    assert not compute.stack.exists(userid)
    assert not compute.driver.instance_exists(server)


def test_a_pool_that_is_full_between_nova_claim_and_spawn_sends_the_server_elsewhere(compute: Compute) -> None:
    found = compute.driver.get_available_resource("VM1")
    assert found["local_gb"] - found["local_gb_used"] >= 3, "nova claims 3 GB: there is room"
    server = compute.instance(root_gb=3)
    host = compute.client.ask("GET", "/systems/VM1/host")
    (pool,) = [pool for pool in host["pools"] if pool["default"]]
    volumes = (pool["total"] - pool["used"]) // pool["largest"]
    whole = {"size": str(pool["largest"] // CYLINDER)}
    change(compute.client, "POST", "/systems/VM1/guests", {"userid": "TAKER", "disks": [whole] * volumes})
    with pytest.raises(exception.ComputeResourcesUnavailable, match=rf"{pool['name']}.*To do: "):
        compute.spawn(server)
    assert not compute.driver.instance_exists(server)
