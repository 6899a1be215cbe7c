"""Metadata of virtual machines, kept by the server LOHCOST."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR_NB
from zvmcloud.smapi.declare import NoData, Reply, Request, Structure, Target, function, reply, structure
from zvmcloud.smapi.layout import Array, Asciiz, Key, Repeat, Struct, Text


@function(
    "Metadata_Delete",
    family="metadata",
    target=Target.TEXT,
    level=620,
    notes=(
        ("One NUL-terminated string of case-sensitive names divided by blanks, with neither key nor length."),
        "The LOHCOST server holds metadata; while it is down the answer is 900/68.",
    ),
)
class MetadataDelete(Request[NoData]):
    """Erase metadata kept under an identifier."""

    metadata_name_list: Annotated[str, Asciiz(1), "Metadata names with blanks between them"]


@structure
class MetadataEntry(Structure):
    """An item of the reply."""

    metadata_entry_name: Annotated[str, Text(1, 1024, CHAR_NB), "Name of the metadata; case matters"]
    metadata: Annotated[str, Text(), "Contents of the metadata"]


@reply
class MetadataGetReply(Reply):
    """Reply of Metadata_Get."""

    metadata_entry_array: Annotated[
        tuple[MetadataEntry, ...], Array(Struct(MetadataEntry)), "Metadata as pairs of name and value"
    ]


@function(
    "Metadata_Get",
    family="metadata",
    target=Target.TEXT,
    level=620,
    notes=("A name that has no value comes back with empty metadata.",),
)
class MetadataGet(Request[MetadataGetReply]):
    """Read metadata kept under an identifier."""

    metadata_name_list: Annotated[str, Asciiz(1), "Metadata names with blanks between them"]


@function("Metadata_Set", family="metadata", target=Target.TEXT, level=620)
class MetadataSet(Request[NoData]):
    """Write metadata to be kept under an identifier."""

    metadata_entry_array: Annotated[
        tuple[MetadataEntry, ...], Array(Struct(MetadataEntry)), "Metadata as pairs of name and value"
    ]


@reply
class MetadataSpaceQueryReply(Reply):
    """Reply of Metadata_Space_Query."""

    output_data: Annotated[tuple[str, ...], Repeat(Asciiz(words="metadata_length metadata_name")), "The metadata found"]


@function(
    "Metadata_Space_Query",
    family="metadata",
    target=Target.TEXT,
    level=640,
    data_optional=True,
    notes=('searchkey may end in "*".',),
)
class MetadataSpaceQuery(Request[MetadataSpaceQueryReply]):
    """Show matching metadata names and how long their values are."""

    searchkey: Annotated[str, Key(1, None, CHAR_NB), "Name searched for; a final * matches any ending"]
