"""Every call that zVMCloudConnector 1.6.3 knows, unmodified, on a running stack: once with success, and refused.

The lists are compared with the client's own list of calls, so none can be missed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Cloud
from zvmcloud.smapi import functions as f

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from zvmconnector.restclient import DATABASE

NET = {"ip_addr": "192.0.2.77", "gateway_addr": "192.0.2.1", "cidr": "192.0.2.0/24"}

WITHOUT_ANSWER = {"token_create"}
"""POST /token answers with a header and no body; this client takes that for a failure, as it does with Feilong."""


class Recorder:
    """Makes calls that must succeed and notes which."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.called: set[str] = set()

    def __call__(self, api: str, *args: object, **kwargs: object) -> Any:
        self.called.add(api)
        return self.cloud.done(api, *args, **kwargs)


def test_every_call_succeeds(one: Cloud, two: Cloud, tmp_path: Path) -> None:
    call = Recorder(one)
    _host(call)
    _files_and_images(call, tmp_path)
    _guest(call)
    _networks(call)
    _volumes(call)
    call("guest_live_migrate", "every1", "ZHCP", "VM2", {}, "test")
    call("guest_deregister", "every1")
    call("guest_register", "every1", "os_version=rhel8.6", "0")
    call("guest_stop", "every1", timeout=30, poll_interval=1)
    assert call("guest_get_power_state", "every1") == "off"
    call("guest_delete", "every1")
    assert not one.stack.exists("EVERY1")
    answer = one.send("token_create")
    assert (answer["overallRC"], answer["rs"]) == (101, 3)
    assert set(DATABASE) - call.called == WITHOUT_ANSWER


def _host(call: Recorder) -> None:
    assert call("version")["api_version"] == "1.0"
    host = call("host_get_info")
    assert host["hypervisor_hostname"] == "VM1"
    assert {"vcpus", "memory_mb", "disk_total", "disk_available", "cpu_info", "ipl_time"} <= set(host)
    assert "MAINT" in call("host_get_guest_list")
    assert call("host_get_diskpool_volumes", disk_pool="ECKD:POOL1")["diskpool_volumes"].split()
    assert call("host_diskpool_get_info", disk_pool="ECKD:POOL1")["disk_total"] > 0
    name = call("host_get_diskpool_volumes")["diskpool_volumes"].split()[0]
    assert call("host_get_volume_info", volume=name)
    assert "ssi_name = SSI" in call("host_get_ssi_info")


def _files_and_images(call: Recorder, folder: Path) -> None:
    (folder / "file").write_bytes(b"content")
    sent = call("file_import", str(folder / "file"))
    assert sent["filesize_in_bytes"] == 7
    back = call("file_export", sent["dest_url"].removeprefix("file://"))
    assert Path(back["dest_url"].removeprefix("file://")).read_bytes() == b"content"
    here = {"remote_host": "nova@127.0.0.1"}
    call("image_import", "every", f"file://{call.cloud.image['path']}", {"os_version": "rhel8.6"}, **here)
    assert call("image_query", imagename="every")[0]["imagename"] == "every"
    assert call("image_get_root_disk_size", "every") == "5"
    target = call.cloud.stack.state / "manager" / "files" / "every.img"
    assert call("image_export", "every", f"file://{target}", **here)["os_version"] == "rhel8.6"
    assert target.read_bytes() == Path(call.cloud.image["path"]).read_bytes()


