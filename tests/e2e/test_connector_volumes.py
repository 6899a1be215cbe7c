"""FCP templates and volumes with the unmodified client: z/VM has the devices where the answers say."""

from __future__ import annotations

from typing import Any

from e2e.conftest import Cloud
from zvmcloud.smapi import functions as f

#: A target port and a disk of the simulated fabric.
PORT, LUN = "0x500507630708d3b3", "0x4000400100000000"


def connection(userid: str, fcps: list[str], **more: object) -> dict[str, Any]:
    return {
        "assigner_id": userid, "zvm_fcp": fcps, "target_wwpn": [PORT],
        "target_lun": LUN, "os_version": "rhel8.6", "multipath": True, "mount_point": "/dev/sdz",
        **more,
    }  # fmt: skip


def dedicated(cloud: Cloud, userid: str) -> list[str]:
    return [line.split()[1].lower() for line in cloud.stack.entry(userid) if line.startswith("DEDICATE")]


def test_a_volume_is_attached_to_a_running_guest_and_detached(cloud: Cloud) -> None:
    cloud.started("volume1")
    made = cloud.done(
        "create_fcp_template", "t1", description="d", fcp_devices="1a00-1a03;1b00-1b03", host_default=True,
        min_fcp_paths_count=2,
    )["fcp_template"]  # fmt: skip
    (listed,) = cloud.done("get_fcp_templates", template_id_list=[made["id"]])["fcp_templates"]
    assert listed["name"] == "t1"
    reserved = cloud.done("get_volume_connector", "volume1", reserve=True, fcp_template_id=made["id"])
    fcps = reserved["zvm_fcp"]
    assert len(fcps) == len(set(fcps)) == 2
    cloud.done("volume_attach", connection("volume1", fcps, fcp_template_id=made["id"]))
    assert sorted(dedicated(cloud, "VOLUME1")) == sorted(fcps)
    shown = cloud.inside("VOLUME1", f"lszfcp -l {LUN} -D | cut -d / -f 1 | sort").split()
    assert shown == [f"0.0.{fcp}" for fcp in sorted(fcps)], "the guest has the disk through both devices"
    assert cloud.inside("VOLUME1", "multipath -l -v 1") == "mpatha\n"
    assert cloud.done("get_fcp_usage", fcps[0]) == ["VOLUME1", 1, 1, made["id"]]
    (detail,) = cloud.done("get_fcp_templates_details", raw=True, statistics=True, sync_with_zvm=True)["fcp_templates"]
    assert {row[10] for row in detail["raw"]["0"]} == {"none", "VOLUME1"}
    assert cloud.refused("delete_fcp_template", made["id"]) == (409, 409, 22)
    cloud.done("volume_detach", connection("volume1", fcps))
    assert dedicated(cloud, "VOLUME1") == []
    assert cloud.inside("VOLUME1", "lsscsi") == ""
    unknown = cloud.send("volume_attach", {**connection("volume1", fcps), "target_wwpn": ["0x5005076802100c1a"]})
    assert (unknown["rc"], unknown["rs"]) == (300, 8), "no device reaches that port"
    back = cloud.done("get_volume_connector", "volume1", reserve=False, fcp_template_id=made["id"])
    assert back["is_reserved_changed"] is True
    cloud.done("edit_fcp_template", made["id"], name="renamed", storage_providers=["sp"])
    cloud.done("set_fcp_usage", "1a03", "VOLUME1", 0, 0, made["id"])
    cloud.done("delete_fcp_template", made["id"])
    assert cloud.refused("get_fcp_usage", "9999")[0] == 404
    cloud.done("guest_delete", "volume1")


def test_the_paths_of_a_boot_volume_are_those_of_the_fabric(cloud: Cloud) -> None:
    """The LUNs of the simulated fabric are asked for through SMAPI, as an operator would."""
    answer = cloud.stack.smapi(f.SystemFCPFreeQuery(target="MAINT", fcp_dev="1A00"))
    _, wwpn, lun, *_ = answer.reply.fcp_array[0].lower().split(";")
    found = cloud.done("volume_refresh_bootmap", fcpchannels=["1a00"], wwpn=[wwpn], lun=lun)
    assert found == {"1a00": [wwpn]}
    assert cloud.refused("volume_refresh_bootmap", fcpchannels=["1a00"], wwpn=[wwpn], lun="4" * 16) == (300, 300, 5)
