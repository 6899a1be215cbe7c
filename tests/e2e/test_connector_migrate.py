"""Migration and registration with the unmodified client."""

from __future__ import annotations

from e2e.conftest import Cloud


def test_on_a_single_system_a_move_is_refused_with_z_vms_codes(cloud: Cloud) -> None:
    cloud.started("migrate1")
    overall, _, _ = cloud.refused("guest_live_migrate", "migrate1", "ZHCP", "VM2", {"maxtotal": 60}, "test")
    assert overall == 8
    overall, _, _ = cloud.refused("guest_live_migrate", "migrate1", "ZHCP", "VM2", {}, "move")
    assert overall == 8
    assert cloud.done("guest_get_power_state", "migrate1") == "on"
    cloud.done("guest_stop", "migrate1")
    assert cloud.refused("guest_live_migrate", "migrate1", "ZHCP", "VM2", {}, "move") == (409, 409, 1)
    cloud.done("guest_delete", "migrate1")


def test_a_guest_is_given_up_and_taken_over_again(cloud: Cloud) -> None:
    cloud.done("guest_create", "register", 1, 512, disk_list=[])
    cloud.done("guest_create_nic", "register", vdev="1000", mac_addr="02:00:00:AA:BB:01")
    entry = cloud.stack.entry("REGISTER")
    cloud.done("guest_deregister", "register")
    assert "REGISTER" not in cloud.done("guest_list")
    assert cloud.stack.entry("REGISTER") == entry
    cloud.done("guest_register", "register", "os_version=rhel8.6", "1", {"port-9": "02:00:00:AA:BB:01"})
    assert "REGISTER" in cloud.done("guest_list")
    (nic,) = cloud.done("guests_get_nic_info", userid="register")
    assert (nic["interface"], nic["port"]) == ("1000", "port-9")
    cloud.done("guest_delete", "register")
    assert cloud.refused("guest_register", "nobody", "os_version=rhel8.6", "1")[0] in (8, 404)
