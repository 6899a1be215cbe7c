"""The z/VM system: information, processors, paging, spool, shutdown."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR16, CHAR26, CHAR42, CHAR_NB
from zvmcloud.smapi.declare import ErrorData, ErrorLayout, Framing, NoData, Reply, Request, Target, function, reply
from zvmcloud.smapi.layout import Array, Asciiz, Key, Repeat, Text


@function(
    "System_Config_Syntax_Check",
    family="system",
    target=Target.AUTHORIZATION,
    level=611,
    errors=(ErrorData(ErrorLayout.RAW, ("*/*",)),),
    notes=("Form of failure replies is unrecorded: uncounted error text (zthin) or no data (pysmapi).",),
)
class SystemConfigSyntaxCheck(Request[NoData]):
    """Look for syntax errors in a system configuration file."""

    system_config_name: Annotated[str | None, Key(0, 8, CHAR42), "File name of the system configuration"] = None
    system_config_type: Annotated[str | None, Key(0, 8, CHAR42), "File type of the system configuration"] = None
    parm_disk_owner: Annotated[str | None, Key(0, 8, CHAR42), "userid owning the parm disk"] = None
    parm_disk_number: Annotated[str | None, Key(0, 4, CHAR16), "vdev of the parm disk"] = None
    parm_disk_password: Annotated[
        str | None, Key(0, 8, CHAR_NB), "Parm disk's password for MW links; a comma stands for no password"
    ] = None


@reply
class SystemInfoQueryReply(Reply):
    """Reply of System_Info_Query."""

    time_zone: Annotated[str, Asciiz(), "Time zone as CP words it"]
    time: Annotated[str, Asciiz(), "Present time as CP words it"]
    cp_level: Annotated[str, Asciiz(), "CP version as CP words it"]
    gen_date_time: Annotated[str, Asciiz(), "When this CP nucleus was generated"]
    ipl_date_time: Annotated[str, Asciiz(), "When the system was last IPLed"]
    storage_info: Annotated[str, Asciiz(), "Storage configuration as CP words it"]


@function(
    "System_Info_Query",
    family="system",
    target=Target.AUTHORIZATION,
    notes=(
        ("zthin sends the legacy X'FF' form, the recording the standard form; a server should take both."),
        'Item 1 reads like "EDT West 04.00.00", item 2 like "13:59:27 EDT SUNDAY 2019-04-28".',
    ),
)
class SystemInfoQuery(Request[SystemInfoQueryReply]):
    """Show clock, CP level, generation, IPL time and storage (undocumented)."""


@reply
class SystemInformationQueryReply(Reply):
    """Reply of System_Information_Query."""

    system_information_data: Annotated[tuple[str, ...], Array(Asciiz()), "Result as KEYWORD=value strings"]


@function(
    "System_Information_Query",
    family="system",
    target=Target.AUTHORIZATION,
    level=630,
    notes=(
        ("Keywords seen: CMS_LEVEL, CPU_CAPABILITY, CPUID, CP_LEVEL, STORAGE, TIME, each with SUBKEY=value words."),
    ),
)
class SystemInformationQuery(Request[SystemInformationQueryReply]):
    """Show CMS, CP, CPU, storage and time facts as KEYWORD=value strings."""


@reply
class SystemIOQueryReply(Reply):
    """Reply of System_IO_Query."""

    chpid_list: Annotated[tuple[str, ...], Repeat(Asciiz()), "The channel paths as text"]


@function("System_IO_Query", family="system", target=Target.NONE, framing=Framing.LEGACY)
class SystemIOQuery(Request[SystemIOQueryReply]):
    """Show the channel paths of a real device (undocumented)."""

    real_device_address: Annotated[str, Asciiz(1, 4, CHAR16), "One rdev or several"]


@reply
class SystemPageUtilizationQueryReply(Reply):
    """Reply of System_Page_Utilization_Query."""

    paging_information: Annotated[
        tuple[str, ...],
        Array(Asciiz(words="volid rdev total_pages pages_in_use percent_used drained")),
        "System totals, then an item per volume",
    ]


@function(
    "System_Page_Utilization_Query",
    family="system",
    target=Target.AUTHORIZATION,
    level=630,
    notes=(
        (
            'One counted text: "total inuse percent ", then per volume volid rdev total_pages '
            "pages_in_use percent_used drained and a NUL; no NUL separates the totals from the first "
            "volume."
        ),
    ),
)
class SystemPageUtilizationQuery(Request[SystemPageUtilizationQueryReply]):
    """Show how full paging space is, in all and per volume."""


@reply
class SystemProcessorQueryReply(Reply):
    """Reply of System_Processor_Query."""

    partition_mode: Annotated[str, Text(4, 10), "How the LPAR runs"]
    system_processor_array: Annotated[tuple[str, ...], Array(Text(15, 31)), "The processors, each as one text"]


@function(
    "System_Processor_Query",
    family="system",
    target=Target.AUTHORIZATION,
    level=720,
    errors=(ErrorData(ErrorLayout.COUNTED_TEXT, ("8/*",)),),
    notes=("Layout from zthin alone, unrecorded; needs level 720.",),
)
class SystemProcessorQuery(Request[SystemProcessorQueryReply]):
    """Show the real processors and how the LPAR runs."""


@function(
    "System_RDR_File_Manage",
    family="system",
    level=640,
    notes=(
        (
            "spoolids: file numbers divided by blanks, or ALL. action is PURGE unless given; TRANSFER "
            "hands files to the authenticated userid."
        ),
    ),
)
class SystemRDRFileManage(Request[NoData]):
    """Purge, reorder or move spool files in a userid's reader."""

    spoolids: Annotated[str, Key(1, None, CHAR10.plus(" ALal")), "Spool file numbers; ALL takes every one"]
    action: Annotated[
        str | None, Key(5, 8, CHAR26, choices={"PURGE": "", "ORDER": "", "TRANSFER": ""}), "Action wanted"
    ] = None


