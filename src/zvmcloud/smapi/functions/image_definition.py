"""Directory entries by KEYWORD=... strings."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR26
from zvmcloud.smapi.declare import ErrorData, ErrorLayout, NoData, Reply, Request, Target, function, reply
from zvmcloud.smapi.layout import Array, Asciiz, Key, Repeat


@function("Image_Definition_Async_Updates", family="image_definition", target=Target.AUTHORIZATION, level=620)
class ImageDefinitionAsyncUpdates(Request[NoData]):
    """Choose whether finished Image_Definition_*_DM changes are announced on the event stream."""

    enabled: Annotated[
        str | None, Key(0, 3, CHAR26, choices={"YES": "", "NO": ""}), "YES switches on, NO switches off"
    ] = None


@function(
    "Image_Definition_Create_DM",
    family="image_definition",
    keywords=True,
    directory_manager=True,
    level=620,
    errors=(
        ErrorData(ErrorLayout.STRINGS, ("592/4",)),
        ErrorData(ErrorLayout.STRINGS, ("8/*",)),
    ),
    notes=(
        "An unknown keyword gives 8/3002 with the text UNKNOWN_DIRECTORY_KEYWORD_PARAMETER=keyword.",
        "The catalogue's image_definition_keywords lists keywords and their operands.",
    ),
)
class ImageDefinitionCreateDM(Request[NoData]):
    """Define a new userid in the directory from KEYWORD=value strings."""

    definition_create_directory_keyword_parameter_list: Annotated[
        tuple[str, ...], Repeat(Asciiz()), "The new entry as KEYWORD=value strings"
    ]


@function(
    "Image_Definition_Delete_DM",
    family="image_definition",
    keywords=True,
    directory_manager=True,
    level=611,
    errors=(
        ErrorData(ErrorLayout.STRINGS, ("592/4",)),
        ErrorData(ErrorLayout.STRINGS, ("8/*",)),
    ),
    notes=(('A list holding nothing but "*" was refused on z/VM 7.1: 8/3002 UNKNOWN_DIRECTORY_KEYWORD_PARAMETER=*.'),),
)
class ImageDefinitionDeleteDM(Request[NoData]):
    """Drop the statements that KEYWORD=value strings name, or with * the whole directory entry."""

    definition_delete_directory_keyword_parameter_list: Annotated[
        tuple[str, ...], Repeat(Asciiz()), "What to drop, as KEYWORD=value strings"
    ]


@reply
class ImageDefinitionQueryDMReply(Reply):
    """Reply of Image_Definition_Query_DM."""

    directory_information_data: Annotated[tuple[str, ...], Array(Asciiz()), "Result as KEYWORD=value strings"]


@function(
    "Image_Definition_Query_DM",
    family="image_definition",
    directory_manager=True,
    level=611,
    errors=(ErrorData(ErrorLayout.STRINGS, ("8/*",)),),
    notes=(
        'The counted block holds one NUL-terminated string: keywords divided by blanks, or "*".',
        (
            "Error text for an unknown keyword repeats the whole keyword=value token, unlike the Create, "
            "Update and Delete functions."
        ),
    ),
)
class ImageDefinitionQueryDM(Request[ImageDefinitionQueryDMReply]):
    """Read a directory entry in the form of KEYWORD=value strings."""

    definition_query_directory_keyword_parameter_list: Annotated[
        tuple[str, ...], Array(Asciiz(1)), "Directory keywords with blanks between them; * asks for every one"
    ]


@function(
    "Image_Definition_Update_DM",
    family="image_definition",
    keywords=True,
    directory_manager=True,
    level=611,
    errors=(
        ErrorData(ErrorLayout.STRINGS, ("592/4",)),
        ErrorData(ErrorLayout.STRINGS, ("8/*",)),
    ),
    notes=(
        ("A statement that can occur repeatedly needs OPERATION=ADD, as in MDISK=OPERATION=ADD VDEV=... COUNT=..."),
    ),
)
class ImageDefinitionUpdateDM(Request[NoData]):
    """Alter directory statements as KEYWORD=value strings ask."""

    definition_update_directory_keyword_parameter_list: Annotated[
        tuple[str, ...], Repeat(Asciiz()), "What to alter, as KEYWORD=value strings"
    ]