def _guest(call: Recorder) -> None:
    cloud = call.cloud
    disks = [{"size": "10", "is_boot_disk": True}]
    call("guest_create", "every1", 1, 512, disk_list=disks, max_cpu=4, max_mem="2G")
    assert "EVERY1" in call("guest_list")
    call("guest_deploy", "every1", "every")
    (disk,) = call("guest_create_disks", "every1", [{"size": "5", "format": "ext4"}])
    call("guest_config_minidisks", "every1", [{"vdev": disk["vdev"], "format": "ext4", "mntdir": "/mnt/data"}])
    call("guest_delete_disks", "every1", [disk["vdev"]])
    call("guest_resize_cpus", "every1", 2)
    call("guest_resize_mem", "every1", "1g")
    call("guest_grow_root_volume", "every1", "rhel8.6")
    call("guest_start", "every1", timeout=60)
    assert call("guest_get_power_state", "every1") == "on"
    assert call("guest_get_power_state_real", "every1") == "on"
    assert call("guest_get_info", "every1")["num_cpu"] == 2
    assert call("guest_get_user_direct", "every1")["user_direct"]
    assert call("guest_get_definition_info", "every1")["user_direct"]
    call("guest_live_resize_cpus", "every1", 3)
    call("guest_live_resize_mem", "every1", "2g")
    for action in ("guest_pause", "guest_unpause", "guest_reboot", "guest_reset"):
        call(action, "every1")
    cloud.up("EVERY1")
    assert "login:" in call("guest_get_console_output", "every1")
    call("guest_capture", "every1", "every-captured", compress_level=1)
    call("image_delete", "every-captured")
    cloud.up("EVERY1")
    call("guest_softstop", "every1", timeout=30, poll_interval=1)
    assert not cloud.stack.is_on("EVERY1")


def _networks(call: Recorder) -> None:
    call("vswitch_create", "EVERYSW", rdev="0600")
    assert "EVERYSW" in call("vswitch_get_list")
    call("vswitch_grant_user", "EVERYSW", "every1")
    assert "EVERY1" in call("vswitch_query", "EVERYSW")["authorized_users"]
    assert call("guest_create_nic", "every1", vdev="2000", nic_id="port-2", mac_addr="02:00:00:00:EE:01") == "2000"
    call("guest_nic_couple_to_vswitch", "every1", "2000", "EVERYSW")
    (row,) = call("guests_get_nic_info", nic_id="port-2")
    assert (row["userid"], row["switch"]) == ("EVERY1", "EVERYSW")
    call("guest_nic_uncouple_from_vswitch", "every1", "2000")
    call("guest_delete_nic", "every1", "2000")
    (network,) = call("guest_create_network_interface", "every1", "rhel8.6", [NET])
    call("guest_nic_couple_to_vswitch", "every1", network["nic_vdev"], "EVERYSW")
    call("guest_start", "every1", timeout=60)
    (adapter,) = call("guest_get_adapters_info", "every1")["adapters"]
    assert adapter["mac_ip_address"] == NET["ip_addr"]
    assert call("guest_inspect_stats", "every1")["EVERY1"]["guest_cpus"] == 3
    assert call("guest_inspect_vnics", "every1")["EVERY1"][0]["vswitch_name"] == "EVERYSW"
    call("guest_delete_network_interface", "every1", "rhel8.6", network["nic_vdev"], active=True)
    call("vswitch_revoke_user", "EVERYSW", "every1")
    call("vswitch_delete", "EVERYSW")
    call("vswitch_create", "EVERYVL", rdev="0600", vid=100)
    call("vswitch_grant_user", "EVERYVL", "every1")
    call("vswitch_set_vlan_id_for_user", "EVERYVL", "every1", 101)
    assert call("vswitch_query", "EVERYVL")["authorized_users"]["EVERY1"]["vlan_ids"] == ["0101"]
    call("vswitch_delete", "EVERYVL")


def _volumes(call: Recorder) -> None:
    template = call("create_fcp_template", "every", fcp_devices="1a00-1a01;1b00-1b01")["fcp_template"]["id"]
    assert call("get_fcp_templates", template_id_list=[template])["fcp_templates"]
    assert call("get_fcp_templates_details", template_id_list=[template], raw=True)["fcp_templates"]
    call("edit_fcp_template", template, description="edited")
    fcps = call("get_volume_connector", "every1", reserve=True, fcp_template_id=template)["zvm_fcp"]
    answer = call.cloud.stack.smapi(f.SystemFCPFreeQuery(target="MAINT", fcp_dev=fcps[0]))
    _, wwpn, lun, *_ = answer.reply.fcp_array[0].lower().split(";")
    connection = {
        "assigner_id": "every1", "zvm_fcp": fcps, "target_wwpn": [f"0x{wwpn}"], "target_lun": f"0x{lun}",
        "os_version": "rhel8.6", "multipath": True, "mount_point": "/dev/sdz", "fcp_template_id": template,
    }  # fmt: skip
    call("volume_attach", connection)
    assert call("get_fcp_usage", fcps[0])[:3] == ["EVERY1", 1, 1]
    call("volume_detach", connection)
    call("get_volume_connector", "every1", reserve=False, fcp_template_id=template)
    call("set_fcp_usage", fcps[0], "EVERY1", 0, 0, template)
    assert call("volume_refresh_bootmap", fcpchannels=[fcps[0]], wwpn=[wwpn], lun=lun) == {fcps[0]: [wwpn]}
    call("delete_fcp_template", template)


