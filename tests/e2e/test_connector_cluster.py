"""Several z/VM systems behind one manager, each with its own unmodified client: an SSI cluster, end to end."""

from __future__ import annotations

import httpx

from e2e.conftest import Cloud


def test_each_system_has_its_own_port_and_a_path_of_the_default_port(one: Cloud, two: Cloud) -> None:
    assert [system["name"] for system in one.stack.facts["systems"]] == ["VM1", "VM2", "VM3", "VM4"]
    assert one.done("host_get_info")["hypervisor_hostname"] == "VM1"
    assert two.done("host_get_info")["hypervisor_hostname"] == "VM2"
    base = one.stack.facts["connector"]
    for name in ("VM1", "VM2", "vm4"):
        host = httpx.get(f"{base}/systems/{name}/host", timeout=30).json()["output"]
        assert host["hypervisor_hostname"] == name.upper()
    unknown = httpx.get(f"{base}/systems/VM9/host")
    assert unknown.status_code == 404
    assert "VM9" in unknown.json()["errmsg"]
    members = "\n".join(one.done("host_get_ssi_info"))
    assert all(f"member_system_id = {name}" in members for name in ("VM1", "VM2", "VM3", "VM4"))


def test_a_client_sees_the_guests_of_its_own_system_only(one: Cloud, two: Cloud) -> None:
    one.done("guest_create", "own1", 1, 512, disk_list=[])
    two.done("guest_create", "own2", 1, 512, disk_list=[])
    assert one.done("guest_list") == ["OWN1"]
    assert two.done("guest_list") == ["OWN2"]
    assert one.refused("guest_get_power_state", "own2") == (404, 404, 1)
    assert one.refused("guest_create", "own2", 1, 512, disk_list=[])[0] == 8, "the directory is the cluster's"
    one.done("guest_start", "own1")
    assert one.done("guest_get_power_state", "own1") == "on"
    assert not two.stack.is_on("OWN1")
    one.done("guest_delete", "own1")
    two.done("guest_delete", "own2")


def test_a_running_guest_moves_and_is_taken_over_by_the_other_systems_client(one: Cloud, two: Cloud) -> None:
    one.started("mover")
    name = one.inside("MOVER", "hostname")
    one.done("guest_live_migrate", "mover", "ZHCP", "VM2", {}, "test")
    assert one.stack.is_on("MOVER"), "a test moves nothing"
    one.done("guest_live_migrate", "mover", "ZHCP", "VM2", {"maxtotal": 120, "maxquiesce": 30}, "move")
    assert not one.stack.is_on("MOVER")
    assert two.stack.is_on("MOVER")
    assert two.inside("MOVER", "hostname") == name, "it runs on"
    assert "MOVER" not in two.done("guest_list")
    two.done("guest_register", "mover", "os_version=rhel8.6", "0")
    assert two.done("guest_list") == ["MOVER"]
    assert two.done("guest_get_power_state", "mover") == "on"
    assert two.done("guest_get_info", "mover")["num_cpu"] == 2
    one.done("guest_deregister", "mover")
    assert one.done("guest_list") == []
    assert one.refused("guest_live_migrate", "mover", "ZHCP", "VM2", {}, "move") == (404, 404, 1)

    two.done("guest_live_migrate", "mover", "ZHCP", "VM1", {}, "move")
    one.done("guest_register", "mover", "os_version=rhel8.6", "0")
    assert one.done("guest_get_power_state", "mover") == "on"
    two.done("guest_deregister", "mover")
    one.done("guest_stop", "mover")
    one.done("guest_delete", "mover")
    assert not one.stack.exists("MOVER")


def test_what_stands_against_a_move_is_said_and_nothing_moves(one: Cloud, two: Cloud) -> None:
    one.done("guest_create", "stays", 1, 512, disk_list=[])
    one.done("guest_start", "stays")
    assert one.refused("guest_live_migrate", "stays", "ZHCP", "NOWHERE", {}, "move")[0] == 8
    one.done("guest_stop", "stays")
    assert one.refused("guest_live_migrate", "stays", "ZHCP", "VM2", {}, "move") == (409, 409, 1)
    assert not two.stack.is_on("STAYS")
    one.done("guest_delete", "stays")
