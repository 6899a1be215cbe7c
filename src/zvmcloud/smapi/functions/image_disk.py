"""Minidisks of a virtual machine, in its directory entry and while it runs."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR16, CHAR26, CHAR36, CHAR37, CHAR42, CHAR_NB
from zvmcloud.smapi.declare import NoData, Reply, Request, Structure, function, reply, structure
from zvmcloud.smapi.functions.fields import ImageDiskNumber, OperationId, TargetImageDiskNumber, TargetImageName
from zvmcloud.smapi.layout import Array, Asciiz, Chars, Group, Int, Key, Repeat, Text


@function("Image_Disk_Copy", family="image_disk")
class ImageDiskCopy(Request[NoData]):
    """Fill a logged-on guest's disk that Image_Disk_Copy_DM has prepared."""

    image_disk_number: ImageDiskNumber


@reply
class ImageDiskCopyDMReply(Reply):
    """Reply of Image_Disk_Copy_DM."""

    operation_id: OperationId


@function(
    "Image_Disk_Copy_DM",
    family="image_disk",
    directory_manager=True,
    data_with=(0, 592),
    notes=(
        "image_disk_allocation_type: first cylinder or block in digits, AUTOG, AUTOR, AUTOV or DEVNO.",
        "The target's own vdev precedes the source userid and the source vdev.",
    ),
)
class ImageDiskCopyDM(Request[ImageDiskCopyDMReply]):
    """Define a minidisk in the directory that duplicates one of another userid."""

    image_disk_number: ImageDiskNumber
    source_image_name: Annotated[str, Text(1, 8, CHAR42), "Owner of the disk that is copied"]
    source_image_disk_number: Annotated[str, Text(1, 4, CHAR16), "vdev of the disk that is copied"]
    image_disk_allocation_type: Annotated[
        str, Text(0, 10, CHAR36.plus("-")), "Method by which space is found for the disk"
    ] = ""
    allocation_area_name_or_volser: Annotated[
        str, Text(0, 8, CHAR42), "Where the space is: group, region, volser or rdev, as the allocation type demands"
    ] = ""
    image_disk_mode: Annotated[str, Text(0, 5, CHAR26), "Access mode: R, RR, W, WR, M, MR or MW"] = ""
    read_password: Annotated[str, Text(0, 8, CHAR_NB), "Password for reading"] = ""
    write_password: Annotated[str, Text(0, 8, CHAR_NB), "Password for writing"] = ""
    multi_password: Annotated[str, Text(0, 8, CHAR_NB), "Password for multiple writing"] = ""


@function("Image_Disk_Create", family="image_disk")
class ImageDiskCreate(Request[NoData]):
    """Make a minidisk from the guest's own directory entry available while it is logged on."""

    image_disk_number: ImageDiskNumber
    image_disk_mode: Annotated[
        str,
        Text(0, 5, CHAR26, choices={"R": "", "RR": "", "W": "", "WR": "", "M": "", "MR": "", "MW": ""}),
        "Access mode: R, RR, W, WR, M, MR or MW",
    ] = ""


@reply
class ImageDiskCreateDMReply(Reply):
    """Reply of Image_Disk_Create_DM."""

    operation_id: OperationId


