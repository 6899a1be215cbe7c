"""Who may do what: credentials, the authorization file, name lists."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR43
from zvmcloud.smapi.declare import Framing, NoData, Reply, Request, Structure, Target, function, reply, structure
from zvmcloud.smapi.layout import Array, Int, Struct, Text


@function(
    "Authorization_List_Add",
    family="authorization",
    target=Target.IMAGE_OR_LIST,
    notes=(
        (
            'The target identifier names the userid or list being authorized; "=" as for_id stands for it'
            " and is expanded before storing."
        ),
        (
            "for_id: userid (1-8), list (1-64), = or ALL. function_id: function, function list or ALL. "
            "Names are stored in upper case."
        ),
    ),
)
class AuthorizationListAdd(Request[NoData]):
    """Authorize a requester for a function on a target by adding a line to the authorization file."""

    for_id: Annotated[str, Text(1, 64, CHAR43.plus("=")), "Whom the authorization covers: userid, list, = or ALL"]
    function_id: Annotated[str, Text(1, 64, CHAR43), "What is authorized: a function, a function list or ALL"]


@structure
class Authorization(Structure):
    """An item of the reply."""

    requesting_userid: Annotated[str, Text(1, 64, CHAR43), "Who is authorized"]
    requesting_list_indicator: Annotated[
        int, Int(1, choices={0: "a userid", 1: "a list"}), "Tells a list from a userid in requesting_userid"
    ]
    for_userid: Annotated[str, Text(1, 64, CHAR43), "On whom the function may be used"]
    for_list_indicator: Annotated[
        int, Int(1, choices={0: "a userid", 1: "a list"}), "Tells a list from a userid in for_userid"
    ]
    function_name: Annotated[str, Text(1, 64, CHAR43), "What may be called"]
    function_list_indicator: Annotated[
        int,
        Int(1, choices={0: "a single function", 1: "a list"}),
        "Tells a function list from a function in function_name",
    ]


@reply
class AuthorizationListQueryReply(Reply):
    """Reply of Authorization_List_Query."""

    auth_record_array: Annotated[
        tuple[Authorization, ...], Array(Struct(Authorization)), "The authorization-file lines found"
    ]


@function(
    "Authorization_List_Query",
    family="authorization",
    target=Target.IMAGE_OR_LIST,
    notes=(
        (
            'Empty or "*" selects all; "=" as for_id means the target. Empty target with "*" and "*" '
            "lists the whole file in its own order."
        ),
    ),
)
class AuthorizationListQuery(Request[AuthorizationListQueryReply]):
    """Show the authorization-file lines selected by requester, target and function."""

    for_id: Annotated[str, Text(0, 64, CHAR43.plus("=")), "Whom the authorization covers: userid, list, = or ALL"] = ""
    function_id: Annotated[str, Text(0, 64, CHAR43), "What is authorized: a function, a function list or ALL"] = ""


@function(
    "Authorization_List_Remove",
    family="authorization",
    target=Target.IMAGE_OR_LIST,
    notes=(
        (
            "for_id accepts = and * (every target of the requester), function_id accepts *. The word ALL "
            "was accepted for both on z/VM 7.1."
        ),
    ),
)
class AuthorizationListRemove(Request[NoData]):
    """Withdraw authorizations by deleting lines of the authorization file."""

    for_id: Annotated[str, Text(1, 64, CHAR43.plus("=")), "Whom the authorization covers: userid, list, = or ALL"]
    function_id: Annotated[str, Text(1, 64, CHAR43), "What is authorized: a function, a function list or ALL"]


@function(
    "Check_Authentication",
    family="authorization",
    target=Target.NONE,
    framing=Framing.NO_TARGET,
    notes=(
        "The answer is rc/rs alone: 0/0 good, 120/0 wrong userid or password, 128/0 expired.",
        (
            "Most clients stop after the password without a target field, pysmapi sends an empty target; "
            "a server has to take both."
        ),
    ),
)
class CheckAuthentication(Request[NoData]):
    """Test whether a userid and its password are accepted; nothing else happens."""


@function("Name_List_Add", family="authorization", target=Target.LIST)
class NameListAdd(Request[NoData]):
    """Enter a name in a name list; a missing list is created."""

    name: Annotated[str, Text(1, 64, CHAR43), "Member: a userid, a function or another list"]


@function(
    "Name_List_Destroy",
    family="authorization",
    target=Target.LIST,
    notes=("Nothing follows the target; PigIron alone sends another name.",),
)
class NameListDestroy(Request[NoData]):
    """Delete a name list with all its members."""


@reply
class NameListQueryReply(Reply):
    """Reply of Name_List_Query."""

    name_array: Annotated[tuple[str, ...], Array(Text(1, 64, CHAR43)), "The names found"]


@function(
    "Name_List_Query",
    family="authorization",
    target=Target.LIST,
    notes=(
        (
            "With target * the names of the function lists delivered with z/VM were returned "
            "(ABEND_DUMP_MANAGEMENT, AUTHORIZATION and so on)."
        ),
    ),
)
class NameListQuery(Request[NameListQueryReply]):
    """Show who is in a name list, or with target * which lists exist."""


@function("Name_List_Remove", family="authorization", target=Target.LIST)
class NameListRemove(Request[NoData]):
    """Strike a name from a name list; an emptied list is deleted."""

    name: Annotated[str, Text(1, 64, CHAR43), "Member: a userid, a function or another list"]
