"""The text of replies, where scripts read it: the words in front of values, their order, blank lines.

A form is the text of one item of a reply's array; `{name}` is a member of a structure or a word of a record. Replies
without a form are shown by their declaration: a list of texts line by line, anything else as `name: value`. Source of
the forms: what Feilong, xCAT and the OpenStack drivers parse (connector/flows.md, connector/cp_corpus.md,
xcat/rest.md), and the format strings of smcli.
"""

from __future__ import annotations

from collections.abc import Mapping

_PERFORMANCE = """\
Virtual server ID: {guest_name}
Record version: "{record_version}"
Guest flags: "{guest_flags}"
Used CPU time: "{used_CPU_time} uS"
Elapsed time: "{elapsed_time} uS"
Minimum memory: "{min_memory} KB"
Max memory: "{max_memory} KB"
Shared memory: "{shared_memory} KB"
Used memory: "{used_memory} KB"
Active CPUs in CEC: "{active_CPUs_in_CEC}"
Logical CPUs in VM: "{logical_CPUs_in_VM}"
Guest CPUs: "{guest_CPUs}"
Minimum CPU count: "{min_CPU_count}"
Max CPU limit: "{max_CPU_limit}"
Processor share: "{processor_share}"
Samples CPU in use: "{samples_CPU_in_use}"
Samples CPU delay: "{samples_CPU_delay}"
Samples page wait: "{samples_page_wait}"
Samples idle: "{samples_idle}"
Samples other: "{samples_other}"
Samples total: "{samples_total}"
Guest name: "{guest_name:<8}"
"""

FORMS: Mapping[tuple[str, str], str] = {
    ("Directory_Manager_Search_DM", "statement_array"): "{target_id}: {statement}",
    ("Image_Disk_Query", "vdasd_array"): """\
DASD VDEV: {vdasd_vdev}
  RDEV: {vdasd_rdev}
  Access type: {vdasd_access_type}
  Device type: {vdasd_devtype}
  Device size: {vdasd_size}
  Device units: {vdasd_unit}
  Device volume label: {vdasd_volid}
""",
    ("Image_Lock_Query_DM", "locked_dev_array"): "Device address: {dev_address}\nDevice locked by: {dev_locked_by}\n",
    ("Profile_Lock_Query_DM", "locked_dev_array"): "Device address: {dev_address}\nDevice locked by: {dev_locked_by}\n",
    ("Image_Performance_Query", "performance_records"): _PERFORMANCE,
    ("System_Image_Performance_Query", "image_performance_array"): _PERFORMANCE,
    ("SSI_Query", "ssi_info_array"): """\
member_slot = {member_slot}
member_system_id = {member_system_id}
member_state = {member_state}
member_pdr_heartbeat = {member_pdr_heartbeat}
member_received_heartbeat = {member_received_heartbeat}
""",
    ("System_FCP_Free_Query", "fcp_array"): """\
FCP device number: {fcp_dev}
  World wide port number: {wwpn}
  Logical unit number: {lun}
  Universally unique number in printed hex: {uuid}
  Vendor name: {vendor}
  Product number: {prod}
  Model number: {model}
  Serial number: {serial}
  Device code: {code}
  Block size, in bytes: {blk_size}
  Number of blocks residing on the logical unit: {diskblks}
  Number of bytes residing on the logical unit: {lun_size}""",
    ("System_WWPN_Query", "wwpn_array"): """\
FCP device number: {fcp_dev_id}
  Status: {dev_status}
  NPIV world wide port number: {npiv_wwpn}
  Channel path ID: {chpid}
  Physical world wide port number: {perm_wwpn}
  Owner: {owner}""",
    ("Virtual_Network_LAN_Query", "lan_info_array"): """\
LAN:
  Name: {lan_name}
  Owner: {lan_owner}
  LAN type: {lan_type}
  Connections:""",
    ("Virtual_Network_LAN_Query", "connected_adapter_array"): (
        "    Adapter owner: {adapter_owner}  Address: {image_device_number}"
    ),
    ("Virtual_Network_OSA_Query", "osa_info_array"): """\
  OSA Address: {osa_address}
  OSA Status: {osa_status}
  OSA Type: {osa_type}
  CHPID Address: {chpid_address}
  Agent Status: {agent_status}""",
    ("Virtual_Network_Vswitch_Query", "vswitch_array"): "VSWITCH:  Name: {switch_name}",
    ("Virtual_Network_Vswitch_Query", "real_device_array"): "  Real device: {real_device_address:04X}",
    ("Virtual_Network_Vswitch_Query", "authorized_user_array"): "  Authorized user: {grant_userid}",
    ("Virtual_Network_Vswitch_Query", "connected_adapter_array"): (
        "  Adapter owner: {adapter_owner}  Address: {image_device_number}"
    ),
}

WHOLE: Mapping[str, str] = {
    "Image_Query_Activate_Time": "{image_name} was activated on {activation_date} at {activation_time}",
    "Image_SCSI_Characteristics_Query_DM": """\
Boot program number: {boot_program}
Logical-block address of the boot record: {BR_LBA}
Logical unit number: {LUN}
Port name: {port_name}
Type of data: {SCP_data_type}
SCP Data: {SCP_data}""",
    "SSI_Query": """\
ssi_name = {ssi_name}
ssi_mode = {ssi_mode}
ssi_pdr = {ssi_pdr}
cross_system_timeouts = {cross_system_timeouts}
output.ssiInfoCount = {ssi_info_array}
""",
    "System_Processor_Query": "Partition mode: {partition_mode}\n\nADDRESS STATUS TYPE CORE_ID",
}
"""The part of a reply in front of its arrays; an array's name stands for its number of items."""

BARE: frozenset[str] = frozenset({"System_Processor_Query", "Virtual_Network_Vswitch_Query"})
"""Functions whose members without a form are not named, or not shown."""

MEANINGS: Mapping[str, Mapping[int, str]] = {
    "lan_type": {1: "HiperSockets NIC", 2: "QDIO NIC"},
    "vdasd_access_type": {1: "R/O", 2: "R/W"},
    "vdasd_unit": {1: "Cylinders", 2: "Blocks"},
}
"""Numbers that are shown as words."""

FINE: Mapping[str, frozenset[int]] = {
    "Image_Lock_Query_DM": frozenset({12, 24}),
    "Profile_Lock_Query_DM": frozenset({12, 24}),
    "Name_List_Add": frozenset({12}),
}
"""Reason codes with return code 0 that smcli takes as success; any other than 0 it reports as a failure."""

ABSENT = "NONE"
"""What stands for a word that a record lacks."""
