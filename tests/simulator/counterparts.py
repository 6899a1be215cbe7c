"""Requests that belong to those of the recording: the other half of each pair that only one half of is recorded.

The catalogue of the functions tells which codes z/VM 7.1 gave each function when the recordings were made, and for some
what was asked. Where it does not say, the values are those of the recorded half.
"""

from __future__ import annotations

from typing import Any

from zvmcloud.smapi import functions as f
from zvmcloud.smapi.declare import Request

PARM = {
    "system_config_name": "SYSTEM",
    "system_config_type": "CONFIG",
    "parm_disk_owner": "PMAINT",
    "parm_disk_number": "CF0",
    "parm_disk_password": "MULTIPLE",
    "alt_system_config_name": "ALT",
    "alt_system_config_type": "CONFIG",
    "alt_parm_disk_owner": "PMAINT",
    "alt_parm_disk_number": "CF0",
    "alt_parm_disk_password": "MULTIPLE",
}
OK = (0, 0)


def _of(kind: type[Request[Any]], target: str, *values: object, **named: object) -> Request[Any]:
    """A request with the values of its first fields in order, and named ones."""
    members = [member.attribute for member in kind.__fields__]
    return kind(target=target, **dict(zip(members, values, strict=False)), **named)


#: Label as in the recording (the number is where the request sorts), request, codes.
COUNTERPARTS: tuple[tuple[str, Request[Any], tuple[int, int]], ...] = (
    (
        "Asynchronous_Notification_Enable_DM/1",
        _of(f.AsynchronousNotificationEnableDM, "maint", 1, 1, 1, 5000, "192.168.1.1", 2, "subdata"),
        OK,
    ),
    (
        "Asynchronous_Notification_Query_DM/1",
        _of(f.AsynchronousNotificationQueryDM, "maint", 1, 1, 5000, "192.168.1.1", 2, "*"),
        OK,
    ),
    ("Authorization_List_Remove/1", _of(f.AuthorizationListRemove, "gt@ping", "all", "all"), OK),
    ("Directory_Manager_Local_Tag_Set_DM/1", _of(f.DirectoryManagerLocalTagSetDM, "gt@ping", "Tag1", "Val1"), OK),
    ("Directory_Manager_Search_DM/1", _of(f.DirectoryManagerSearchDM, "maint", "user sys*"), OK),
    ("Image_CPU_Define/1", _of(f.ImageCPUDefine, "gt@pong", "01", 1), OK),
    ("Image_CPU_Delete/1", _of(f.ImageCPUDelete, "gt@pong", "01"), OK),
    ("Image_CPU_Delete_DM/1", _of(f.ImageCPUDeleteDM, "gt@pong", "00"), OK),
    ("Image_Deactivate/1", _of(f.ImageDeactivate, "gt@ping", "IMMED"), OK),
    ("Image_Definition_Async_Updates/1", _of(f.ImageDefinitionAsyncUpdates, "maint", "YES"), OK),
    ("Image_Definition_Create_DM/1", _of(f.ImageDefinitionCreateDM, "gt@ping", ("BOGUS_KEYWORD=BAD",)), (8, 3002)),
    ("Image_Definition_Delete_DM/1", _of(f.ImageDefinitionDeleteDM, "gt@ping", ("BOGUS_KEYWORD=BAD",)), (8, 3002)),
    ("Image_Definition_Query_DM/2", _of(f.ImageDefinitionQueryDM, "gt@ping", ("IPL",)), OK),
    ("Image_Definition_Delete_DM/2", _of(f.ImageDefinitionDeleteDM, "gt@ping", ("IPL",)), OK),
    ("Image_Definition_Delete_DM/3", _of(f.ImageDefinitionDeleteDM, "gt@ping", ("*",)), (8, 3002)),
    ("Image_Definition_Query_DM/1", _of(f.ImageDefinitionQueryDM, "gt@ping", ("BOGUS_KEYWORD=BAD",)), (8, 3002)),
    ("Image_Device_Dedicate/1", _of(f.ImageDeviceDedicate, "gt@pong", "3000", "4001", 1), OK),
    ("Image_Disk_Delete/1", _of(f.ImageDiskDelete, "gt@pong", "999"), OK),
    ("Image_Disk_Query/1", _of(f.ImageDiskQuery, "gt@pong", "ALL"), OK),
    ("Image_Disk_Share/1", _of(f.ImageDiskShare, "gt@pong", "557", "gt@ping", "777", "RR", "READ"), OK),
    ("Image_Disk_Share_DM/1", _of(f.ImageDiskShareDM, "gt@pong", "777", "gt@ping", "555", "RR", "READ"), OK),
    ("Image_Disk_Unshare_DM/1", _of(f.ImageDiskUnshareDM, "gt@pong", "777", "gt@ping", "555"), OK),
    ("Image_IPL_Query_DM/1", _of(f.ImageIPLQueryDM, "gt@pong"), OK),
    ("Image_IPL_Delete_DM/1", _of(f.ImageIPLDeleteDM, "gt@pong"), OK),
    ("Image_Lock_Query_DM/1", _of(f.ImageLockQueryDM, "gt@pong"), (0, 12)),
    ("Image_Name_Query_DM/1", _of(f.ImageNameQueryDM, "gt@ping"), OK),
    ("Image_Password_Set_DM/1", _of(f.ImagePasswordSetDM, "gt@pong", "@sm8pi@"), OK),
    (
        "Image_Replace_DM/1",
        _of(
            f.ImageReplaceDM,
            "gt@pong",
            ("USER GT@PONG @SM8PI@ 1G 1G ABCDEFG", "IPL CMS", "NICDEF 9000 TYPE QDIO DEVICES 3"),
        ),
        OK,
    ),
    (
        "Image_Volume_Space_Define_DM/1",
        _of(f.ImageVolumeSpaceDefineDM, "maint", 1, "RGN003", "TST002", 11, 10, "", 1),
        OK,
    ),
    (
        "Image_Volume_Space_Define_Extended_DM/2",
        _of(f.ImageVolumeSpaceDefineExtendedDM, "maint", "4", "RGN004", "LX4000", group_name="GRP002"),
        OK,
    ),
    (
        "Image_Volume_Space_Define_Extended_DM/3",
        _of(f.ImageVolumeSpaceDefineExtendedDM, "maint", "5", "RGN001", group_name="GRP002"),
        OK,
    ),
    ("Image_Volume_Space_Remove_DM/1", _of(f.ImageVolumeSpaceRemoveDM, "maint", 1, "RGN001", "", ""), OK),
    ("Name_List_Destroy/1", _of(f.NameListDestroy, "userlist"), OK),
    (
        "Network_IP_Interface_Modify/1",
        _of(f.NetworkIPInterfaceModify, "maint", "tcpip", "eth99", "no", change_mtu="1500"),
        (8, 12),
    ),
    ("Network_IP_Interface_Query/1", _of(f.NetworkIPInterfaceQuery, "maint", "tcpip", interface_id="eth99"), (8, 4)),
    ("Network_IP_Interface_Remove/1", _of(f.NetworkIPInterfaceRemove, "maint", "tcpip", "eth99", "no"), (8, 12)),
    ("Query_All_DM/1", _of(f.QueryAllDM, "maint", "NO"), OK),
    ("Query_All_DM/2", _of(f.QueryAllDM, "maint", "YES"), OK),
    (
        "Shared_Memory_Create/1",
        _of(f.SharedMemoryCreate, "gt@ping", "SHAREMEM", 0xF000, 0xF0FF, 1, 1, "maint"),
        OK,
    ),
    ("System_Disk_Query/1", _of(f.SystemDiskQuery, "maint", "ALL", "NO"), OK),
    ("System_EQID_Query/1", _of(f.SystemEQIDQuery, "maint", "ALL"), OK),
    ("System_FCP_Free_Query/1", _of(f.SystemFCPFreeQuery, "maint", "5000"), (8, 8)),
    ("System_Info_Query/1", _of(f.SystemInfoQuery, "maint"), OK),
    ("System_Information_Query/1", _of(f.SystemInformationQuery, "maint"), OK),
    ("System_Performance_Info_Query/2", _of(f.SystemPerformanceInfoQuery, "maint", monrate="5"), OK),
    (
        "System_Performance_Threshold_Disable/1",
        _of(f.SystemPerformanceThresholdDisable, "maint", "system_cpu"),
        OK,
    ),
    ("System_SCSI_Disk_Delete/1", _of(f.SystemSCSIDiskDelete, "maint", "7000", "NO"), OK),
    ("System_Spool_Utilization_Query/1", _of(f.SystemSpoolUtilizationQuery, "maint"), OK),
    (
        "Virtual_Channel_Connection_Create/1",
        _of(f.VirtualChannelConnectionCreate, "gt@pong", "f100", "gt@ping", "f100"),
        OK,
    ),
    ("Virtual_Channel_Connection_Delete/1", _of(f.VirtualChannelConnectionDelete, "gt@pong", "f100"), OK),
    ("Virtual_Network_Adapter_Delete_DM/1", _of(f.VirtualNetworkAdapterDeleteDM, "gt@pong", "9000"), OK),
    ("Virtual_Network_Adapter_Create_DM/1", _of(f.VirtualNetworkAdapterCreateDM, "gt@pong", "9000", 2, 3), OK),
    ("Virtual_Network_Adapter_Query_Extended/1", _of(f.VirtualNetworkAdapterQueryExtended, "gt@pong", "*"), OK),
    ("Virtual_Network_LAN_Access_Query/1", _of(f.VirtualNetworkLANAccessQuery, "maint", "gt@vsw1", "SYSTEM"), OK),
    ("Virtual_Network_LAN_Query/1", _of(f.VirtualNetworkLANQuery, "maint", "*", "*"), OK),
    (
        "Virtual_Network_VLAN_Query_Stats/1",
        _of(f.VirtualNetworkVLANQueryStats, "maint", "gt@pong", "ALL", "BOTH", "4"),
        OK,
    ),
    (
        "Virtual_Network_Vswitch_Delete_Extended/1",
        _of(f.VirtualNetworkVswitchDeleteExtended, "maint", "gt@vswi", "NO"),
        OK,
    ),
    (
        "Virtual_Network_Vswitch_Create_Extended/3",
        _of(
            f.VirtualNetworkVswitchCreateExtended,
            "maint",
            "gt@vswi",
            real_device_address="620 630",
            connection_value="DISCON",
            transport_type="ETHERNET",
            vlan_id="1024",
            port_type="ACCESS",
            persist="NO",
            vswitch_type="IVL",
            vswitch_domain="A",
            vswitch_global="DOMAIN",
            port_selection="PORTBASED",
        ),
        OK,
    ),
    ("Virtual_Network_Vswitch_Query_Stats/1", _of(f.VirtualNetworkVswitchQueryStats, "maint", "*", "4"), OK),
    (
        "Virtual_Network_Vswitch_Set/1",
        _of(f.VirtualNetworkVswitchSet, "maint", "gt@vsw1", grant_userid="gt@ping", queue_memory_limit=-1),
        OK,
    ),
    *(
        (
            f"Virtual_Network_Vswitch_Set_Extended/{number}",
            _of(f.VirtualNetworkVswitchSetExtended, "maint", name, persist="NO", **values),
            codes,
        )
        for number, name, values, codes in (
            (1, "gt@vsw2", {"grant_userid": "gt@ping"}, OK),
            (2, "gt@vsw2", {"vlan_port_add": "1000 200"}, OK),
            (3, "gt@vsw2", {"vlan_port_remove": "100 200"}, (396, 3040)),
            (7, "gt@vsw2", {"uplink": "YES", "connection_value": "CON"}, OK),
            (13, "gt@vsw2", {"iptimeout": "5"}, OK),
            (14, "gt@vsw2", {"port_isolation": "ON"}, OK),
            (16, "gt@vsw2", {"VLAN_counters": "ON"}, OK),
            (22, "gt@vsw2", {"portnum": "200 gt@ping", "osd_sim": "YES"}, OK),
        )
    ),
    ("Virtual_Network_Vswitch_Delete/1", _of(f.VirtualNetworkVswitchDelete, "maint", "gt@vsw1", 1), OK),
    ("Virtual_Network_LAN_Delete/1", _of(f.VirtualNetworkLANDelete, "maint", "gt@vsw1", "SYSTEM"), OK),
    ("VMRELOCATE/1", _of(f.VMRELOCATE, "gt@pong", "vm2", "test"), (4, 3000)),
    ("VMRELOCATE_Status/1", _of(f.VMRELOCATEStatus, "maint", "ALL"), (4, 3001)),
    ("VMRM_Measurement_Query/1", _of(f.VMRMMeasurementQuery, "maint"), OK),
)