@reply
class SystemRDRFileQueryReply(Reply):
    """Reply of System_RDR_File_Query."""

    reader_file_info: Annotated[tuple[str, ...], Repeat(Asciiz()), "The reader files, one line each"]


@function(
    "System_RDR_File_Query",
    family="system",
    notes=(
        (
            "Lines of 80 columns at most, like CP QUERY RDR ALL: origin 1-8, number 10-13, class 15, type"
            " 17-19, records 21-28, copies 30-32, hold 34-37."
        ),
        "Further columns: date 39-43, time 45-52, name 54-62, type 64-71, dist 73-80.",
    ),
)
class SystemRDRFileQuery(Request[SystemRDRFileQueryReply]):
    """Show the spool files in a userid's reader."""


@reply
class SystemServiceQueryReply(Reply):
    """Reply of System_Service_Query."""

    system_service_query_data: Annotated[tuple[str, ...], Array(Asciiz()), "Result as KEYWORD=value strings"]


@function(
    "System_Service_Query",
    family="system",
    target=Target.AUTHORIZATION,
    counted_keys=True,
    level=630,
    data_optional=True,
    errors=(ErrorData(ErrorLayout.COUNTED_TEXT, ("8/*",)),),
    notes=(
        'Value: "NAMECOMPONENT=name TYPE=APAR|PTF|RSU NUMBER=id".',
        "In a recorded RSU reply two PRODUCTION_LEVEL words follow one another without a blank.",
    ),
)
class SystemServiceQuery(Request[SystemServiceQueryReply]):
    """Tell whether an APAR, PTF or RSU is on a z/VM component."""

    COMPONENT: Annotated[str, Key(1), "Words NAMECOMPONENT=, TYPE= (APAR, PTF or RSU) and NUMBER="]


@function(
    "System_Shutdown",
    family="system",
    target=Target.AUTHORIZATION,
    level=630,
    errors=(ErrorData(ErrorLayout.COUNTED_TEXT, ("8/*",)),),
    notes=("Unless given: NOIMMEDIATE, REIPL, NOCANCEL. pysmapi cannot send this call.",),
)
class SystemShutdown(Request[NoData]):
    """Take z/VM down, or call a planned shutdown off."""

    Within: Annotated[str | None, Key(0, 5, CHAR10), "Seconds until the system is down, 1-65535"] = None
    By: Annotated[str | None, Key(0, 8, CHAR10.plus(":")), "Clock time at which the system is down, hh:mm[:ss]"] = None
    Immediate: Annotated[
        str | None,
        Key(0, 11, CHAR26, choices={"IMMEDIATE": "", "NOIMMEDIATE": ""}),
        "Tells whether guests go without a shutdown signal",
    ] = None
    Reipl: Annotated[
        str | None,
        Key(0, 7, CHAR26, choices={"REIPL": "", "NOREIPL": ""}),
        "Tells whether z/VM is IPLed again afterwards",
    ] = None
    Cancel: Annotated[
        str | None,
        Key(0, 8, CHAR26, choices={"CANCEL": "", "NOCANCEL": ""}),
        "Tells whether a planned shutdown is called off",
    ] = None


@reply
class SystemSpoolUtilizationQueryReply(Reply):
    """Reply of System_Spool_Utilization_Query."""

    spool_information: Annotated[
        tuple[str, ...],
        Array(Asciiz(words="volid rdev total_pages pages_in_use percent_used dump drained")),
        "System totals, then an item per volume",
    ]


@function(
    "System_Spool_Utilization_Query",
    family="system",
    target=Target.AUTHORIZATION,
    level=630,
    notes=(
        (
            "Like System_Page_Utilization_Query with one word more: volid rdev total_pages pages_in_use "
            "percent_used dump drained."
        ),
    ),
)
class SystemSpoolUtilizationQuery(Request[SystemSpoolUtilizationQueryReply]):
    """Show how full spool space is, in all and per volume."""
