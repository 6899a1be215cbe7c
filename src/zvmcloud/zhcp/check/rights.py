"""What the agent needs of a z/VM system. tests/zhcp/check compares the tables with what the agent's code calls.

Privilege classes are those of CP's command reference (class G: general user; B: system resource; A: operator).
"""

from __future__ import annotations

from dataclasses import dataclass

FUNCTIONS: dict[str, tuple[str, ...]] = {
    "this check": ("Authorization_List_Query",),
    "facts of the system": (
        "Query_API_Functional_Level", "System_Information_Query", "System_Processor_Query",
        "System_Performance_Information_Query", "System_Image_Performance_Query", "SSI_Query",
        "System_Page_Utilization_Query", "System_Spool_Utilization_Query", "Virtual_Network_OSA_Query",
    ),
    "guests": (
        "Profile_Query_DM", "Image_Create_DM", "Image_Delete_DM", "Image_Query_DM", "Image_Replace_DM", "Image_Lock_DM",
        "Image_Unlock_DM", "Image_Name_Query_DM", "Image_Definition_Update_DM", "Image_Definition_Delete_DM",
        "Image_Activate", "Image_Deactivate", "Image_Pause", "Image_Console_Get", "System_RDR_File_Manage",
        "System_RDR_File_Query", "Prototype_Query_DM", "Image_Status_Query", "Query_All_DM",
    ),
    "disks": (
        "Image_Disk_Create_DM", "Image_Disk_Delete_DM", "Image_Disk_Create", "Image_Disk_Delete",
        "Image_Volume_Space_Query_DM",
    ),
    "networks": (
        "Virtual_Network_Adapter_Create_Extended_DM", "Virtual_Network_Adapter_Create_Extended",
        "Virtual_Network_Adapter_Delete_DM", "Virtual_Network_Adapter_Delete",
        "Virtual_Network_Adapter_Connect_Vswitch_DM", "Virtual_Network_Adapter_Connect_Vswitch",
        "Virtual_Network_Adapter_Disconnect_DM", "Virtual_Network_Adapter_Disconnect",
        "Virtual_Network_Adapter_Query_Extended", "Virtual_Network_Vswitch_Create_Extended",
        "Virtual_Network_Vswitch_Delete_Extended", "Virtual_Network_Vswitch_Set_Extended",
        "Virtual_Network_Adapter_Connect_LAN", "Virtual_Network_LAN_Create", "Virtual_Network_LAN_Delete",
        "Virtual_Network_LAN_Query", "Virtual_Network_LAN_Access", "Virtual_Network_LAN_Access_Query",
        "Virtual_Network_Vswitch_Query_Extended", "Virtual_Network_Vswitch_Query_Byte_Stats",
    ),
    "SCSI volumes": (
        "System_WWPN_Query", "System_FCP_Free_Query", "Image_Device_Dedicate_DM", "Image_Device_Dedicate",
        "Image_Device_Undedicate_DM", "Image_Device_Undedicate", "Directory_Manager_Search_DM",
    ),
    "relocation": ("VMRELOCATE", "VMRELOCATE_Status"),
}  # fmt: skip
"""SMAPI functions by what cannot be done without them."""

ANY = "ABCDEFG"


@dataclass(frozen=True, slots=True)
class ClassRight:
    """A CP command: any one of the classes will do, the first is the one to give."""

    command: str
    classes: str
    why: str
    required: bool = True


COMMANDS: dict[str, ClassRight] = {
    "query_userid": ClassRight("QUERY USERID", ANY, "who the agent is"),
    "query_user": ClassRight("QUERY USER", ANY, "whether a guest is on"),
    "query_virtual": ClassRight("QUERY VIRTUAL", "G", "linked disks"),
    "link": ClassRight("LINK", "G", "writing images"),
    "detach": ClassRight("DETACH", "GB", "writing images"),
    "spool_reader_any_class": ClassRight("SPOOL READER", "G", "console logs"),
    "change_reader": ClassRight("CHANGE", "G", "files for guests"),
    "release_reader": ClassRight("CHANGE", "G", "files for guests"),
    "transfer_reader": ClassRight("TRANSFER", "G", "files for guests"),
    "purge_reader": ClassRight("PURGE", "G", "files for guests"),
    "query_chpid_pchid": ClassRight("QUERY CHPID", "BE", "FCP devices on distinct channels"),
    "query_fcp_active": ClassRight("QUERY FCP", "B", "at which numbers guests have FCP devices"),
    "vary": ClassRight("VARY", "B", "FCP devices that a relocation is not to give away"),
    "query_vswitch": ClassRight("QUERY VSWITCH", "B", "names of VSWITCHes, without asking SMAPI", required=False),
    "query_lan": ClassRight("QUERY LAN", "GB", "guest LANs that are to be deleted"),
    "indicate_user": ClassRight("INDICATE USER", "EABC", "I/O operations of guests", required=False),
    "send": ClassRight("SEND", "C", "lines typed on a guest's console, IPL of its reader", required=False),
    "flashcopy": ClassRight("FLASHCOPY", "GB", "copies of disks"),
    "set_share": ClassRight("SET SHARE", "A", "the share of a guest that is on", required=False),
}
"""The builders of zvmcloud.cp.commands that the agent uses."""

READER = "SPOOL 000C 2540 READER *"
PUNCH = "SPOOL 000D 2540 PUNCH A"
LINK_OPTION = "OPTION LNKNOPAS"
IUCV_STATEMENT = "IUCV ANY"


def function_names() -> dict[str, str]:
    """Function -> what cannot be done without it."""
    return {name: why for why, names in FUNCTIONS.items() for name in names}


def missing_classes(have: str) -> dict[str, ClassRight]:
    """Class to give -> the first command that needs it, of the required commands that no class covers."""
    found: dict[str, ClassRight] = {}
    for right in COMMANDS.values():
        if right.required and not set(right.classes) & set(have):
            found.setdefault(right.classes[0], right)
    return found
