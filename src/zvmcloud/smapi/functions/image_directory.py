"""Directory entries of virtual machines as records: create, query, replace, delete, lock."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR16, CHAR42, CHAR_NB
from zvmcloud.smapi.declare import NoData, Reply, Request, Target, function, reply
from zvmcloud.smapi.functions.fields import OperationId
from zvmcloud.smapi.layout import Array, Asciiz, Int, Text


@reply
class ImageCreateDMReply(Reply):
    """Reply of Image_Create_DM."""

    operation_id: OperationId


@function(
    "Image_Create_DM",
    family="image_directory",
    directory_manager=True,
    data_with=(0, 592),
    notes=(
        ("operation_id -1 (X'FFFFFFFF') means the work is complete; only 592/0 brings an id worth polling."),
        (
            "Give either prototype_name or image_record_array; password and account number belong to the "
            "prototype, which wins if both are given (zthin)."
        ),
    ),
)
class ImageCreateDM(Request[ImageCreateDMReply]):
    """Define a new userid in the directory from a prototype or from given records."""

    prototype_name: Annotated[str, Text(0, 8, CHAR42), "Prototype that supplies the new entry"] = ""
    initial_password: Annotated[str, Text(0, 200), "Password with which the new userid logs on"] = ""
    initial_account_number: Annotated[str, Text(0, 8, CHAR_NB), "Account number given to the new userid"] = ""
    image_record_array: Annotated[tuple[str, ...], Array(Text(1, 72)), "Directory statements, one per record"] = ()


@reply
class ImageDeleteDMReply(Reply):
    """Reply of Image_Delete_DM."""

    operation_id: OperationId


@function("Image_Delete_DM", family="image_directory", directory_manager=True, data_with=(0, 592))
class ImageDeleteDM(Request[ImageDeleteDMReply]):
    """Erase a userid from the directory and free its minidisks."""

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


@function(
    "Image_Lock_DM",
    family="image_directory",
    directory_manager=True,
    notes=(("An empty device_address locks the whole entry. Limits differ: 1-8 characters in pysmapi, 0-4 in zthin."),),
)
class ImageLockDM(Request[NoData]):
    """Keep others from changing a directory entry or a single device in it."""

    device_address: Annotated[str, Text(0, 4, CHAR16), "vdev; left empty, the entire entry is meant"] = ""


@reply
class ImageLockQueryDMReply(Reply):
    """Reply of Image_Lock_Query_DM."""

    lock_info: Annotated[
        str,
        Text(words="locked_type [locked_by]"),
        "What is locked (IMAGE, PROFILE or DEVICE), a blank, and the lock holder",
    ]
    locked_dev_array: Annotated[
        tuple[str, ...], Array(Asciiz(words="dev_address dev_locked_by")), "The devices that are locked"
    ]


@function(
    "Image_Lock_Query_DM",
    family="image_directory",
    directory_manager=True,
    level=630,
    data_optional=True,
    notes=(
        (
            'A locked entry gives 0/12 and a counted text such as "IMAGE MAINT" without a NUL (zthin '
            "expects one, 17 bytes at most); 0/24 means unlocked."
        ),
        "locked_type is IMAGE or DEVICE.",
    ),
)
class ImageLockQueryDM(Request[ImageLockQueryDMReply]):
    """Tell who, if anyone, has locked a directory entry or devices in it."""


@reply
class ImageNameQueryDMReply(Reply):
    """Reply of Image_Name_Query_DM."""

    image_name_array: Annotated[tuple[str, ...], Array(Text(1, 8, CHAR42)), "The userids"]


@function("Image_Name_Query_DM", family="image_directory", target=Target.AUTHORIZATION, directory_manager=True)
class ImageNameQueryDM(Request[ImageNameQueryDMReply]):
    """Name every userid the directory defines."""


@function("Image_Password_Set_DM", family="image_directory", directory_manager=True)
class ImagePasswordSetDM(Request[NoData]):
    """Change the logon password or phrase in a directory entry."""

    image_password: Annotated[str, Text(1, 200), "New password or password phrase"]


@reply
class ImageQueryDMReply(Reply):
    """Reply of Image_Query_DM."""

    image_record_array: Annotated[tuple[str, ...], Array(Text(1, 80)), "Directory statements, one per record"]


@function(
    "Image_Query_DM",
    family="image_directory",
    directory_manager=True,
    notes=(
        ("Records have 72 characters, filled with blanks, and include DirMaint comments such as *PW00=."),
        "The USER statement holds the password in clear: keep replies out of logs.",
    ),
)
class ImageQueryDM(Request[ImageQueryDMReply]):
    """Read a directory entry as records."""


@function(
    "Image_Replace_DM",
    family="image_directory",
    directory_manager=True,
    notes=("Lock the entry first (Image_Lock_DM), or the answer is 400/24.",),
)
class ImageReplaceDM(Request[NoData]):
    """Exchange the complete contents of a locked directory entry."""

    image_record_array: Annotated[tuple[str, ...], Array(Text(1, 72)), "Directory statements, one per record"]


@function("Image_Unlock_DM", family="image_directory", directory_manager=True)
class ImageUnlockDM(Request[NoData]):
    """Unlock a directory entry or a single device in it."""

    device_address: Annotated[str, Text(0, 4, CHAR16), "vdev; left empty, the entire entry is meant"] = ""
