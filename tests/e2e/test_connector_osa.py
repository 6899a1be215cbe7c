"""OSA devices in guest_networks: three real devices become an adapter of the guest, and go back."""

from __future__ import annotations

from e2e.conftest import Cloud
from zvmcloud.smapi import functions as f

NET = {"ip_addr": "192.0.2.71", "cidr": "192.0.2.0/24", "gateway_addr": "192.0.2.1"}


def free(cloud: Cloud) -> list[str]:
    answer = cloud.stack.smapi(f.VirtualNetworkOSAQuery(target="MAINT"))
    rows = [row.split() for row in answer.reply.osa_info_array]
    return [words[0] for words in rows if words[1] == "FREE"]


def three_in_a_row(cloud: Cloud) -> list[str]:
    devices = sorted(free(cloud))
    return next(
        devices[at : at + 3] for at in range(len(devices) - 2) if int(devices[at + 2], 16) - int(devices[at], 16) == 2
    )


def dedicated(cloud: Cloud, userid: str) -> list[tuple[str, str]]:
    lines = [line.split() for line in cloud.stack.entry(userid) if line.startswith("DEDICATE")]
    return [(words[1].upper(), words[2].upper()) for words in lines]


def test_three_devices_are_given_to_a_running_guest_and_taken_back(cloud: Cloud) -> None:
    devices = three_in_a_row(cloud)
    cloud.started("osa1")
    network = {**NET, "nic_vdev": "2000", "osa_device": devices[0]}
    (made,) = cloud.done("guest_create_network_interface", "osa1", "rhel8.6", [network], active=True)
    assert made["nic_vdev"] == "2000"
    assert dedicated(cloud, "OSA1") == list(zip(("2000", "2001", "2002"), devices, strict=True))
    assert not set(devices) & set(free(cloud)), "the running guest has them"
    (row,) = cloud.done("guests_get_nic_info", userid="osa1")
    assert row["comments"] == f"OSA={devices[0]}"
    cloud.done("guest_delete_network_interface", "osa1", "rhel8.6", "2000", active=True)
    assert dedicated(cloud, "OSA1") == []
    assert set(devices) <= set(free(cloud))
    assert cloud.done("guests_get_nic_info", userid="osa1") == []
    cloud.done("guest_delete", "osa1")


def test_devices_that_are_not_free_are_refused_and_nothing_is_given(cloud: Cloud) -> None:
    devices = three_in_a_row(cloud)
    cloud.done("guest_create", "osa2", 1, 512, disk_list=[])
    for wrong in ("9990", max(free(cloud))):
        networks = [{"nic_vdev": "1000"}, {**NET, "nic_vdev": "2000", "osa_device": wrong}]
        answer = cloud.send("guest_create_network_interface", "osa2", "rhel8.6", networks)
        assert (answer["overallRC"], answer["modID"], answer["rc"], answer["rs"]) == (409, 20, 409, 14), answer
        assert "OSA device" in answer["errmsg"]
    assert dedicated(cloud, "OSA2") == []
    assert not [line for line in cloud.stack.entry("OSA2") if line.startswith("NICDEF")], "the other one is undone"
    assert set(devices) <= set(free(cloud))
    cloud.done("guest_delete", "osa2")
