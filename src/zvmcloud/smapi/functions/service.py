"""The SMAPI servers themselves: level, recovery of replies, dumps, status."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR26, CHAR36, CHAR42
from zvmcloud.smapi.declare import (
    ErrorData,
    ErrorLayout,
    Framing,
    NoData,
    Reply,
    Request,
    Structure,
    Target,
    function,
    reply,
    structure,
)
from zvmcloud.smapi.layout import Array, Asciiz, Chars, Group, Int, Key, Raw, Repeat


@function("Delete_ABEND_Dump", family="service", target=Target.AUTHORIZATION, level=620)
class DeleteABENDDump(Request[NoData]):
    """Erase a single CP abend dump from the dump reader or, once processed, from SFS."""

    id: Annotated[str, Key(1, 8, CHAR42), "Dump to act on: its spool file number or its file name"]


@reply
class IPaddrGetReply(Reply):
    """Reply of IPaddr_Get."""

    ip_list: Annotated[tuple[str, ...], Repeat(Asciiz()), "Addresses of the stack"]


@function("IPaddr_Get", family="service", target=Target.NONE, framing=Framing.LEGACY)
class IPaddrGet(Request[IPaddrGetReply]):
    """Read the addresses of the z/VM TCP/IP stack (undocumented)."""


@function(
    "Process_ABEND_Dump",
    family="service",
    target=Target.AUTHORIZATION,
    level=620,
    notes=("Leave spoolid out for the next dump; ALL takes every dump.",),
)
class ProcessABENDDump(Request[NoData]):
    """Let the dump-processing userid load CP abend dumps waiting in its reader."""

    spoolid: Annotated[str | None, Key(1, 4, CHAR36), "Spool file number; ALL takes every one"] = None


@structure
class AbendDump(Structure):
    """An item of the reply."""

    abend_dump_loc: Annotated[int, Int(1, choices={1: "in the reader", 2: "in SFS"}), "Place in which the dump lies"]
    abend_dump_id: Annotated[str, Chars(8), "Spool file number or file name of the dump, filled up with blanks"]
    abend_dump_date: Annotated[str, Chars(10), "Day, written yyyy-mm-dd"]
    abend_dump_dist: Annotated[str, Chars(8), "Distribution code filled up with blanks"]


@reply
class QueryABENDDumpReply(Reply):
    """Reply of Query_ABEND_Dump."""

    abend_dump_array: Annotated[tuple[AbendDump, ...], Repeat(Group(AbendDump)), "The dumps found"]


@function(
    "Query_ABEND_Dump",
    family="service",
    target=Target.AUTHORIZATION,
    level=620,
    notes=("Entries are 27 bytes each, without separators, up to the end of the reply.",),
)
class QueryABENDDump(Request[QueryABENDDumpReply]):
    """Show CP abend dumps still in the dump reader, already processed, or both."""

    location: Annotated[
        str, Key(3, 3, CHAR26, choices={"RDR": "", "SFS": "", "ALL": ""}), "Place searched: RDR, SFS, or ALL for both"
    ]


@function(
    "Query_API_Functional_Level",
    family="service",
    target=Target.AUTHORIZATION,
    notes=(
        (
            "rc 0 and the level as rs: 0 for z/VM 5.3, then 540, 610, 611, 620, 621, 630, 640, 710, 720, "
            "later 730 and 740."
        ),
    ),
)
class QueryAPIFunctionalLevel(Request[NoData]):
    """Ask for the SMAPI level; the answer is the reason code."""


@reply
class ResponseRecoveryReply(Reply):
    """Reply of Response_Recovery."""

    response_data: Annotated[bytes, Raw(), "The reply that was lost"]


@function(
    "Response_Recovery",
    family="service",
    target=Target.AUTHORIZATION,
    level=611,
    data_optional=True,
    notes=(
        ("0/0 brings the data of the lost reply; 4/4 means nothing is held, so the request can be sent again."),
        "PigIron leaves failed_request_id out.",
    ),
)
class ResponseRecovery(Request[ResponseRecoveryReply]):
    """Collect the answer to a request whose connection broke."""

    failed_request_id: Annotated[int, Int(4), "Request id whose reply was lost"]


@function(
    "SMAPI_Status_Capture",
    family="service",
    target=Target.AUTHORIZATION,
    level=630,
    notes=("PigIron expects an operation_id in the reply, pysmapi and zthin expect no data; unrecorded.",),
)
class SMAPIStatusCapture(Request[NoData]):
    """Make the SMAPI servers gather diagnostics about themselves."""


@reply
class XcatAccomodationReply(Reply):
    """Reply of xcat_accomodation."""

    XCAT_commands_data: Annotated[tuple[str, ...], Array(Asciiz()), "The command's answer, line by line"]


@function(
    "xcat_accomodation",
    family="service",
    target=Target.AUTHORIZATION,
    level=630,
    data_optional=True,
    errors=(ErrorData(ErrorLayout.COUNTED_TEXT, ("*/*",)),),
    notes=(
        ('"cmd=..." has neither length nor NUL. zthin announces 4 bytes more than that and fills them with garbage.'),
    ),
)
class XcatAccomodation(Request[XcatAccomodationReply]):
    """Run a CP command from the small set xCAT needs (undocumented; smcli xCAT_Commands_IUO)."""

    command: Annotated[bytes, Raw(), "CP command, preceded by cmd="]
