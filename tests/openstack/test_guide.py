"""The operator's guide and the support matrix leave nothing out."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
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