@function(
    "Image_Disk_Create_DM",
    family="image_disk",
    directory_manager=True,
    data_with=(0, 592),
    notes=(
        (
            "image_disk_allocation_type: start in digits, AUTOG (group), AUTOR (region), AUTOV (volume), "
            "DEVNO (full volume), T-DISK or V-DISK; V-DISK demands FB-512."
        ),
        (
            "allocation_area_name_or_volser: group or region (AUTOG, AUTOR), volser (AUTOV or a start in "
            "digits), rdev (DEVNO)."
        ),
    ),
)
class ImageDiskCreateDM(Request[ImageDiskCreateDMReply]):
    """Define a permanent, temporary or virtual minidisk in a directory entry."""

    image_disk_number: ImageDiskNumber
    image_disk_device_type: Annotated[str, Text(1, 8, CHAR37), "DASD type such as 3390 or FB-512"]
    image_disk_allocation_type: Annotated[
        str, Text(1, 10, CHAR36.plus("-")), "Method by which space is found for the disk"
    ]
    allocation_area_name_or_volser: Annotated[
        str, Text(0, 8, CHAR42), "Where the space is: group, region, volser or rdev, as the allocation type demands"
    ] = ""
    allocation_unit_size: Annotated[
        int,
        Int(
            1,
            choices={
                1: "in cylinders",
                2: "in blocks of 512 bytes",
                3: "in blocks of 1024 bytes",
                4: "in blocks of 2048 bytes",
                5: "in blocks of 4096 bytes",
            },
        ),
        "What image_disk_size is counted in",
    ]
    image_disk_size: Annotated[int, Int(4, 0, 2_147_483_640), "Size, counted in the unit given"]
    image_disk_mode: Annotated[
        str,
        Text(1, 5, CHAR26, choices={"R": "", "RR": "", "W": "", "WR": "", "M": "", "MR": "", "MW": ""}),
        "Access mode: R, RR, W, WR, M, MR or MW",
    ]
    image_disk_formatting: Annotated[
        int,
        Int(
            1,
            choices={
                0: "not stated",
                1: "left unformatted",
                2: "CMS 512",
                3: "CMS 1024",
                4: "CMS 2048",
                5: "CMS 4096",
                6: "CMS with its own default block size",
            },
        ),
        "How the new disk is formatted for CMS",
    ] = 0
    image_disk_label: Annotated[str, Text(0, 6, CHAR_NB), "Label the formatting gives the disk"] = ""
    read_password: Annotated[str, Text(0, 8, CHAR_NB), "Password for reading"] = ""
    write_password: Annotated[str, Text(0, 8, CHAR_NB), "Password for writing"] = ""
    multi_password: Annotated[str, Text(0, 8, CHAR_NB), "Password for multiple writing"] = ""


@function("Image_Disk_Delete", family="image_disk")
class ImageDiskDelete(Request[NoData]):
    """Detach one of a logged-on guest's minidisks."""

    image_disk_number: ImageDiskNumber


@reply
class ImageDiskDeleteDMReply(Reply):
    """Reply of Image_Disk_Delete_DM."""

    operation_id: OperationId


@function("Image_Disk_Delete_DM", family="image_disk", directory_manager=True, data_with=(0, 592))
class ImageDiskDeleteDM(Request[ImageDiskDeleteDMReply]):
    """Drop a minidisk from a directory entry."""

    image_disk_number: ImageDiskNumber
    data_security_erase: Annotated[
        int,
        Int(
            1,
            choices={
                0: "not stated; the installation's default applies",
                1: "leave data in place",
                2: "overwrite data",
            },
        ),
        "Tells whether freed minidisks are overwritten",
    ] = 0


@structure
class VirtualDasd(Structure):
    """An item of the reply."""

    vdasd_vdev: Annotated[str, Chars(4), "vdev"]
    vdasd_rdev: Annotated[str, Chars(4), "rdev; VDSK for a virtual disk"]
    vdasd_access_type: Annotated[int, Int(1, choices={1: "R/O", 2: "R/W"}), "Access the guest has"]
    vdasd_devtype: Annotated[str, Chars(4), "Kind of device"]
    vdasd_size: Annotated[int, Int(8), "Size, counted in vdasd_unit"]
    vdasd_unit: Annotated[int, Int(1, choices={1: "in cylinders", 2: "in blocks"}), "What vdasd_size is counted in"]
    vdasd_volid: Annotated[str, Asciiz(1, 6, CHAR37), "volser; (TEMP) for a T-disk, (VDSK) for a virtual disk"]


