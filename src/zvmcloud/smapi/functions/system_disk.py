"""Real disks, SCSI disks and FCP devices of the z/VM system."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR16, CHAR26, CHAR36, CHAR37, CHAR42, CHAR_NB
from zvmcloud.smapi.declare import ErrorData, ErrorLayout, NoData, Reply, Request, Target, function, reply
from zvmcloud.smapi.functions.fields import DevNum, Persist
from zvmcloud.smapi.layout import Array, Asciiz, Key, Repeat


@function("Page_or_Spool_Volume_Add", family="system_disk", target=Target.AUTHORIZATION, level=620)
class PageOrSpoolVolumeAdd(Request[NoData]):
    """Format a volume and give it to CP for paging or spooling, now and at future IPLs."""

    vol_addr: Annotated[str, Key(1, 4, CHAR16), "rdev on which the volume is mounted"]
    volume_label: Annotated[str, Key(1, 6, CHAR36), "volser that the formatting writes"]
    volume_use: Annotated[str, Key(4, 5, CHAR26, choices={"PAGE": "", "SPOOL": ""}), "Use of the volume: PAGE or SPOOL"]
    system_config_name: Annotated[str | None, Key(0, 8, CHAR42), "File name of the system configuration"] = None
    system_config_type: Annotated[str | None, Key(0, 8, CHAR42), "File type of the system configuration"] = None
    parm_disk_owner: Annotated[str | None, Key(0, 8, CHAR42), "userid owning the parm disk"] = None
    parm_disk_number: Annotated[str | None, Key(0, 4, CHAR16), "vdev of the parm disk"] = None
    parm_disk_password: Annotated[
        str | None, Key(0, 8, CHAR_NB), "Parm disk's password for MW links; a comma stands for no password"
    ] = None


@function("System_Disk_Accessibility", family="system_disk", target=Target.AUTHORIZATION, level=620)
class SystemDiskAccessibility(Request[NoData]):
    """Tell through rc/rs whether a real disk could be attached."""

    dev_num: DevNum


@function("System_Disk_Add", family="system_disk", target=Target.AUTHORIZATION, level=611)
class SystemDiskAdd(Request[NoData]):
    """Introduce a new real ECKD disk to the running system."""

    dev_num: DevNum


@reply
class SystemDiskIOQueryReply(Reply):
    """Reply of System_Disk_IO_Query."""

    DASD_information: Annotated[tuple[str, ...], Array(Asciiz()), "The disks, each as one text"]


@function(
    "System_Disk_IO_Query",
    family="system_disk",
    target=Target.AUTHORIZATION,
    counted_keys=True,
    level=630,
    data_optional=True,
    errors=(ErrorData(ErrorLayout.COUNTED_TEXT, ("8/*",)),),
    notes=(
        (
            "RDEV is * (default) or device numbers divided by blanks. Only 8/3017 was recorded, so order "
            "and names of the reply words are unconfirmed."
        ),
        "The counted request string may come with a NUL (zthin) or without (pysmapi).",
    ),
)
class SystemDiskIOQuery(Request[SystemDiskIOQueryReply]):
    """Show how many bytes were read from and written to real disks."""

    RDEV: Annotated[str | None, Key(1, None, CHAR36.plus("* ")), "rdevs; * asks for every one"] = None


@reply
class SystemDiskQueryReply(Reply):
    """Reply of System_Disk_Query."""

    disk_info_array: Annotated[
        tuple[str, ...],
        Repeat(Asciiz(words="dev_id dev_type dev_status [dev_volser] [disk_size]")),
        "The disks, one item each",
    ]


@function(
    "System_Disk_Query",
    family="system_disk",
    target=Target.AUTHORIZATION,
    level=611,
    notes=(
        ("Split items at single blanks: when offline, a disk shows no volser and its item ends in a blank."),
        (
            "dev_num=ALL lists everything; dev_type is type-model (3390-0C); status is OWNED, SYSTEM, "
            "FREE, OFFLINE, ATTACHED or similar."
        ),
        "Size in cylinders is a fifth word, present only with disk_size=YES.",
    ),
)
class SystemDiskQuery(Request[SystemDiskQueryReply]):
    """Show the real ECKD disks."""

    dev_num: DevNum
    disk_size: Annotated[
        str | None,
        Key(0, 3, CHAR26, choices={"YES": "", "NO": ""}),
        "Cylinders in a reply; in a request, tells whether they are wanted",
    ] = None


@reply
class SystemEQIDQueryReply(Reply):
    """Reply of System_EQID_Query."""

    eqid_array: Annotated[tuple[str, ...], Array(Asciiz(words="eqid_first eqid_rest...")), "The devices or EQIDs found"]


@function(
    "System_EQID_Query",
    family="system_disk",
    target=Target.AUTHORIZATION,
    level=630,
    errors=(ErrorData(ErrorLayout.STRINGS, ("8/3002", "8/3003", "8/3004")),),
    notes=(
        (
            'Items are "rdev eqid" for ALL and RDEV, "eqid rdev rdev ..." for EQID; rdevs have 5 digits '
            "on z/VM 7.1, the subchannel set first."
        ),
        "8/3003 carries the text UNKNOWN_PARAMETER_OPERAND=value.",
    ),
)
class SystemEQIDQuery(Request[SystemEQIDQueryReply]):
    """Show which real devices share which equivalency identifiers (EQIDs)."""

    eqid_for: Annotated[
        str, Key(3, 4, CHAR26, choices={"EQID": "", "ALL": "", "RDEV": ""}), "How eqid_target is to be read"
    ]
    eqid_target: Annotated[
        str | None, Key(1, None, CHAR37.plus(" ")), "EQIDs, or rdevs and ranges of them, with blanks between them"
    ] = None


@reply
class SystemFCPFreeQueryReply(Reply):
    """Reply of System_FCP_Free_Query."""

    fcp_array: Annotated[
        tuple[str, ...],
        Repeat(
            Asciiz(
                words="fcp_dev wwpn lun uuid vendor prod model serial code blk_size diskblks lun_size", separator=";"
            )
        ),
        "The LUNs found",
    ]


@function(
    "System_FCP_Free_Query",
    family="system_disk",
    target=Target.AUTHORIZATION,
    level=620,
    notes=("Semicolons divide the fields. Only 8/8 without data was recorded.",),
)
class SystemFCPFreeQuery(Request[SystemFCPFreeQueryReply]):
    """Show the LUNs that a free FCP device can reach."""

    fcp_dev: Annotated[str, Key(1, 4, CHAR16), "rdev of the FCP device"]


@function(
    "System_SCSI_Disk_Add",
    family="system_disk",
    target=Target.AUTHORIZATION,
    level=611,
    notes=('dev_path_array: "fcp_dev wwpn lun" per path, divided by semicolons.',),
)
class SystemSCSIDiskAdd(Request[NoData]):
    """Define an EDEV on a SCSI disk, or change the paths of an existing one."""

    dev_num: Annotated[str, Key(1, 4, CHAR16), "rdev; a query also takes ALL"]
    dev_path_array: Annotated[
        str, Key(1, None, CHAR16.plus(" ;")), "Paths of FCP device, WWPN and LUN; semicolons divide them"
    ]
    option: Annotated[
        str | None,
        Key(0, 1, CHAR10, choices={"1": "new disk", "2": "more paths", "3": "fewer paths"}),
        "Kind of change wanted",
    ] = None
    persist: Persist = None


@function("System_SCSI_Disk_Delete", family="system_disk", target=Target.AUTHORIZATION, level=620)
class SystemSCSIDiskDelete(Request[NoData]):
    """Remove an EDEV."""

    dev_num: Annotated[str, Key(1, 4, CHAR16), "rdev; a query also takes ALL"]
    persist: Persist = None


@reply
class SystemSCSIDiskQueryReply(Reply):
    """Reply of System_SCSI_Disk_Query."""

    scsi_info_array: Annotated[
        tuple[str, ...],
        Repeat(Asciiz(words="dev_id dev_type dev_attr dev_size fcp_paths...")),
        "The disks, one item each",
    ]


@function(
    "System_SCSI_Disk_Query",
    family="system_disk",
    target=Target.AUTHORIZATION,
    level=611,
    notes=(
        'Items such as "6000 FBA SCSI 0" are divided by NULs, and the last one has none.',
        "Form of fcp_paths (device 4, WWPN 16, LUN 16 characters) is unconfirmed.",
    ),
)
class SystemSCSIDiskQuery(Request[SystemSCSIDiskQueryReply]):
    """Show the EDEVs (emulated SCSI disks)."""

    dev_num: DevNum


@reply
class SystemWWPNQueryReply(Reply):
    """Reply of System_WWPN_Query."""

    wwpn_array: Annotated[
        tuple[str, ...],
        Repeat(Asciiz(words="fcp_dev_id npiv_wwpn chpid perm_wwpn dev_status [owner]")),
        "The FCP devices found",
    ]


@function(
    "System_WWPN_Query",
    family="system_disk",
    target=Target.AUTHORIZATION,
    level=611,
    notes=(
        (
            "dev_status is 1 (active), 2 (free) or 3 (offline). Without NPIV, npiv_wwpn reads NONE; owner"
            " is a sixth word, only with owner=YES."
        ),
        "4/28: no WWPNs exist.",
    ),
)
class SystemWWPNQuery(Request[SystemWWPNQueryReply]):
    """Show FCP devices and the WWPNs they use."""

    owner: Annotated[
        str | None,
        Key(0, 3, CHAR26, choices={"YES": "", "NO": ""}),
        "Holder of the device in a reply; in a request, tells whether it is wanted",
    ] = None
