"""Which option letter of smcli is which parameter of a function.

Each row is read as ``letter=parameter``; ``letter<parameter`` names a file (``-s``: standard input instead) whose lines
are the parameter. Functions that take keys are not listed: their parameters are all given as ``-k key=value``, which
every other function understands too. Source of the letters: the synopses of Feilong's and xCAT's smcli.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from zvmcloud.smapi.declare import Function, Style

_VDEV = "v=image_device_number"
_DISK = "v=image_disk_number"
_SHARE = f"{_DISK} t=target_image_name r=target_image_disk_number a=read_write_mode p=optional_password"
_DEDICATE = f"{_VDEV} r=real_device_number R=readonly"
_VOLUME = (
    f"{_VDEV} l=image_vol_id s=system_config_name t=system_config_type o=parm_disk_owner p=parm_disk_number "
    "w=parm_disk_password c=alt_system_config_name y=alt_system_config_type n=alt_parm_disk_owner "
    "m=alt_parm_disk_number x=alt_parm_disk_password"
)
_CONFIGURATION = (
    "u=update_system_config_indicator L=system_config_name F=system_config_type R=parm_disk_owner "
    "C=parm_disk_number P=parm_disk_password N=alt_system_config_name Y=alt_system_config_type "
    "O=alt_parm_disk_owner M=alt_parm_disk_number D=alt_parm_disk_password"
)
_LAN = "n=lan_name o=lan_owner"
_NOTIFICATION = "t=entity_type c=communication_type p=port_number i=ip_address e=encoding s=subscriber_data"
_SWITCH = "r=real_device_address a=port_name i=controller_name c=connection_value q=queue_memory_limit e=routing_value"
_VMRM = "c=configuration_file_name t=configuration_file_type d=configuration_dir_name"

LETTERS: Mapping[str, str] = {
    "Asynchronous_Notification_Disable_DM": _NOTIFICATION,
    "Asynchronous_Notification_Enable_DM": f"{_NOTIFICATION} r=subscription_type",
    "Asynchronous_Notification_Query_DM": _NOTIFICATION,
    "Authorization_List_Add": "i=for_id f=function_id",
    "Authorization_List_Query": "i=for_id f=function_id",
    "Authorization_List_Remove": "i=for_id f=function_id",
    "Directory_Manager_Local_Tag_Define_DM": "t=tag_name o=tag_ordinal a=define_action",
    "Directory_Manager_Local_Tag_Delete_DM": "n=tag_name",
    "Directory_Manager_Local_Tag_Query_DM": "n=tag_name",
    "Directory_Manager_Local_Tag_Set_DM": "n=tag_name v=tag_value",
    "Directory_Manager_Search_DM": "s=search_pattern",
    "Directory_Manager_Task_Cancel_DM": "i=operation_id",
    "Image_CPU_Define": "v=cpu_address t=cpu_type",
    "Image_CPU_Define_DM": "v=cpu_address b=base_cpu c=cpuid d=dedicate_cpu y=crypto",
    "Image_CPU_Delete": "v=cpu_address",
    "Image_CPU_Delete_DM": "v=cpu_address",
    "Image_CPU_Query_DM": "v=cpu_address",
    "Image_CPU_Set_Maximum_DM": "m=max_cpu",
    "Image_Create_DM": "f<image_record_array p=prototype_name w=initial_password a=initial_account_number",
    "Image_Deactivate": "f=force_time",
    "Image_Definition_Query_DM": "k=definition_query_directory_keyword_parameter_list",
    "Image_Delete_DM": "e=data_security_erase",
    "Image_Device_Dedicate": _DEDICATE,
    "Image_Device_Dedicate_DM": _DEDICATE,
    "Image_Device_Reset": _VDEV,
    "Image_Device_Undedicate": _VDEV,
    "Image_Device_Undedicate_DM": _VDEV,
    "Image_Disk_Copy": _DISK,
    "Image_Disk_Copy_DM": (
        "s=image_disk_number t=source_image_name u=source_image_disk_number a=image_disk_allocation_type "
        "n=allocation_area_name_or_volser m=image_disk_mode r=read_password w=write_password x=multi_password"
    ),
    "Image_Disk_Create": f"{_DISK} m=image_disk_mode",
    "Image_Disk_Create_DM": (
        f"{_DISK} t=image_disk_device_type a=image_disk_allocation_type r=allocation_area_name_or_volser "
        "u=allocation_unit_size z=image_disk_size m=image_disk_mode f=image_disk_formatting l=image_disk_label "
        "R=read_password W=write_password M=multi_password"
    ),
    "Image_Disk_Delete": _DISK,
    "Image_Disk_Delete_DM": f"{_DISK} e=data_security_erase",
    "Image_Disk_Share": _SHARE,
    "Image_Disk_Share_DM": (  # the letters of the two disks are the other way round than in Image_Disk_Share
        "r=image_disk_number t=target_image_name v=target_image_disk_number a=read_write_mode p=optional_password"
    ),
    "Image_Disk_Unshare": _DISK,
    "Image_Disk_Unshare_DM": f"{_DISK} t=target_image_name r=target_image_disk_number",
    "Image_IPL_Device_Query": "T=userid",
    "Image_IPL_Set_DM": "s=saved_system l=load_parameter p=parameter_string",
    "Image_Lock_DM": "v=device_address",
    "Image_Password_Set_DM": "p=image_password",
    "Image_Performance_Query": "T=guest_names c=",
    "Image_Query_Activate_Time": "f=date_format_indicator",
    "Image_Replace_DM": "f<image_record_array",
    "Image_SCSI_Characteristics_Define_DM": "b=boot_program k=BR_LBA l=LUN p=port_name s=SCP_data_type d=SCP_data",
    "Image_Unlock_DM": "v=device_address",
    "Image_Volume_Add": _VOLUME,
    "Image_Volume_Delete": _VOLUME,
    "Image_Volume_Space_Define_DM": (
        "f=function_type g=region_name v=image_vol_id s=start_cylinder z=size p=group_name y=device_type"
    ),
    "Image_Volume_Space_Query_DM": "q=query_type e=entry_type n=entry_names",
    "Image_Volume_Space_Remove_DM": "f=function_type r=region_name v=image_vol_id g=group_name",
    "Metadata_Delete": "k=metadata_name_list",
    "Metadata_Get": "k=metadata_name_list",
    "Metadata_Set": "k=metadata_entry_array",
    "Name_List_Add": "n=name",
    "Name_List_Remove": "n=name",
    "Profile_Create_DM": "f<profile_record_array",
    "Profile_Replace_DM": "f<profile_record_array",
    "Prototype_Create_DM": "f<prototype_record_array",
    "Prototype_Replace_DM": "f<prototype_record_array",
    "Query_Asynchronous_Operation_DM": "i=operation_id",
    "Shared_Memory_Access_Add_DM": "s=memory_segment_name",
    "Shared_Memory_Access_Query_DM": "s=memory_segment_name",
    "Shared_Memory_Access_Remove_DM": "s=memory_segment_name",
    "Shared_Memory_Create": (
        "s=memory_segment_name b=begin_page e=end_page t=page_access_descriptor m=memory_attributes "
        "i=memory_access_identifier"
    ),
    "Shared_Memory_Delete": "s=memory_segment_name",
    "Shared_Memory_Query": "s=memory_segment_name",
    "Shared_Memory_Replace": "s=memory_segment_name i=memory_access_identifier",
    "System_IO_Query": "T=real_device_address",
    "System_Performance_Threshold_Disable": "v=event_type",
    "System_Performance_Threshold_Enable": "v=event_type",
    "Virtual_Channel_Connection_Create": f"{_VDEV} c=coupled_image_name d=coupled_image_device_number",
    "Virtual_Channel_Connection_Create_DM": f"{_VDEV} c=coupled_image_name",
    "Virtual_Channel_Connection_Delete": _VDEV,
    "Virtual_Channel_Connection_Delete_DM": _VDEV,
    "Virtual_Network_Adapter_Connect_LAN": f"{_VDEV} l=lan_name o=lan_owner",
    "Virtual_Network_Adapter_Connect_LAN_DM": f"{_VDEV} l=lan_name o=lan_owner",
    "Virtual_Network_Adapter_Connect_Vswitch": f"{_VDEV} n=switch_name",
    "Virtual_Network_Adapter_Connect_Vswitch_DM": f"{_VDEV} n=switch_name",
    "Virtual_Network_Adapter_Create": f"{_VDEV} t=adapter_type d=network_adapter_devices c=channel_path_type_id",
    "Virtual_Network_Adapter_Create_DM": (
        f"{_VDEV} a=adapter_type n=network_adapter_devices c=channel_path_id m=mac_id"
    ),
    "Virtual_Network_Adapter_Delete": _VDEV,
    "Virtual_Network_Adapter_Delete_DM": _VDEV,
    "Virtual_Network_Adapter_Disconnect": _VDEV,
    "Virtual_Network_Adapter_Disconnect_DM": _VDEV,
    "Virtual_Network_Adapter_Query": _VDEV,
    "Virtual_Network_LAN_Access": f"{_LAN} a=access_op u=access_user p=promiscuity",
    "Virtual_Network_LAN_Access_Query": _LAN,
    "Virtual_Network_LAN_Create": f"{_LAN} t=lan_type p=transport_type",
    "Virtual_Network_LAN_Delete": _LAN,
    "Virtual_Network_LAN_Query": _LAN,
    "Virtual_Network_Vswitch_Create": (
        f"n=switch_name {_SWITCH} t=transport_type v=vlan_id p=port_type {_CONFIGURATION} G=gvrp_value V=native_vlanid"
    ),
    "Virtual_Network_Vswitch_Delete": f"n=switch_name {_CONFIGURATION}",
    "Virtual_Network_Vswitch_Query": "s=switch_name",
    "Virtual_Network_Vswitch_Set": (
        f"n=switch_name I=grant_userid v=user_vlan_id U=revoke_userid {_SWITCH} p=port_type {_CONFIGURATION} "
        "G=gvrp_value m=mac_id"
    ),
    "VMRM_Configuration_Query": _VMRM,
    "VMRM_Configuration_Update": f"{_VMRM} s=syncheck_only u<update_file",
}  # fmt: skip

ASSUMED: Mapping[str, Mapping[str, str]] = {
    "Image_Device_Dedicate": {"readonly": "0"},
    "Image_Device_Dedicate_DM": {"readonly": "0"},
    "Virtual_Network_Vswitch_Create": {"queue_memory_limit": "8"},
}
"""What smcli sends for a parameter that SMAPI requires and the command line may leave out."""

SPELLED: Mapping[str, Mapping[str, str]] = {
    "Image_Pause": {"PAUSE=YES": "action=PAUSE", "PAUSE=NO": "action=UNPAUSE"},
}
"""Keys that smcli spells in its own way, and what SMAPI has for them."""

FILTERED = frozenset({"System_Information_Query"})
"""Functions whose `-k NAME=` picks lines of the reply; SMAPI itself has no such parameter."""


@dataclass(frozen=True, slots=True)
class Option:
    """What follows a letter: a parameter (empty: accepted and not needed) or the name of a file with its lines."""

    parameter: str
    from_file: bool = False


@cache
def options_of(function: Function) -> Mapping[str, Option]:
    """The letters of a function beside -T, -h, -s of files, and -k of keys."""
    found: dict[str, Option] = {}
    if function.style is not Style.POSITIONAL:
        return found
    for word in LETTERS.get(function.name, "").split():
        letter, sign, parameter = word[0], word[1], word[2:]
        found[letter] = Option(parameter, from_file=sign == "<")
    return found