_DISK = "MDISK=VDEV=777 DEVTYPE=XXXX DISKTYPE=AUTOG COUNT=1000 NAME=LINUX READPASSWORD=READ"
#: What must be asked first: recorded requests, which make or take away what the counterpart needs or makes.
BEFORE: dict[str, tuple[Request[Any], ...]] = {
    "Authorization_List_Remove/1": (_of(f.AuthorizationListAdd, "gt@ping", "all", "all"),),
    "Directory_Manager_Local_Tag_Set_DM/1": (
        _of(f.DirectoryManagerLocalTagDefineDM, "maint", "Tag1", 1, 1),
        _of(f.ImageDefinitionCreateDM, "gt@ping", ("CPU=CPUADDR=00 BASE=YES", "IPL=VDEV=CMS", _DISK)),
    ),
    "Image_Deactivate/1": (_of(f.ImageActivate, "gt@ping"),),
    "Image_Device_Dedicate/1": (_of(f.ImageDeviceUndedicate, "gt@pong", "3000"),),
    "Image_Disk_Delete/1": (_of(f.ImageDiskCreate, "gt@pong", "999", "MR"),),
    "Image_Disk_Share/1": (_of(f.ImageDiskUnshare, "gt@pong", "557"),),
    "Image_Lock_Query_DM/1": (_of(f.ImageLockDM, "gt@pong", "888"),),
    "Image_Replace_DM/1": (_of(f.ImageUnlockDM, "gt@pong", "888"), _of(f.ImageLockDM, "gt@pong", "")),
    "Virtual_Channel_Connection_Create/1": (_of(f.ImageActivate, "gt@ping"),),
    "Virtual_Network_LAN_Delete/1": (_of(f.VirtualNetworkLANCreate, "maint", "gt@vsw1", "SYSTEM", 4, 1),),
    "Virtual_Network_Vswitch_Set_Extended/2": (
        _of(f.VirtualNetworkVswitchSetExtended, "maint", "gt@vsw2", portnum="200 gt@ping", uplink="NO"),
    ),
    "Virtual_Network_Vswitch_Set_Extended/1": (
        _of(
            f.VirtualNetworkVswitchCreateExtended,
            "maint",
            "gt@vsw2",
            "600 610",
            transport_type="ETHERNET",
            vlan_id="1024",
            port_type="TRUNK",
            port_selection="PORTBASED",
        ),
    ),
}
