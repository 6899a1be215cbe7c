"""What nova and placement are told of the system, the option group, and a manager that is lost."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import nova.conf
import pytest
from nova import exception
from nova.compute import provider_tree
from nova.virt import driver as virt

from nova_world import Compute, VirtApi
from zvmcloud.openstack.nova import options

CONF = nova.conf.CONF


def test_resources_are_those_of_zvm(compute: Compute) -> None:
    found = compute.driver.get_available_resource("VM1")
    host = compute.client.ask("GET", "/systems/VM1/host")
    ifls = [item for item in host["processors"] if item["type"] == "IFL"]
    assert found["vcpus"] == len(ifls)
    assert found["memory_mb"] == host["memory_mb"]
    assert found["local_gb"] > found["local_gb_used"] >= 0
    assert found["hypervisor_hostname"] == "VM1"
    assert found["hypervisor_version"] == 720
    assert found["supported_instances"] == [("s390x", "zvm", "hvm")]
    assert json.loads(found["cpu_info"])["arch"] == "s390x"
    assert found["stats"]["ssi_cluster"] == "SSI"
    assert compute.driver.get_host_uptime().startswith("IPL at ")
    assert compute.driver.get_available_nodes() == ["VM1"]


def test_placement_gets_processors_memory_pools_and_traits(compute: Compute) -> None:
    tree = provider_tree.ProviderTree()
    tree.new_root("VM1", str(uuid.uuid4()))
    tree.add_traits("VM1", "CUSTOM_ZVM_SSI_OLD", "HW_CPU_X86_AVX")
    compute.driver.update_provider_tree(tree, "VM1")
    data = tree.data("VM1")
    assert data.inventory["VCPU"]["total"] == 4
    assert data.inventory["VCPU"]["allocation_ratio"] == CONF.initial_cpu_allocation_ratio
    assert data.inventory["MEMORY_MB"]["reserved"] == CONF.reserved_host_memory_mb
    (pool,) = [pool for pool in compute.client.ask("GET", "/systems/VM1/host")["pools"] if pool["default"]]
    disk = data.inventory["DISK_GB"]
    assert (disk["total"], disk["max_unit"]) == (pool["total"] // 2**30, pool["largest"] // 2**30)
    assert disk["max_unit"] < disk["total"], "no disk is larger than the largest free area"
    assert data.inventory["CUSTOM_ZVM_POOL_FBAPOOL_GB"]["total"] > 0
    assert data.traits == {"CUSTOM_ZVM_7", "CUSTOM_ZVM_IFL", "CUSTOM_ZVM_SSI_SSI", "HW_CPU_X86_AVX"}


def test_the_disk_of_a_server_is_used_room(compute: Compute) -> None:
    before = compute.driver.get_available_resource("VM1")
    server = compute.spawn(compute.instance(root_gb=3), power_on=False)
    after = compute.driver.get_available_resource("VM1")
    compute.driver.destroy(compute.context, server, None)
    assert after["local_gb_used"] - before["local_gb_used"] in {3, 4}
    assert after["disk_available_least"] == after["local_gb"] - after["local_gb_used"]


def test_diagnostics_of_a_running_server(compute: Compute) -> None:
    server = compute.spawn(compute.instance(vcpus=2))
    found = compute.driver.get_instance_diagnostics(server)
    assert (found.state, found.hypervisor, len(found.cpu_details), found.num_disks) == ("running", "zvm", 2, 1)
    assert compute.driver.get_diagnostics(server)["userid"] == compute.userid(server)
    compute.driver.destroy(compute.context, server, None)


def test_a_manager_that_is_lost_is_tried_again_and_then_reported(
    compute: Compute, monkeypatch: pytest.MonkeyPatch, configured: Callable[[str], None]
) -> None:
    CONF.set_override("url", "http://127.0.0.1:1", group="zvmcloud")
    CONF.set_override("retries", 2, group="zvmcloud")
    pauses: list[float] = []
    driver = virt.load_compute_driver(VirtApi(), "zvmcloud.ZVMCloudDriver")
    monkeypatch.setattr(driver._connected().client, "_sleep", pauses.append)
    with pytest.raises(exception.HypervisorUnavailable):
        driver.init_host("compute1")
    assert len(pauses) == 2
    with pytest.raises(exception.NovaException, match="the manager is not to be reached"):
        driver.list_instance_uuids()
    assert len(pauses) == 4
    driver.cleanup_host("compute1")
    configured("VM1")


def test_a_system_that_the_manager_does_not_know_is_told_at_the_start(
    compute: Compute, configured: Callable[[str], None]
) -> None:
    configured("NOSUCH")
    driver = virt.load_compute_driver(VirtApi(), "zvmcloud.ZVMCloudDriver")
    try:
        with pytest.raises(exception.HypervisorUnavailable) as refused:
            driver.init_host("compute1")
        assert "NOSUCH" in str(refused.value.__cause__)
    finally:
        driver.cleanup_host("compute1")
        configured("VM1")


def test_options_are_there_for_the_config_generator() -> None:
    ((group, found),) = options.list_opts()
    assert group == "zvmcloud"
    assert {option.name for option in found} >= {"url", "token_file", "system", "disk_pool", "userid_prefix"}
    assert all(option.help for option in found)