# -- refusals -----------------------------------------------------------------------------------------------------

GUEST = (404, 10, 404, 1)
"""The codes of a guest that is not in the table."""
OFF = (409, 10, 409, 1)
"""... of a guest that should be on."""
SCHEMA = (400, 120, 400, 400)
"""... of arguments that the schema does not allow."""
CLIENT = (101, 110, 101, 1)
"""... that the client itself makes, before it sends anything."""
BOOT: dict[str, object] = {"fcpchannels": ["1a00"], "wwpn": ["5" * 16], "lun": "4" * 16}
LOST_VOLUME = {
    "assigner_id": "nobody", "zvm_fcp": ["1a00"], "target_wwpn": ["0x5005076802100c1a"],
    "target_lun": "0x4010400000000000", "os_version": "rhel8.6", "multipath": True, "mount_point": "/dev/sdz",
}  # fmt: skip

Codes = tuple[int, int | None, int, int]

REFUSED: list[tuple[str, tuple[object, ...], dict[str, object], Codes]] = [
    ("version", ("too", "many"), {}, CLIENT),
    ("guest_create", ("every2", 1, 512), {"disk_list": []}, (8, 1, 400, 8)),
    ("guest_create", ("every9", 1, 512), {"disk_list": [], "user_profile": "NOPROF"}, (404, 10, 404, 1)),
    ("guest_create", ("every9", 1, 512), {"disk_list": [{"size": "1", "disk_pool": "ECKD:NOPOOL"}]}, (4, 1, 5, 402)),
    ("guest_create", ("toolonguserid", 1, 512), {"disk_list": []}, SCHEMA),
    ("guest_create", ("every9", 4, 512), {"disk_list": [], "max_cpu": 2}, (100, 400, 100, 3)),
    ("guest_list", ("too", "many"), {}, CLIENT),
    ("guest_inspect_stats", ("nobody",), {}, GUEST),
    ("guest_inspect_vnics", ("nobody",), {}, GUEST),
    ("guests_get_nic_info", ("too", "many"), {}, CLIENT),
    ("guest_delete", ("maint",), {}, GUEST),
    ("guest_get_definition_info", ("nobody",), {}, GUEST),
    ("guest_start", ("nobody",), {}, GUEST),
    ("guest_stop", ("nobody",), {}, GUEST),
    ("guest_softstop", ("nobody",), {}, GUEST),
    ("guest_pause", ("nobody",), {}, GUEST),
    ("guest_pause", ("every2",), {}, OFF),
    ("guest_unpause", ("every2",), {}, OFF),
    ("guest_reboot", ("every2",), {}, OFF),
    ("guest_reset", ("nobody",), {}, GUEST),
    ("guest_get_console_output", ("nobody",), {}, GUEST),
    ("guest_register", ("nobody", "os_version=rhel8.6", "0"), {}, GUEST),
    ("guest_deregister", ("nobody",), {}, GUEST),
    ("guest_live_migrate", ("nobody", "ZHCP", "VM2", {}, "move"), {}, GUEST),
    ("guest_live_migrate", ("every2", "ZHCP", "VM2", {}, "move"), {}, OFF),
    ("guest_live_resize_cpus", ("every2", 2), {}, OFF),
    ("guest_resize_cpus", ("every2", 9), {}, (409, 10, 409, 4)),
    ("guest_live_resize_mem", ("every2", "1g"), {}, OFF),
    ("guest_resize_mem", ("every2", "9g"), {}, (409, 10, 409, 20)),
    ("guest_resize_mem", ("every2", "much"), {}, SCHEMA),
    ("guest_grow_root_volume", ("nobody", "rhel8.6"), {}, GUEST),
    ("guest_capture", ("every2", "never"), {}, OFF),
    ("guest_capture", ("nobody", "never"), {}, GUEST),
    ("guest_deploy", ("every2", "nothing"), {}, (300, 40, 300, 20)),
    ("guest_deploy", ("every2", "shared-sample"), {}, (300, 10, 300, 3)),
    ("guest_deploy", ("every2", "rhcos4.12"), {"skipdiskcopy": True}, (300, 10, 300, 13)),
    ("guest_deploy", ("every2", "rhcos4.12"), {"skipdiskcopy": True, "transportfiles": "/w"}, (300, 10, 300, 14)),
    ("guest_get_power_state_real", ("not a userid",), {}, SCHEMA),
    ("guest_get_info", ("nobody",), {}, GUEST),
    ("guest_get_user_direct", ("nobody",), {}, (8, 1, 400, 4)),
    ("guest_get_adapters_info", ("every2",), {}, (300, 10, 300, 5)),
    ("guest_create_nic", ("nobody",), {}, GUEST),
    ("guest_create_nic", ("every2",), {"active": True}, OFF),
    ("guest_delete_nic", ("nobody", "1000"), {}, GUEST),
    ("guest_nic_couple_to_vswitch", ("every2", "1000", "NOSW"), {}, (404, 20, 404, 1)),
    ("guest_nic_uncouple_from_vswitch", ("every2", "1000"), {}, (404, 20, 404, 1)),
    ("guest_create_network_interface", ("nobody", "rhel8.6", [NET]), {}, GUEST),
    ("guest_create_network_interface", ("every2", "windows11", [NET]), {}, SCHEMA),
    ("guest_delete_network_interface", ("nobody", "rhel8.6", "1000"), {}, GUEST),
    ("guest_get_power_state", ("nobody",), {}, GUEST),
    ("guest_create_disks", ("nobody", []), {}, GUEST),
    ("guest_create_disks", ("every2", [{"size": "262669"}]), {}, (100, 400, 100, 3)),
    ("guest_delete_disks", ("nobody", ["0101"]), {}, GUEST),
    ("guest_config_minidisks", ("nobody", [{"format": "ext4"}]), {}, GUEST),
    ("volume_attach", (LOST_VOLUME,), {}, GUEST),
    ("volume_detach", (LOST_VOLUME,), {}, GUEST),
    ("volume_refresh_bootmap", (), BOOT, (300, 30, 300, 5)),
    ("volume_refresh_bootmap", (), {**BOOT, "guest_networks": [NET]}, (300, 30, 300, 10)),
    ("volume_refresh_bootmap", (), {**BOOT, "guest_networks": [NET], "transportfiles": "/w.ign"}, (300, 30, 300, 5)),
    ("get_volume_connector", ("every2",), {"reserve": True, "fcp_template_id": "none"}, (404, 30, 404, 1)),
    ("get_fcp_templates", (), {"template_id_list": ["none"]}, (404, 30, 404, 1)),
    ("get_fcp_templates_details", (), {"template_id_list": ["none"]}, (404, 30, 404, 1)),
    ("delete_fcp_template", ("none",), {}, (404, 30, 404, 1)),
    ("get_fcp_usage", ("xyz",), {}, SCHEMA),
    ("get_fcp_usage", ("9999",), {}, (404, 30, 404, 1)),
    ("set_fcp_usage", ("9999", "EVERY2", 0, 0, "none"), {}, (404, 30, 404, 1)),
    ("create_fcp_template", ("bad",), {"fcp_devices": "zz"}, (100, 400, 100, 3)),
    ("edit_fcp_template", ("none",), {"name": "x"}, (404, 30, 404, 1)),
    ("host_get_info", ("too", "many"), {}, CLIENT),
    ("host_get_guest_list", ("too", "many"), {}, CLIENT),
    ("host_get_diskpool_volumes", (), {"disk_pool": "ECKD:NOPOOL"}, (4, 1, 5, 402)),
    ("host_diskpool_get_info", (), {"disk_pool": "TAPE:POOL1"}, (100, 400, 100, 3)),
    ("host_diskpool_get_info", (), {"disk_pool": "ECKD:NOPOOL"}, (4, 1, 5, 402)),
    ("host_get_volume_info", (), {"volume": "NOVOL1"}, (404, 400, 404, 2)),
    ("host_get_ssi_info", ("too", "many"), {}, CLIENT),
    ("image_import", ("shared-sample", "file:///none", {"os_version": "rhel8.6"}), {}, (300, 40, 300, 13)),
    ("image_import", ("never", "file:///no/such/file", {"os_version": "rhel8.6"}), {}, (300, 40, 300, 12)),
    (
        "image_import",
        ("never", "file:///x/y", {"os_version": "rhel8.6"}),
        {"remote_host": "nova@192.0.2.200"},
        (300, 40, 300, 10),
    ),
    ("image_import", ("never", "ftp://x/y", {"os_version": "rhel8.6"}), {}, SCHEMA),
    ("image_query", (), {"imagename": "nothing"}, (404, 40, 404, 1)),
    ("image_delete", ("a/b",), {}, (400, 120, 400, 404)),
    ("image_export", ("nothing", "file:///x/y"), {}, (404, 40, 404, 1)),
    ("image_export", ("shared-sample", "file:///etc/zvmcloud-test"), {}, (300, 40, 300, 22)),
    ("image_export", ("shared-sample", "file:///x/y"), {"remote_host": "nova@192.0.2.200"}, (300, 40, 300, 21)),
    ("image_get_root_disk_size", ("nothing",), {}, (404, 40, 404, 1)),
    ("file_import", ("/no/such/file",), {}, CLIENT),
    ("file_export", ("/etc/passwd",), {}, (300, 60, 300, 2)),
    ("token_create", ("too", "many"), {}, CLIENT),
    ("vswitch_get_list", ("too", "many"), {}, CLIENT),
    ("vswitch_create", ("EVERYS2",), {}, (8, 1, 212, 36)),
    ("vswitch_create", ("EVERYS9",), {"queue_mem": 9}, SCHEMA),
    ("vswitch_delete", ("TOOLONGNAME",), {}, (100, 400, 100, 3)),
    ("vswitch_grant_user", ("NOSW", "every2"), {}, (404, 20, 404, 1)),
    ("vswitch_query", ("NOSW",), {}, (404, 20, 404, 1)),
    ("vswitch_revoke_user", ("NOSW", "every2"), {}, (404, 20, 404, 1)),
    ("vswitch_set_vlan_id_for_user", ("NOSW", "every2", 10), {}, (404, 20, 404, 1)),
    ("vswitch_set_vlan_id_for_user", ("EVERYS2", "every2", 10), {}, (409, 20, 409, 5)),
]