@reply
class ImageDiskQueryReply(Reply):
    """Reply of Image_Disk_Query."""

    vdasd_array: Annotated[tuple[VirtualDasd, ...], Repeat(Group(VirtualDasd)), "The disks found"]


@function(
    "Image_Disk_Query",
    family="image_disk",
    level=611,
    notes=(
        "Entries have no array length and run to the end of the reply; vdasd_id ALL lists every disk.",
        (
            "vdasd_rdev can be VDSK, vdasd_volid can be (TEMP) or (VDSK). pysmapi takes volid as 6 bytes "
            "and a NUL, zthin as 1-6 characters and a NUL."
        ),
    ),
)
class ImageDiskQuery(Request[ImageDiskQueryReply]):
    """Show the minidisks, T-disks and V-disks available to a logged-on guest."""

    vdasd_id: Annotated[str, Key(1, 4, CHAR36), "vdev; ALL asks for every disk"]


@function(
    "Image_Disk_Share",
    family="image_disk",
    notes=(
        (
            "First field is the vdev in the target's own machine; target_image_name and "
            "target_image_disk_number are owner and owner's vdev."
        ),
    ),
)
class ImageDiskShare(Request[NoData]):
    """Give a logged-on guest a link to another userid's minidisk."""

    image_disk_number: ImageDiskNumber
    target_image_name: TargetImageName
    target_image_disk_number: TargetImageDiskNumber
    read_write_mode: Annotated[str, Text(0, 4, CHAR26), "Mode of the link"] = ""
    optional_password: Annotated[str, Text(0, 8, CHAR_NB), "Password the link needs"] = ""


@function(
    "Image_Disk_Share_DM",
    family="image_disk",
    directory_manager=True,
    notes=(
        (
            "The first field is the owner's vdev and the third the vdev in the target's machine: the "
            "reverse of Image_Disk_Share, although the names are equal."
        ),
        "zthin swaps the two field names, pysmapi keeps those of Image_Disk_Share.",
    ),
)
class ImageDiskShareDM(Request[NoData]):
    """Put a LINK statement into a guest's directory entry."""

    image_disk_number: ImageDiskNumber
    target_image_name: TargetImageName
    target_image_disk_number: TargetImageDiskNumber
    read_write_mode: Annotated[str, Text(0, 4, CHAR26), "Mode of the link"] = ""
    optional_password: Annotated[str, Text(0, 8, CHAR_NB), "Password the link needs"] = ""


@function("Image_Disk_Unshare", family="image_disk")
class ImageDiskUnshare(Request[NoData]):
    """Detach another userid's minidisk from a logged-on guest."""

    image_disk_number: ImageDiskNumber


@function(
    "Image_Disk_Unshare_DM",
    family="image_disk",
    directory_manager=True,
    notes=("Field order is that of Image_Disk_Share_DM: owner's vdev, owner, vdev of the link.",),
)
class ImageDiskUnshareDM(Request[NoData]):
    """Drop a LINK statement from a guest's directory entry."""

    image_disk_number: ImageDiskNumber
    target_image_name: TargetImageName
    target_image_disk_number: TargetImageDiskNumber


@reply
class ImageMDISKLinkQueryReply(Reply):
    """Reply of Image_MDISK_Link_Query."""

    link_array: Annotated[tuple[str, ...], Array(Asciiz(words="system_name user vaddr access_mode")), "The links found"]


@function(
    "Image_MDISK_Link_Query",
    family="image_disk",
    level=630,
    notes=(
        "system_name is filled to 8 with blanks and one more follows, so split at runs of blanks.",
        "Keys are taken in either case: vdev= was accepted, VDEV= is what zthin documents.",
    ),
)
class ImageMDISKLinkQuery(Request[ImageMDISKLinkQueryReply]):
    """Show the userids linked to a given minidisk."""

    vdev: Annotated[str, Key(1, 4, CHAR36), "vdev of the minidisk asked about"]
