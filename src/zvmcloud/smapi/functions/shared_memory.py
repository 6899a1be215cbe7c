"""Saved segments and who may use them."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR42, CHAR43
from zvmcloud.smapi.declare import NoData, Reply, Request, Structure, Target, function, reply, structure
from zvmcloud.smapi.functions.fields import MemorySegmentName
from zvmcloud.smapi.layout import Array, Int, Struct, Text


@function("Shared_Memory_Access_Add_DM", family="shared_memory", target=Target.IMAGE_OR_LIST, directory_manager=True)
class SharedMemoryAccessAddDM(Request[NoData]):
    """Let a userid use a restricted segment by adding NAMESAVE to its entry."""

    memory_segment_name: MemorySegmentName


@reply
class SharedMemoryAccessQueryDMReply(Reply):
    """Reply of Shared_Memory_Access_Query_DM."""

    name_array: Annotated[tuple[str, ...], Array(Text(1, 8, CHAR42)), "The names found"]


@function("Shared_Memory_Access_Query_DM", family="shared_memory", target=Target.IMAGE_OR_LIST, directory_manager=True)
class SharedMemoryAccessQueryDM(Request[SharedMemoryAccessQueryDMReply]):
    """Tell which of the given userids a restricted segment is open to."""

    memory_segment_name: MemorySegmentName


@function("Shared_Memory_Access_Remove_DM", family="shared_memory", target=Target.IMAGE_OR_LIST, directory_manager=True)
class SharedMemoryAccessRemoveDM(Request[NoData]):
    """Close a restricted segment to a userid by dropping its NAMESAVE."""

    memory_segment_name: MemorySegmentName


@function(
    "Shared_Memory_Create",
    family="shared_memory",
    notes=("memory_access_identifier: 0-8 characters in pysmapi; zthin also allows a list name.",),
)
class SharedMemoryCreate(Request[NoData]):
    """Set up a shared memory segment and save it."""

    memory_segment_name: MemorySegmentName
    begin_page: Annotated[int, Int(8, 0, 524_031), "4 KiB page at which the range begins"]
    end_page: Annotated[int, Int(8, 0, 524_031), "4 KiB page at which the range ends"]
    page_access_descriptor: Annotated[
        int,
        Int(1, choices={1: "SW", 2: "EW", 3: "SR", 4: "ER", 5: "SN", 6: "EN", 7: "SC"}),
        "Access mode of the page range",
    ]
    memory_attributes: Annotated[
        int, Int(1, choices={0: "not stated", 1: "RSTD", 2: "UNRSTD"}), "Tells whether the segment is open to everyone"
    ] = 0
    memory_access_identifier: Annotated[
        str, Text(0, 64, CHAR43), "userid or list to which a restricted segment is open"
    ] = ""


@function("Shared_Memory_Delete", family="shared_memory", target=Target.AUTHORIZATION)
class SharedMemoryDelete(Request[NoData]):
    """Discard a saved shared memory segment."""

    memory_segment_name: MemorySegmentName


@structure
class MemorySegmentPageRange(Structure):
    """An item of the reply."""

    begin_page: Annotated[int, Int(8), "4 KiB page at which the range begins"]
    end_page: Annotated[int, Int(8), "4 KiB page at which the range ends"]
    page_access_descriptor: Annotated[
        int,
        Int(1, choices={1: "SW", 2: "EW", 3: "SR", 4: "ER", 5: "SN", 6: "EN", 7: "SC"}),
        "Access mode of the page range",
    ]


@structure
class MemorySegment(Structure):
    """An item of the reply."""

    memory_segment_name: MemorySegmentName
    memory_segment_status: Annotated[
        int,
        Int(1, choices={1: "skeleton only", 2: "open to everyone", 3: "open to named users only", 4: "purge awaited"}),
        "Condition of the segment",
    ]
    page_range_array: Annotated[
        tuple[MemorySegmentPageRange, ...], Array(Struct(MemorySegmentPageRange)), "The page ranges of the segment"
    ]


@reply
class SharedMemoryQueryReply(Reply):
    """Reply of Shared_Memory_Query."""

    memory_segment_array: Annotated[tuple[MemorySegment, ...], Array(Struct(MemorySegment)), "The segments found"]


@function(
    "Shared_Memory_Query",
    family="shared_memory",
    target=Target.AUTHORIZATION,
    notes=("memory_segment_name * asks for all.",),
)
class SharedMemoryQuery(Request[SharedMemoryQueryReply]):
    """Show saved segments with the pages they occupy."""

    memory_segment_name: MemorySegmentName


@function(
    "Shared_Memory_Replace", family="shared_memory", notes=("z/VM 7.1 answered 0/12 (NAMESAVE already present).",)
)
class SharedMemoryReplace(Request[NoData]):
    """Save an already defined segment anew and state who may use it."""

    memory_segment_name: MemorySegmentName
    memory_access_identifier: Annotated[
        str, Text(0, 64, CHAR43), "userid or list to which a restricted segment is open"
    ] = ""
