"""Resizing with the unmodified client: the directory entry and the running guest show it."""

from __future__ import annotations

from e2e.conftest import Cloud


def online(cloud: Cloud, userid: str) -> int:
    return sum(line.isdecimal() for line in cloud.inside(userid, "lscpu --parse=ADDRESS").split())


def test_processors_and_memory_of_a_running_guest_grow_and_last(cloud: Cloud) -> None:
    cloud.started("resize1", max_cpu=4, max_mem="4G")
    cloud.done("guest_live_resize_cpus", "resize1", 4)
    assert online(cloud, "RESIZE1") == 4
    cloud.done("guest_live_resize_mem", "resize1", "2g")
    assert str(2 * 2**30) in cloud.inside("RESIZE1", "lsmem -b")
    entry = cloud.stack.entry("RESIZE1")
    assert entry[0].split()[3] == "2G"
    assert sum("DEFINE CPU" in line for line in entry) == 4
    assert cloud.done("guest_get_info", "resize1")["num_cpu"] == 4
    cloud.done("guest_stop", "resize1")
    cloud.done("guest_start", "resize1")
    cloud.up("RESIZE1")
    assert online(cloud, "RESIZE1") == 4
    assert str(2 * 2**30) in cloud.inside("RESIZE1", "lsmem -b")
    cloud.done("guest_delete", "resize1")


def test_a_guest_that_is_off_is_resized_for_its_next_logon(cloud: Cloud) -> None:
    cloud.done("guest_create", "resize2", 1, 512, disk_list=[], max_cpu=4, max_mem="2G")
    cloud.done("guest_resize_cpus", "resize2", 3)
    cloud.done("guest_resize_mem", "resize2", "1g")
    entry = cloud.stack.entry("RESIZE2")
    assert entry[0].split()[3] == "1G"
    assert sum("DEFINE CPU" in line for line in entry) == 3
    cloud.done("guest_grow_root_volume", "resize2", "RHEL8.6")
    cloud.done("guest_delete", "resize2")


def test_what_the_entry_does_not_allow_is_refused_and_changes_nothing(cloud: Cloud) -> None:
    cloud.done("guest_create", "resize3", 1, 512, disk_list=[], max_cpu=4, max_mem="2G")
    before = cloud.stack.entry("RESIZE3")
    assert cloud.refused("guest_resize_cpus", "resize3", 5) == (409, 409, 4)
    assert cloud.refused("guest_resize_mem", "resize3", "3g") == (409, 409, 20)
    assert cloud.refused("guest_live_resize_cpus", "resize3", 2) == (409, 409, 1)
    assert cloud.refused("guest_live_resize_mem", "resize3", "1g") == (409, 409, 1)
    assert cloud.refused("guest_resize_cpus", "nobody", 2)[0] == 404
    assert cloud.stack.entry("RESIZE3") == before
    cloud.done("guest_delete", "resize3")
