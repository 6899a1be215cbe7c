"""Volumes, regions and groups of the directory manager; volumes shared by guests."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR26, CHAR36, CHAR42
from zvmcloud.smapi.declare import NoData, Reply, Request, Target, function, reply
from zvmcloud.smapi.functions.fields import (
    AltParmDiskNumber,
    AltParmDiskOwner,
    AltParmDiskPassword,
    AltSystemConfigName,
    AltSystemConfigType,
    ImageDeviceNumber,
    ParmDiskNumber,
    ParmDiskOwner,
    ParmDiskPassword,
    SystemConfigName,
    SystemConfigType,
)
from zvmcloud.smapi.layout import Array, Asciiz, Int, Key, Repeat, Text


@function("Image_Volume_Add", family="volume", target=Target.AUTHORIZATION)
class ImageVolumeAdd(Request[NoData]):
    """Enter a user DASD volume in the system configuration."""

    image_device_number: ImageDeviceNumber
    image_vol_id: Annotated[str, Text(1, 6, CHAR42), "volser"]
    system_config_name: SystemConfigName = ""
    system_config_type: SystemConfigType = ""
    parm_disk_owner: ParmDiskOwner = ""
    parm_disk_number: ParmDiskNumber = ""
    parm_disk_password: ParmDiskPassword = ""
    alt_system_config_name: AltSystemConfigName = ""
    alt_system_config_type: AltSystemConfigType = ""
    alt_parm_disk_owner: AltParmDiskOwner = ""
    alt_parm_disk_number: AltParmDiskNumber = ""
    alt_parm_disk_password: AltParmDiskPassword = ""


@function("Image_Volume_Delete", family="volume", target=Target.AUTHORIZATION)
class ImageVolumeDelete(Request[NoData]):
    """Strike a user DASD volume off the system configuration."""

    image_device_number: ImageDeviceNumber
    image_vol_id: Annotated[str, Text(1, 6, CHAR42), "volser"]
    system_config_name: SystemConfigName = ""
    system_config_type: SystemConfigType = ""
    parm_disk_owner: ParmDiskOwner = ""
    parm_disk_number: ParmDiskNumber = ""
    parm_disk_password: ParmDiskPassword = ""
    alt_system_config_name: AltSystemConfigName = ""
    alt_system_config_type: AltSystemConfigType = ""
    alt_parm_disk_owner: AltParmDiskOwner = ""
    alt_parm_disk_number: AltParmDiskNumber = ""
    alt_parm_disk_password: AltParmDiskPassword = ""


@function(
    "Image_Volume_Share",
    family="volume",
    target=Target.AUTHORIZATION,
    level=620,
    notes=("share_enable is ON unless given.",),
)
class ImageVolumeShare(Request[NoData]):
    """Switch on or off whether other systems may share a volume's full-pack minidisk."""

    img_vol_addr: Annotated[str, Key(1, 4, CHAR36), "rdev on which the volume is mounted"]
    share_enable: Annotated[
        str | None, Key(0, 3, CHAR26, choices={"ON": "", "OFF": ""}), "ON permits it, OFF forbids it"
    ] = None


@function(
    "Image_Volume_Space_Define_DM",
    family="volume",
    target=Target.AUTHORIZATION,
    directory_manager=True,
    notes=(
        ("start_cylinder and size are -1 where they do not apply (function 5); image_vol_id may be empty."),
        ("region_name is 0-8 characters (RGN001 was recorded), not four hex digits as a pysmapi comment says."),
    ),
)
class ImageVolumeSpaceDefineDM(Request[NoData]):
    """Describe DASD space to the directory manager as a region or group."""

    function_type: Annotated[
        int,
        Int(
            1,
            choices={
                1: "new region",
                2: "new region, put into a group",
                3: "new region covering a whole volume",
                4: "whole volume, put into a group",
                5: "put a known region into a group",
            },
        ),
        "Operation wanted",
    ]
    region_name: Annotated[str, Text(0, 8, CHAR42), "Region name"] = ""
    image_vol_id: Annotated[str, Text(0, 6, CHAR42), "volser"] = ""
    start_cylinder: Annotated[int, Int(4, -1, 2_147_483_640, signed=True), "Cylinder or block at which it begins"] = -1
    size: Annotated[int, Int(4, -1, 2_147_483_640, signed=True), "Length in cylinders or blocks"] = -1
    group_name: Annotated[str, Text(0, 8, CHAR42), "Group name"] = ""
    device_type: Annotated[
        int, Int(1, choices={0: "not stated", 1: "3390", 2: "9336", 3: "3380", 4: "FB-512"}), "Kind of device"
    ] = 0


