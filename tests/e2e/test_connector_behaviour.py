"""What clients wait for, seen from the outside: a guest that goes and comes back, and what it was told meanwhile."""

from __future__ import annotations

import time

from e2e.conftest import Cloud


def reachable(cloud: Cloud, userid: str) -> bool:
    with cloud.stack.machine() as zhcp:
        return zhcp.try_guest(userid, "echo ping")


def console(cloud: Cloud, userid: str, logins: int) -> str:
    """The console once it shows so many login lines."""
    deadline = time.monotonic() + 20
    while True:
        text = str(cloud.done("guest_get_console_output", userid))
        if text.count(" login:") >= logins:
            return text
        assert time.monotonic() < deadline, text
        time.sleep(0.1)


def test_a_soft_stop_makes_a_guest_unreachable_and_a_start_reachable_again(cloud: Cloud) -> None:
    cloud.started("behave1")
    assert cloud.done("guest_get_info", "behave1")["kernel_info"].startswith("Linux ")
    cloud.done("guest_softstop", "behave1", timeout=30, poll_interval=1)
    assert not reachable(cloud, "BEHAVE1")
    assert cloud.done("guest_get_power_state", "behave1") == "off"
    assert cloud.done("guest_get_info", "behave1")["kernel_info"] == ""
    cloud.done("guest_softstop", "behave1", timeout=30, poll_interval=1)
    cloud.done("guest_start", "behave1", timeout=60)
    assert reachable(cloud, "BEHAVE1"), "a start with a timeout waits until the guest can be reached"
    cloud.done("guest_start", "behave1")
    cloud.done("guest_delete", "behave1")


def test_a_reboot_and_a_reset_boot_again_and_the_console_goes_on(cloud: Cloud) -> None:
    cloud.started("behave2")
    first = console(cloud, "behave2", 1)
    cloud.done("guest_reboot", "behave2")
    cloud.up("BEHAVE2")
    second = console(cloud, "behave2", 2)
    assert second.startswith(first), "what was there is still there, and more follows"
    assert second.count("Linux version") == 2
    cloud.done("guest_reset", "behave2")
    cloud.up("BEHAVE2")
    third = console(cloud, "behave2", 3)
    assert third.startswith(second)
    assert cloud.done("guest_get_console_output", "behave2") == third, "reading it does not add to it"
    cloud.done("guest_delete", "behave2")


def test_a_paused_guest_does_not_answer_until_it_goes_on(cloud: Cloud) -> None:
    cloud.started("behave3")
    cloud.done("guest_pause", "behave3")
    assert not reachable(cloud, "BEHAVE3")
    assert cloud.done("guest_get_power_state", "behave3") == "on"
    cloud.done("guest_unpause", "behave3")
    cloud.up("BEHAVE3")
    cloud.done("guest_delete", "behave3")


def test_a_disk_is_configured_at_the_next_boot_and_in_a_guest_that_runs_at_once(cloud: Cloud) -> None:
    cloud.deployed("behave4")
    (disk,) = cloud.done("guest_create_disks", "behave4", [{"size": "5", "format": "ext4"}])
    cloud.done("guest_config_minidisks", "behave4", [{"vdev": disk["vdev"], "format": "ext4", "mntdir": "/mnt/data"}])
    cloud.done("guest_start", "behave4", timeout=60)
    booted = console(cloud, "behave4", 1)
    assert booted.lower().count("aemod.doscript: ") == 1
    (more,) = cloud.done("guest_create_disks", "behave4", [{"size": "5", "format": "ext4"}])
    cloud.done("guest_config_minidisks", "behave4", [{"vdev": more["vdev"], "format": "ext4", "mntdir": "/mnt/more"}])
    later = console(cloud, "behave4", 1).removeprefix(booted)
    assert later.lower().count("aemod.doscript: ") == 1, "a guest that runs takes it from its reader at once"
    assert cloud.refused("guest_delete_disks", "behave4", [more["vdev"]]) == (501, 501, 1), "not while it runs"
    cloud.done("guest_delete", "behave4")


def test_a_started_guest_shows_its_address_within_a_minute(cloud: Cloud) -> None:
    cloud.done("vswitch_create", "BEHAVESW", rdev="0630")
    cloud.deployed("behave5")
    network = {"ip_addr": "192.0.2.51", "cidr": "192.0.2.0/24", "gateway_addr": "192.0.2.1"}
    cloud.done("guest_create_network_interface", "behave5", "rhel8.6", [network])
    cloud.done("guest_nic_couple_to_vswitch", "behave5", "1000", "BEHAVESW")
    cloud.done("vswitch_grant_user", "BEHAVESW", "behave5")
    assert cloud.refused("guest_get_adapters_info", "behave5") == (300, 300, 5), "a guest that is off has none"
    cloud.done("guest_start", "behave5")
    deadline = time.monotonic() + 60
    while True:
        (adapter,) = cloud.done("guest_get_adapters_info", "behave5")["adapters"]
        if adapter.get("mac_ip_address"):
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert adapter["mac_ip_address"] == "192.0.2.51"
    assert "192.0.2.51/24" in cloud.inside("BEHAVE5", "ip -o addr")
    cloud.done("guest_delete", "behave5")
    cloud.done("vswitch_delete", "BEHAVESW")


def test_an_interface_is_configured_in_a_guest_that_runs(cloud: Cloud) -> None:
    cloud.done("vswitch_create", "BEHAVES6", rdev="0633")
    cloud.started("behave6")
    network = {"ip_addr": "192.0.2.61", "cidr": "192.0.2.0/24", "gateway_addr": "192.0.2.1"}
    (made,) = cloud.done("guest_create_network_interface", "behave6", "rhel8.6", [network], active=True)
    cloud.done("vswitch_grant_user", "BEHAVES6", "behave6")
    cloud.done("guest_nic_couple_to_vswitch", "behave6", made["nic_vdev"], "BEHAVES6", active=True)
    assert "192.0.2.61/24" in cloud.inside("BEHAVE6", "ip -o addr")
    (adapter,) = cloud.done("guest_get_adapters_info", "behave6")["adapters"]
    assert (adapter["lan_name"], adapter["mac_ip_address"]) == ("BEHAVES6", "192.0.2.61")
    cloud.done("guest_delete", "behave6")
    cloud.done("vswitch_delete", "BEHAVES6")
