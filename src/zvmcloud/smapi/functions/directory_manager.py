"""The directory manager as a whole: entries, tags, searches, work units."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR26, CHAR42
from zvmcloud.smapi.declare import NoData, Reply, Request, Structure, Target, function, reply, structure
from zvmcloud.smapi.functions.fields import TagName
from zvmcloud.smapi.layout import Array, Asciiz, ByRequestKey, Group, Int, Key, Struct, Text


@function(
    "Directory_Manager_Local_Tag_Define_DM",
    family="directory_manager",
    target=Target.AUTHORIZATION,
    directory_manager=True,
    notes=("PigIron leaves define_action out.",),
)
class DirectoryManagerLocalTagDefineDM(Request[NoData]):
    """Introduce a local tag (named comment record) or give an existing one a new ordinal."""

    tag_name: TagName
    tag_ordinal: Annotated[int, Int(4, 0, 999), "Place of the tag in the sort order"]
    define_action: Annotated[
        int,
        Int(1, choices={1: "define a tag that is new", 2: "give a known tag another ordinal"}),
        "Whether the tag is new or gets another ordinal",
    ]


@function(
    "Directory_Manager_Local_Tag_Delete_DM",
    family="directory_manager",
    target=Target.AUTHORIZATION,
    directory_manager=True,
)
class DirectoryManagerLocalTagDeleteDM(Request[NoData]):
    """Make the directory manager forget a local tag."""

    tag_name: TagName


@reply
class DirectoryManagerLocalTagQueryDMReply(Reply):
    """Reply of Directory_Manager_Local_Tag_Query_DM."""

    tag_value: Annotated[str, Text(1, 1024), "Local tag contents"]


@function(
    "Directory_Manager_Local_Tag_Query_DM",
    family="directory_manager",
    directory_manager=True,
    notes=("Sources differ on the limit of tag_value in the reply: 240 (zthin) or 1024 (pysmapi).",),
)
class DirectoryManagerLocalTagQueryDM(Request[DirectoryManagerLocalTagQueryDMReply]):
    """Read what a local tag holds in one userid's directory entry."""

    tag_name: TagName


@function(
    "Directory_Manager_Local_Tag_Set_DM",
    family="directory_manager",
    directory_manager=True,
    notes=("PigIron leaves tag_value out.",),
)
class DirectoryManagerLocalTagSetDM(Request[NoData]):
    """Write what a local tag holds in one userid's directory entry."""

    tag_name: TagName
    tag_value: Annotated[str, Text(1, 1024), "Local tag contents"]


@structure
class FoundStatement(Structure):
    """An item of the reply."""

    target_id: Annotated[str, Text(1, 8, CHAR42), "Directory entry in which it was found"]
    statement: Annotated[str, Text(1, 72), "The statement as it stands in the directory"]


@reply
class DirectoryManagerSearchDMReply(Reply):
    """Reply of Directory_Manager_Search_DM."""

    statement_array: Annotated[tuple[FoundStatement, ...], Array(Group(FoundStatement)), "The statements found"]


@function(
    "Directory_Manager_Search_DM",
    family="directory_manager",
    target=Target.AUTHORIZATION,
    directory_manager=True,
    notes=(
        "Array elements carry no structure length: target_id and statement alternate.",
        'Any token may end in "*", as in "user sys*".',
    ),
)
class DirectoryManagerSearchDM(Request[DirectoryManagerSearchDMReply]):
    """Find source-directory statements by a pattern of tokens."""

    search_pattern: Annotated[str, Text(1, 72), "Tokens with blanks between them; a final * matches any ending"]


@function(
    "Directory_Manager_Task_Cancel_DM",
    family="directory_manager",
    target=Target.AUTHORIZATION,
    directory_manager=True,
    notes=("An operation id that is not known answers 452/4.",),
)
class DirectoryManagerTaskCancelDM(Request[NoData]):
    """Call off directory-manager work that runs asynchronously."""

    operation_id: Annotated[int, Int(4, 0, 2_147_483_647), "Number identifying asynchronous directory-manager work"]