@function(
    "Image_Volume_Space_Define_Extended_DM",
    family="volume",
    target=Target.AUTHORIZATION,
    counted_keys=True,
    directory_manager=True,
    level=620,
    notes=("The size key is size; v_size in zthin's help is not what was recorded.",),
)
class ImageVolumeSpaceDefineExtendedDM(Request[NoData]):
    """Describe DASD space as a region or group, with an allocation method (key=value)."""

    function_type: Annotated[
        str,
        Key(
            1,
            1,
            CHAR10,
            choices={
                "1": "new region",
                "2": "new region, put into a group",
                "3": "new region covering a whole volume",
                "4": "whole volume, put into a group",
                "5": "put a known region into a group",
            },
        ),
        "Operation wanted",
    ]
    region_name: Annotated[str | None, Key(0, 8, CHAR42), "Region name"] = None
    image_vol_id: Annotated[str | None, Key(0, 6, CHAR42), "volser"] = None
    start_cylinder: Annotated[str | None, Key(0, 10, CHAR10), "Cylinder or block at which it begins"] = None
    size: Annotated[str | None, Key(0, 10, CHAR10), "Length in cylinders or blocks"] = None
    group_name: Annotated[str | None, Key(0, 8, CHAR42), "Group name"] = None
    device_type: Annotated[
        str | None,
        Key(0, 1, CHAR10, choices={"0": "not stated", "1": "3390", "2": "9336", "3": "3380", "4": "FB-512"}),
        "Kind of device",
    ] = None
    alloc_method: Annotated[
        str | None,
        Key(0, 1, CHAR10, choices={"0": "not stated", "1": "fill one after the other", "2": "take turns"}),
        "Order in which a group's space is handed out",
    ] = None


@reply
class ImageVolumeSpaceQueryDMReply(Reply):
    """Reply of Image_Volume_Space_Query_DM."""

    record_array: Annotated[tuple[str, ...], Array(Text(1)), "Result lines"]


@function(
    "Image_Volume_Space_Query_DM",
    family="volume",
    target=Target.AUTHORIZATION,
    directory_manager=True,
    notes=(
        (
            "entry_names * asks for all; columns depend on query_type and entry_type. Used space of a "
            "region: volid devtype start size owner vdev * * region."
        ),
    ),
)
class ImageVolumeSpaceQueryDM(Request[ImageVolumeSpaceQueryDMReply]):
    """Show defined, free or used directory-manager space per volume, region or group."""

    query_type: Annotated[
        int, Int(1, choices={1: "as defined", 2: "unoccupied", 3: "occupied"}), "Kind of space wanted"
    ]
    entry_type: Annotated[
        int, Int(1, choices={1: "volumes", 2: "regions", 3: "groups"}), "Kind of name that entry_names holds"
    ]
    entry_names: Annotated[
        str, Text(0, 255, CHAR42.plus(" ")), "Volumes, regions or groups with blanks between them; * asks for every one"
    ] = ""


@reply
class ImageVolumeSpaceQueryExtendedDMReply(Reply):
    """Reply of Image_Volume_Space_Query_Extended_DM."""

    record_array: Annotated[tuple[str, ...], Repeat(Asciiz()), "Result lines"]


@function(
    "Image_Volume_Space_Query_Extended_DM",
    family="volume",
    target=Target.AUTHORIZATION,
    counted_keys=True,
    directory_manager=True,
    level=620,
    notes=(
        "Records follow without a length, a NUL after each.",
        (
            "Used space of a region: volid devtype start size owner vdev * region * (columns differ from "
            "Image_Volume_Space_Query_DM)."
        ),
    ),
)
class ImageVolumeSpaceQueryExtendedDM(Request[ImageVolumeSpaceQueryExtendedDMReply]):
    """Show directory-manager space per volume, region or group (key=value request)."""

    query_type: Annotated[
        str, Key(1, 1, CHAR10, choices={"1": "as defined", "2": "unoccupied", "3": "occupied"}), "Kind of space wanted"
    ]
    entry_type: Annotated[
        str,
        Key(1, 1, CHAR10, choices={"1": "volumes", "2": "regions", "3": "groups"}),
        "Kind of name that entry_names holds",
    ]
    entry_names: Annotated[
        str | None,
        Key(0, 255, CHAR42.plus(" ")),
        "Volumes, regions or groups with blanks between them; * asks for every one",
    ] = None


@function("Image_Volume_Space_Remove_DM", family="volume", target=Target.AUTHORIZATION, directory_manager=True)
class ImageVolumeSpaceRemoveDM(Request[NoData]):
    """Make the directory manager forget regions or groups of DASD space."""

    function_type: Annotated[
        int,
        Int(
            1,
            choices={
                1: "drop a region",
                2: "take a region out of one group",
                3: "take a region out of every group",
                4: "drop a volume's regions",
                5: "take a volume's regions out of one group",
                6: "take a volume's regions out of every group",
                7: "drop an entire group",
            },
        ),
        "Operation wanted",
    ]
    region_name: Annotated[str, Text(0, 8, CHAR42), "Region name"] = ""
    image_vol_id: Annotated[str, Text(0, 6, CHAR42), "volser"] = ""
    group_name: Annotated[str, Text(0, 8, CHAR42), "Group name"] = ""
