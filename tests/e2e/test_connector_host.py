"""The system through the unmodified client."""

from __future__ import annotations

import httpx

from e2e.conftest import Cloud


def test_the_system_tells_its_volumes_pools_cluster_and_health(cloud: Cloud) -> None:
    (name, *_) = cloud.done("host_get_diskpool_volumes", disk_pool="ECKD:POOL1")["diskpool_volumes"].split()
    volume = cloud.done("host_get_volume_info", volume=name)
    assert volume["volume_type"].startswith("3390")
    assert int(volume["volume_size"]) > 0
    assert cloud.refused("host_get_volume_info", volume="NONE00") == (404, 404, 2)
    pool = cloud.done("host_diskpool_get_info", disk_pool="ECKD:POOL1")
    assert pool["disk_total"] == pool["disk_used"] + pool["disk_available"] or pool["disk_total"] > 0
    url = f"{cloud.stack.facts['connector']}/host/diskpool"
    (areas,) = httpx.get(url, params={"poolname": "ECKD:POOL1", "details": "true"}).json()["output"].values()
    assert {area["volume_name"] for area in areas} >= {name}
    assert all(area["dasd_group"] == "POOL1" and int(area["start_cylinder"]) >= 0 for area in areas)
    assert isinstance(cloud.done("host_get_ssi_info"), list)
    health = httpx.get(f"{cloud.stack.facts['connector']}/smapi_health").json()["output"]
    assert health["healthy"] is True
    assert health["totalSuccess"] > 0
    assert health["lastSuccess"]


def test_statistics_of_a_running_guest_move(cloud: Cloud) -> None:
    network = {"ip_addr": "192.0.2.30", "cidr": "192.0.2.0/24", "gateway_addr": "192.0.2.1"}
    cloud.deployed("stats1")
    cloud.done("guest_create_network_interface", "stats1", "rhel8.6", [network])
    cloud.done("vswitch_create", "STATSW", rdev="1f00")
    cloud.done("vswitch_grant_user", "STATSW", "stats1")
    cloud.done("guest_nic_couple_to_vswitch", "stats1", "1000", "STATSW")
    assert cloud.done("guest_inspect_stats", "stats1") == {}, "a guest that is off has no figures"
    cloud.done("guest_start", "stats1")
    cloud.up("STATS1")
    (first,) = cloud.done("guest_inspect_stats", "stats1").values()
    (nic,) = cloud.done("guest_inspect_vnics", "stats1")["STATS1"]
    assert (nic["vswitch_name"], nic["nic_vdev"]) == ("STATSW", "1000")
    cloud.inside("STATS1", "dd if=/dev/zero of=/tmp/x bs=4k count=2000")
    cloud.inside("STATS1", "iperf3 -c 192.0.2.1 -t 2")
    deadline = 50
    while deadline:
        (later,) = cloud.done("guest_inspect_stats", "stats1").values()
        (moved,) = cloud.done("guest_inspect_vnics", "stats1")["STATS1"]
        if later["used_cpu_time_us"] > first["used_cpu_time_us"] and moved["nic_tx"] > nic["nic_tx"]:
            break
        deadline -= 1
    assert deadline, "neither processor time nor traffic moved"
    assert later["elapsed_cpu_time_us"] >= first["elapsed_cpu_time_us"]
    assert later["guest_cpus"] == 2
    assert 0 < later["used_mem_kb"] <= later["max_mem_kb"]
    cloud.done("guest_delete", "stats1")
    cloud.done("vswitch_delete", "STATSW")
