"""The operator's guide and the support matrix leave nothing out."""

from __future__ import annotations

import configparser
from pathlib import Path

from nova.virt import driver as virt

from zvmcloud.openstack.nova import options
from zvmcloud.openstack.nova.driver import ZVMCloudDriver

DOCS = Path(__file__).parents[3] / "docs"
MATRIX = DOCS / "nova-support-matrix.ini"
NOVA_ZVM = {
    "zvm_xcat_server", "zvm_xcat_username", "zvm_xcat_password", "zvm_xcat_master", "zvm_xcat_ca_file",
    "zvm_xcat_connection_timeout", "zvm_host", "zvm_xcat_group", "zvm_diskpool", "zvm_diskpool_type", "zvm_scsi_pool",
    "zvm_fcp_list", "zvm_zhcp_fcp_list", "zvm_multiple_fcp", "zvm_user_profile", "zvm_user_default_password",
    "zvm_default_admin_userid", "zvm_user_default_privilege", "zvm_user_root_vdev", "zvm_user_adde_vdev",
    "zvm_default_nic_vdev", "zvm_default_ephemeral_mntdir", "zvm_reachable_timeout", "zvm_console_log_size",
    "zvm_vmrelocate_immediate", "zvm_vmrelocate_max_total", "zvm_vmrelocate_max_quiesce", "zvm_vmrelocate_force",
    "zvm_image_tmp_path", "zvm_snapshots_directory", "zvm_image_default_password", "zvm_config_drive_inject_password",
    "zvm_image_compression_level", "xcat_image_clean_period", "xcat_free_space_threshold", "config_drive_format",
    "instance_name_template", "libvirt_type", "libvirt_vif_driver", "network_api_class",
}  # fmt: skip
"""Options of nova-zvm up to its last revision for xCAT, and what its page on OpenStack's wiki set beside them."""
NETWORKING_ZVM = {
    "xcat_zhcp_nodename", "zvm_host", "zvm_xcat_username", "zvm_xcat_password", "zvm_xcat_server", "polling_interval",
    "zvm_xcat_timeout", "zvm_xcat_ca_file", "xcat_mgt_ip", "xcat_mgt_mask", "rdev_list",
}  # fmt: skip


def test_every_option_of_the_drivers_for_xcat_is_in_the_guide() -> None:
    guide = (DOCS / "openstack.md").read_text()
    assert [name for name in sorted(NOVA_ZVM | NETWORKING_ZVM) if f"`{name}`" not in guide] == []


def test_every_option_is_in_the_guide() -> None:
    guide = (DOCS / "openstack.md").read_text()
    assert [option.name for option in options.OPTIONS if f"`{option.name}`" not in guide] == []


ROWS = {
    "operation": (
        "attach-volume attach-tagged-volume detach-volume extend-volume attach-interface attach-tagged-interface "
        "detach-interface maintenance-mode evacuate rebuild rebuild-volume-backed get-guest-info get-host-uptime "
        "get-host-ip live-migrate force-live-migration-to-complete abort-in-progress-live-migration launch pause "
        "reboot rescue resize resume set-admin-password snapshot suspend swap-volume terminate trigger-crash-dump "
        "unpause uefi-boot device-tags quiesce unquiesce multiattach-volume encrypted-volume trusted-certs "
        "file-backed-memory report-cpu-traits port-with-resource-request boot-encrypted-vm cache-images "
        "boot-emulated-tpm boot-stateless-firmware"
    ),
    "guest": "disk.autoconfig disk.rate-limit setup.configdrive setup.inject.file setup.inject.networking",
    "console": "rdp serial.log serial.interactive spice vnc",
    "storage": "block block.backend.fibrechannel block.backend.iscsi block.backend.iscsi.auth.chap image",
}  # fmt: skip
"""The rows of nova 34's matrix by their groups."""
METHODS = {
    "attach-volume": "attach_volume", "detach-volume": "detach_volume", "extend-volume": "extend_volume",
    "swap-volume": "swap_volume", "attach-interface": "attach_interface", "detach-interface": "detach_interface",
    "maintenance-mode": "host_maintenance_mode", "evacuate": "instance_on_disk", "get-guest-info": "get_info",
    "get-host-uptime": "get_host_uptime", "get-host-ip": "get_host_ip_addr", "live-migrate": "live_migration",
    "force-live-migration-to-complete": "live_migration_force_complete", "launch": "spawn", "pause": "pause",
    "abort-in-progress-live-migration": "live_migration_abort", "unpause": "unpause", "reboot": "reboot",
    "rescue": "rescue", "resize": "finish_migration", "resume": "resume", "suspend": "suspend",
    "set-admin-password": "set_admin_password", "snapshot": "snapshot", "terminate": "destroy",
    "quiesce": "quiesce", "unquiesce": "unquiesce", "trigger-crash-dump": "trigger_crash_dump",
    "cache-images": "cache_image",
}  # fmt: skip
CAPABILITIES = {
    "extend-volume": "supports_extend_volume", "multiattach-volume": "supports_multiattach",
    "attach-interface": "supports_attach_interface", "evacuate": "supports_evacuate",
    "trusted-certs": "supports_trusted_certs", "cache-images": "has_imagecache",
    "attach-tagged-interface": "supports_tagged_attach_interface", "device-tags": "supports_device_tagging",
    "attach-tagged-volume": "supports_tagged_attach_volume", "boot-emulated-tpm": "supports_vtpm",
}  # fmt: skip


def matrix() -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.read(MATRIX)
    return found


def test_the_support_matrix_has_every_row_of_novas() -> None:
    rows = [f"{group}.{name}" for group, names in ROWS.items() for name in names.split()]
    assert sorted(matrix().sections()) == sorted(["driver.zvmcloud", *rows])


def test_the_support_matrix_says_what_the_driver_has() -> None:
    found = matrix()
    for name, method in METHODS.items():
        has = getattr(ZVMCloudDriver, method) is not getattr(virt.ComputeDriver, method)
        assert (found[f"operation.{name}"]["driver.zvmcloud"] == "complete") == has, name
    for name, capability in CAPABILITIES.items():
        told = found[f"operation.{name}"]["driver.zvmcloud"] == "complete"
        assert told == ZVMCloudDriver.capabilities[capability], name
