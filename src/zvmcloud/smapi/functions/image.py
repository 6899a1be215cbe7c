"""A virtual machine as it runs: activate, deactivate, status, configuration, console."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR16, CHAR26, CHAR42
from zvmcloud.smapi.declare import NoData, Reply, Request, Structure, Target, function, reply, structure
from zvmcloud.smapi.layout import Array, Int, Key, Struct, Text


@structure
class FailedImage(Structure):
    """An item of the reply."""

    image_name: Annotated[str, Text(1, 8, CHAR42), "userid concerned"]
    return_code: Annotated[int, Int(4), "Rc for this list member"]
    reason_code: Annotated[int, Int(4), "Rs for this list member"]


@reply
class ImageActivateReply(Reply):
    """Reply of Image_Activate."""

    activated: Annotated[int, Int(4), "How many list members were logged on"]
    not_activated: Annotated[int, Int(4), "How many list members could not be logged on"]
    failing_array: Annotated[
        tuple[FailedImage, ...], Array(Struct(FailedImage)), "The list members for which the call failed"
    ]


@function(
    "Image_Activate",
    family="image",
    target=Target.IMAGE_OR_LIST,
    data_with=(0, 200),
    data_optional=True,
    notes=(
        (
            "For a single userid a successful reply is just the header; counts and failing_array come "
            "with list targets. Both forms must decode."
        ),
    ),
)
class ImageActivate(Request[ImageActivateReply]):
    """Bring a userid up with XAUTOLOG, or every userid of a name list."""


@structure
class ActiveCPU(Structure):
    """An item of the reply."""

    CPU_number: Annotated[int, Int(4), "Virtual CPU address in numeric form"]
    CPU_id: Annotated[str, Text(1, 16, CHAR16), "CPU identification as 16 hex digits"]
    CPU_status: Annotated[
        int,
        Int(1, choices={1: "the base CPU", 2: "stopped CPU", 3: "in check-stop", 4: "active and not the base CPU"}),
        "What the virtual CPU is doing",
    ]


@structure
class ActiveDevice(Structure):
    """An item of the reply."""

    device_type: Annotated[int, Int(1, choices={1: "CONS", 2: "RDR", 3: "PUN", 4: "PRT", 5: "DASD"}), "Kind of device"]
    device_address: Annotated[str, Text(4, 4, CHAR16), "vdev; left empty, the entire entry is meant"]


@reply
class ImageActiveConfigurationQueryReply(Reply):
    """Reply of Image_Active_Configuration_Query."""

    memory_size: Annotated[int, Int(4), "Memory of the guest, counted in memory_unit"]
    memory_unit: Annotated[int, Int(1, choices={1: "KB", 2: "MB", 3: "GB"}), "What memory_size is counted in"]
    share_type: Annotated[int, Int(1, choices={1: "RELATIVE", 2: "ABSOLUTE"}), "Kind of CPU share"]
    share_value: Annotated[str, Text(1, 5, CHAR10.plus(".")), "The CPU share"]
    number_CPUs: Annotated[int, Int(4), "How many virtual CPUs there are"]
    CPU_info_array: Annotated[tuple[ActiveCPU, ...], Array(Struct(ActiveCPU)), "The virtual CPUs"]
    device_info_array: Annotated[tuple[ActiveDevice, ...], Array(Struct(ActiveDevice)), "The virtual devices"]


@function(
    "Image_Active_Configuration_Query",
    family="image",
    notes=("device_address has 4 characters on z/VM 7.1; zthin allows 4 to 16.",),
)
class ImageActiveConfigurationQuery(Request[ImageActiveConfigurationQueryReply]):
    """Show memory, share, virtual CPUs and devices of a logged-on guest."""


@function(
    "Image_Console_Get",
    family="image",
    level=640,
    notes=(
        ("No data in the reply: the log goes as a spool file to the reader of the authenticated userid."),
        "8/8: there is no console output.",
    ),
)
class ImageConsoleGet(Request[NoData]):
    """Have a guest's console spool file sent to the requester's reader."""


@reply
class ImageDeactivateReply(Reply):
    """Reply of Image_Deactivate."""

    deactivated: Annotated[int, Int(4), "How many list members were logged off"]
    not_deactivated: Annotated[int, Int(4), "How many list members could not be logged off"]
    failing_array: Annotated[
        tuple[FailedImage, ...], Array(Struct(FailedImage)), "The list members for which the call failed"
    ]


@function(
    "Image_Deactivate",
    family="image",
    target=Target.IMAGE_OR_LIST,
    data_with=(0, 200),
    data_optional=True,
    notes=(
        "With rc 0 the rs may be the seconds until the guest is forced, for example 300.",
        (
            'force_time: IMMED, "WITHIN n" (1-65535 seconds), "BY hh:mm[:ss]", or empty for the system\'s '
            "signal timeout."
        ),
    ),
)
class ImageDeactivate(Request[ImageDeactivateReply]):
    """Log a userid or every userid of a name list off, optionally after a shutdown signal."""

    force_time: Annotated[
        str, Text(0, 12, CHAR42.plus(" ")), "When to force: IMMED, WITHIN so many seconds, or BY a clock time"
    ] = ""


@function(
    "Image_Pause",
    family="image",
    level=630,
    notes=(
        "Only action=pause has been recorded; UNPAUSE is unconfirmed.",
        "zthin speaks of PAUSE=YES and PAUSE=NO and sends the text without a NUL.",
    ),
)
class ImagePause(Request[NoData]):
    """Halt all virtual CPUs of a guest, or let them run again."""

    action: Annotated[str, Key(5, 7, CHAR26, choices={"PAUSE": "", "UNPAUSE": ""}), "Action wanted"]


@reply
class ImageQueryActivateTimeReply(Reply):
    """Reply of Image_Query_Activate_Time."""

    image_name: Annotated[str, Text(1, 8, CHAR42), "userid concerned"]
    activation_date: Annotated[str, Text(8, 10), "Day of the logon, written as requested"]
    activation_time: Annotated[str, Text(8, 8), "Time of the logon, hh:mm:ss"]


@function("Image_Query_Activate_Time", family="image")
class ImageQueryActivateTime(Request[ImageQueryActivateTimeReply]):
    """Tell the date and time of a guest's logon."""

    date_format_indicator: Annotated[
        int,
        Int(
            1,
            choices={
                1: "month/day/two-digit year",
                2: "month/day/four-digit year",
                3: "two-digit year-month-day",
                4: "four-digit year-month-day",
                5: "day/month/two-digit year",
                6: "day/month/four-digit year",
            },
        ),
        "How the date is to be written",
    ]


@reply
class ImageRecycleReply(Reply):
    """Reply of Image_Recycle."""

    recycled: Annotated[int, Int(4), "How many list members were logged off and on"]
    not_recycled: Annotated[int, Int(4), "How many list members could not be logged off and on"]
    failing_array: Annotated[
        tuple[FailedImage, ...], Array(Struct(FailedImage)), "The list members for which the call failed"
    ]


@function("Image_Recycle", family="image", target=Target.IMAGE_OR_LIST, data_with=(0, 200), data_optional=True)
class ImageRecycle(Request[ImageRecycleReply]):
    """Log a userid, or each one of a list, off and on again."""


@reply
class ImageStatusQueryReply(Reply):
    """Reply of Image_Status_Query."""

    image_name_array: Annotated[tuple[str, ...], Array(Text(1, 8, CHAR42)), "The userids"]


@function(
    "Image_Status_Query",
    family="image",
    target=Target.IMAGE_OR_LIST,
    data_optional=True,
    notes=(
        (
            "Target: userid, name list or *. 0/0 returns those that are running; 0/12 with no data means "
            "the single target is not."
        ),
    ),
)
class ImageStatusQuery(Request[ImageStatusQueryReply]):
    """Tell which of the given guests are running."""