def test_every_call_has_a_refusal() -> None:
    assert {api for api, *_ in REFUSED} == set(DATABASE)


@pytest.fixture(scope="module")
def furnished(one: Cloud) -> Iterator[Cloud]:
    """A guest that is off and has no disk, and a virtual switch without VLANs."""
    one.done("guest_create", "every2", 1, 512, disk_list=[], max_cpu=4, max_mem="2G")
    one.done("vswitch_create", "EVERYS2")
    yield one
    one.done("vswitch_delete", "EVERYS2")
    one.done("guest_delete", "every2")


@pytest.mark.parametrize(
    ("api", "args", "kwargs", "codes"), REFUSED, ids=[f"{number}-{case[0]}" for number, case in enumerate(REFUSED)]
)
def test_a_refusal_has_the_codes_of_feilong_and_says_why(
    furnished: Cloud, api: str, args: tuple[object, ...], kwargs: dict[str, object], codes: Codes
) -> None:
    entry = furnished.stack.entry("EVERY2")
    answer = furnished.send(api, *args, **kwargs)
    assert (answer["overallRC"], answer["modID"], answer["rc"], answer["rs"]) == codes, answer
    assert answer["errmsg"]
    assert answer["output"] == ""
    assert furnished.stack.entry("EVERY2") == entry, "a refused call changes nothing"
