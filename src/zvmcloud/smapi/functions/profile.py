"""Profiles and prototypes of the user directory."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR42
from zvmcloud.smapi.declare import NoData, Reply, Request, Target, function, reply
from zvmcloud.smapi.layout import Array, Asciiz, Text


@function(
    "Profile_Create_DM",
    family="profile",
    target=Target.PROFILE,
    directory_manager=True,
    notes=(
        (
            "pysmapi cannot send this call (its packing code fails); the layout rests on its comments and"
            " zthin, which agree."
        ),
    ),
)
class ProfileCreateDM(Request[NoData]):
    """Define a directory profile from given records."""

    profile_record_array: Annotated[tuple[str, ...], Array(Text(1, 72)), "Statements of the profile, one per record"]


@function("Profile_Delete_DM", family="profile", target=Target.PROFILE, directory_manager=True)
class ProfileDeleteDM(Request[NoData]):
    """Erase a directory profile."""


@function("Profile_Lock_DM", family="profile", target=Target.PROFILE, directory_manager=True)
class ProfileLockDM(Request[NoData]):
    """Keep others from changing a directory profile."""


@reply
class ProfileLockQueryDMReply(Reply):
    """Reply of Profile_Lock_Query_DM."""

    lock_info: Annotated[
        str,
        Text(words="locked_type [locked_by]"),
        "What is locked (IMAGE, PROFILE or DEVICE), a blank, and the lock holder",
    ]
    locked_dev_array: Annotated[
        tuple[str, ...], Array(Asciiz(words="dev_address dev_locked_by")), "The devices that are locked"
    ]


@function(
    "Profile_Lock_Query_DM",
    family="profile",
    target=Target.PROFILE,
    directory_manager=True,
    level=630,
    data_optional=True,
    notes=(
        "Laid out like Image_Lock_Query_DM; locked_type is PROFILE or DEVICE.",
        ('Unrecorded device entries: 4 and 8 fixed bytes in pysmapi, NUL-terminated "address userid" in zthin.'),
    ),
)
class ProfileLockQueryDM(Request[ProfileLockQueryDMReply]):
    """Tell who, if anyone, has locked a directory profile."""


@reply
class ProfileQueryDMReply(Reply):
    """Reply of Profile_Query_DM."""

    profile_record_array: Annotated[tuple[str, ...], Array(Text(0, 80)), "Statements of the profile, one per record"]


@function("Profile_Query_DM", family="profile", target=Target.PROFILE, directory_manager=True)
class ProfileQueryDM(Request[ProfileQueryDMReply]):
    """Read a directory profile as records."""


@function("Profile_Replace_DM", family="profile", target=Target.PROFILE, directory_manager=True)
class ProfileReplaceDM(Request[NoData]):
    """Exchange the contents of a directory profile."""

    profile_record_array: Annotated[tuple[str, ...], Array(Text(1, 72)), "Statements of the profile, one per record"]


@function("Profile_Unlock_DM", family="profile", target=Target.PROFILE, directory_manager=True)
class ProfileUnlockDM(Request[NoData]):
    """Unlock a directory profile."""


@function(
    "Prototype_Create_DM",
    family="profile",
    target=Target.PROTOTYPE,
    directory_manager=True,
    notes=(("pysmapi cannot send this call (its packing code fails); the layout rests on its comments and zthin."),),
)
class PrototypeCreateDM(Request[NoData]):
    """Define a prototype for new userids from given records."""

    prototype_record_array: Annotated[
        tuple[str, ...], Array(Text(1, 72)), "Statements of the prototype, one per record"
    ]


@function("Prototype_Delete_DM", family="profile", target=Target.PROTOTYPE, directory_manager=True)
class PrototypeDeleteDM(Request[NoData]):
    """Erase a directory prototype."""


@reply
class PrototypeNameQueryDMReply(Reply):
    """Reply of Prototype_Name_Query_DM."""

    prototype_name_array: Annotated[tuple[str, ...], Array(Text(1, 8, CHAR42)), "The prototypes that exist"]


@function("Prototype_Name_Query_DM", family="profile", target=Target.AUTHORIZATION, directory_manager=True)
class PrototypeNameQueryDM(Request[PrototypeNameQueryDMReply]):
    """Name every prototype the directory manager has."""


@reply
class PrototypeQueryDMReply(Reply):
    """Reply of Prototype_Query_DM."""

    prototype_record_array: Annotated[
        tuple[str, ...], Array(Text(1, 80)), "Statements of the prototype, one per record"
    ]


@function("Prototype_Query_DM", family="profile", target=Target.PROTOTYPE, directory_manager=True)
class PrototypeQueryDM(Request[PrototypeQueryDMReply]):
    """Read a prototype as records."""


@function("Prototype_Replace_DM", family="profile", target=Target.PROTOTYPE, directory_manager=True)
class PrototypeReplaceDM(Request[NoData]):
    """Exchange the contents of a prototype."""

    prototype_record_array: Annotated[
        tuple[str, ...], Array(Text(1, 72)), "Statements of the prototype, one per record"
    ]