@structure
class DirectoryEntry(Structure):
    """An item of the reply."""

    directory_entry_type: Annotated[
        int,
        Int(
            4,
            choices={
                0: "USER",
                1: "PROFILE",
                2: "POOLUSER",
                3: "POOL",
                4: "DIRECTORY",
                5: "GLOBAL",
                6: "IDENTITY",
                7: "SUBCONFIG",
                8: "OTHER",
            },
        ),
        "Sort of directory entry",
    ]
    directory_entry_id: Annotated[str, Text(1, 10), "What the entry is called"]
    directory_entry_data: Annotated[
        tuple[str, ...],
        ByRequestKey("format", "NO", {"NO": Array(Text(1, 80)), "YES": Array(Asciiz())}),
        "The entry itself: records or KEYWORD=value strings, as requested",
    ]


@reply
class QueryAllDMReply(Reply):
    """Reply of Query_All_DM."""

    directory_entries_array: Annotated[
        tuple[DirectoryEntry, ...], Array(Struct(DirectoryEntry)), "The directory entries"
    ]


@function(
    "Query_All_DM",
    family="directory_manager",
    target=Target.AUTHORIZATION,
    counted_keys=True,
    directory_manager=True,
    level=620,
    notes=(
        (
            "The reply does not tell its own form: counted records for format=NO, NUL-terminated KEYWORD "
            "strings for format=YES."
        ),
        (
            "format=YES showed only USER and PROFILE entries; the password is a bare word without "
            "PASSWORD=, absent statements appear as empty keywords."
        ),
        "The counted request string may come with a NUL (zthin, PigIron) or without (pysmapi).",
    ),
)
class QueryAllDM(Request[QueryAllDMReply]):
    """Read the complete source directory in record or KEYWORD=value form."""

    format: Annotated[
        str | None,
        Key(2, 3, CHAR26, choices={"YES": "", "NO": ""}),
        "YES asks for KEYWORD=value strings, NO for records",
    ] = None


@function(
    "Query_Asynchronous_Operation_DM",
    family="directory_manager",
    target=Target.AUTHORIZATION,
    directory_manager=True,
    notes=(("rc 0 with rs 100 done, 104 running, 108 failed. An operation id that is not known answered 0/0."),),
)
class QueryAsynchronousOperationDM(Request[NoData]):
    """Ask how far asynchronous directory-manager work has come."""

    operation_id: Annotated[int, Int(4, 0, 2_147_483_647), "Number identifying asynchronous directory-manager work"]


@reply
class QueryDirectoryManagerLevelDMReply(Reply):
    """Reply of Query_Directory_Manager_Level_DM."""

    directory_manager_level: Annotated[str, Text(1, 100), "Directory manager product with its level"]


@function(
    "Query_Directory_Manager_Level_DM", family="directory_manager", target=Target.AUTHORIZATION, directory_manager=True
)
class QueryDirectoryManagerLevelDM(Request[QueryDirectoryManagerLevelDMReply]):
    """Ask which directory manager is installed and at what level."""


@function(
    "Static_Image_Changes_Activate_DM", family="directory_manager", target=Target.AUTHORIZATION, directory_manager=True
)
class StaticImageChangesActivateDM(Request[NoData]):
    """Switch to ONLINE: source-directory changes reach the object directory."""


@function(
    "Static_Image_Changes_Deactivate_DM",
    family="directory_manager",
    target=Target.AUTHORIZATION,
    directory_manager=True,
)
class StaticImageChangesDeactivateDM(Request[NoData]):
    """Switch to OFFLINE: source-directory changes stay out of the object directory."""


@function(
    "Static_Image_Changes_Immediate_DM", family="directory_manager", target=Target.AUTHORIZATION, directory_manager=True
)
class StaticImageChangesImmediateDM(Request[NoData]):
    """Bring waiting directory changes online at once, whether ONLINE or OFFLINE is set."""
