"""Single system image clusters and live guest relocation."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR26, CHAR42
from zvmcloud.smapi.declare import ErrorData, ErrorLayout, NoData, Reply, Request, Target, function, reply
from zvmcloud.smapi.layout import Asciiz, Key, Repeat


@reply
class SSIQueryReply(Reply):
    """Reply of SSI_Query."""

    ssi_name: Annotated[str, Asciiz(1, 8, CHAR42), "Name of the SSI cluster"]
    ssi_mode: Annotated[str, Asciiz(4, 6, CHAR26), "Cluster mode, for example STABLE or SAFE"]
    cross_system_timeouts: Annotated[str, Asciiz(7, 8, CHAR26), "Whether it is ENABLED or DISABLED"]
    ssi_pdr: Annotated[str, Asciiz(6, 14, CHAR42), "Where the persistent data record is: volume, perhaps with device"]
    ssi_info_array: Annotated[
        tuple[str, ...],
        Repeat(
            Asciiz(words="member_slot member_system_id member_state member_pdr_heartbeat member_received_heartbeat")
        ),
        "The member slots",
    ]


@function(
    "SSI_Query",
    family="relocation",
    target=Target.AUTHORIZATION,
    level=620,
    notes=(
        "zthin calls it with empty userid and password and target ALL.",
        "4/3008: this system belongs to no SSI cluster.",
    ),
)
class SSIQuery(Request[SSIQueryReply]):
    """Show name, mode and members of the SSI cluster."""


@function(
    "VMRELOCATE",
    family="relocation",
    level=620,
    errors=(ErrorData(ErrorLayout.STRING, ("*/*",)),),
    notes=(
        (
            "action is TEST unless given; CANCEL ignores destination. force combines ARCHITECTURE, "
            "DOMAIN, STORAGE. Times: 1-99999999 seconds or NOLIMIT."
        ),
        (
            'Error data has no length: CP message numbers divided by blanks, then a NUL ("1940 1996 1996 '
            '1981" with 4/3000).'
        ),
        "pysmapi adds an empty max_quiesce= whenever max_total is set; accept it.",
    ),
)
class VMRELOCATE(Request[NoData]):
    """Test, start or cancel the live relocation of a guest to another SSI member."""

    destination: Annotated[str | None, Key(1, 8, CHAR42), "SSI member that is to receive the guest"] = None
    action: Annotated[
        str | None, Key(0, 6, CHAR42, choices={"MOVE": "", "TEST": "", "CANCEL": ""}), "Action wanted"
    ] = None
    force: Annotated[str | None, Key(0, 27, CHAR42.plus(" ")), "Which checks not to heed"] = None
    immediate: Annotated[
        str | None,
        Key(0, 3, CHAR42, choices={"YES": "", "NO": ""}),
        "Tells whether memory is moved without the repeated passes",
    ] = None
    max_total: Annotated[str | None, Key(0, 8, CHAR42), "Limit for the whole relocation: seconds or NOLIMIT"] = None
    max_quiesce: Annotated[str | None, Key(0, 8, CHAR42), "Limit for the guest's standstill: seconds or NOLIMIT"] = None


@function("VMRELOCATE_Image_Attributes", family="relocation", level=620)
class VMRELOCATEImageAttributes(Request[NoData]):
    """Alter whether and within which domain a logged-on guest may relocate."""

    relocation_setting: Annotated[
        str, Key(2, 3, CHAR26, choices={"ON": "", "OFF": ""}), "ON permits it, OFF forbids it"
    ]
    domain_name: Annotated[str | None, Key(0, 8, CHAR42), "Name of the relocation domain"] = None
    archforce: Annotated[
        str | None,
        Key(0, 3, CHAR26, choices={"YES": "", "NO": ""}),
        "Tells whether to accept fewer architecture features by force",
    ] = None


@function(
    "VMRELOCATE_Modify",
    family="relocation",
    level=620,
    errors=(ErrorData(ErrorLayout.STRING, ("*/*",)),),
    notes=('8/3010 brings "1926" and a NUL.',),
)
class VMRELOCATEModify(Request[NoData]):
    """Alter the time limits of a relocation that is under way."""

    max_total: Annotated[str | None, Key(1, 8, CHAR42), "Limit for the whole relocation: seconds or NOLIMIT"] = None
    max_quiesce: Annotated[str | None, Key(0, 8, CHAR42), "Limit for the guest's standstill: seconds or NOLIMIT"] = None


@reply
class VMRELOCATEStatusReply(Reply):
    """Reply of VMRELOCATE_Status."""

    VMRELOCATE_status_array: Annotated[
        tuple[str, ...],
        Repeat(
            Asciiz(
                words=(
                    "VMRELOCATE_image VMRELOCATE_source_system VMRELOCATE_destination_system VMRELOCATE_by "
                    "VMRELOCATE_elapsed VMRELOCATE_status"
                )
            )
        ),
        "The relocations under way",
    ]


@function(
    "VMRELOCATE_Status",
    family="relocation",
    target=Target.AUTHORIZATION,
    level=620,
    data_optional=True,
    notes=(
        (
            'status_target: ALL (default), "USER userid", INCOMING or OUTGOING. With nothing moving: '
            "4/3001 without data."
        ),
    ),
)
class VMRELOCATEStatus(Request[VMRELOCATEStatusReply]):
    """Show which relocations are under way."""

    status_target: Annotated[str | None, Key(1, 13, CHAR42.plus(" ")), "Selects the relocations shown"] = None
