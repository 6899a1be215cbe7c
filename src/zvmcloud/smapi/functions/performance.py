"""Performance records and the resource manager VMRM."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR36, CHAR42, CHAR43
from zvmcloud.smapi.declare import (
    ErrorData,
    ErrorLayout,
    NoData,
    Reply,
    Request,
    Structure,
    Target,
    function,
    reply,
    structure,
)
from zvmcloud.smapi.layout import Array, Asciiz, Chars, Counted, Int, Key, Repeat, Struct, Text


@structure
class PerformanceRecord(Structure):
    """An item of the reply."""

    record_version: Annotated[int, Int(4), "Layout version of this record"]
    guest_flags: Annotated[int, Int(4), "Flags of the guest"]
    used_CPU_time: Annotated[int, Int(8), "CPU microseconds consumed"]
    elapsed_time: Annotated[int, Int(8), "Microseconds that have passed"]
    min_memory: Annotated[int, Int(8), "Lower memory bound, KB"]
    max_memory: Annotated[int, Int(8), "Upper memory bound, KB"]
    shared_memory: Annotated[int, Int(8), "Memory shared with others, KB"]
    used_memory: Annotated[int, Int(8), "Memory occupied, KB"]
    active_CPUs_in_CEC: Annotated[int, Int(4), "Active CPUs of the whole machine"]
    logical_CPUs_in_VM: Annotated[int, Int(4), "Logical CPUs that z/VM has"]
    guest_CPUs: Annotated[int, Int(4), "Virtual CPUs that the guest has"]
    min_CPU_count: Annotated[int, Int(4), "Least number of CPUs"]
    max_CPU_limit: Annotated[int, Int(4), "Upper limit for CPU use"]
    processor_share: Annotated[int, Int(4), "Share of the CPUs"]
    samples_CPU_in_use: Annotated[int, Int(4), "Samples in which the guest ran"]
    samples_CPU_delay: Annotated[int, Int(4), "Samples in which it waited for a CPU"]
    samples_page_wait: Annotated[int, Int(4), "Samples in which it waited for a page"]
    samples_idle: Annotated[int, Int(4), "Samples in which it was idle"]
    samples_other: Annotated[int, Int(4), "Samples in which it did anything else"]
    samples_total: Annotated[int, Int(4), "Total of all samples"]
    guest_name: Annotated[str, Chars(8), "userid filled up with blanks"]


@reply
class ImagePerformanceQueryReply(Reply):
    """Reply of Image_Performance_Query."""

    performance_records: Annotated[
        tuple[PerformanceRecord, ...], Counted(Struct(PerformanceRecord)), "The measured guests, one record each"
    ]


@function(
    "Image_Performance_Query",
    family="performance",
    target=Target.AUTHORIZATION,
    notes=(
        (
            'The request is a row of NUL-terminated guest names, "*" for all running; records are those '
            "of DIAGNOSE X'2FC'."
        ),
    ),
)
class ImagePerformanceQuery(Request[ImagePerformanceQueryReply]):
    """Measure named guests (predecessor of System_Image_Performance_Query)."""

    guest_names: Annotated[tuple[str, ...], Repeat(Asciiz(1, 8, CHAR42)), "userids wanted; * asks for every one"]


@reply
class SystemImagePerformanceQueryReply(Reply):
    """Reply of System_Image_Performance_Query."""

    image_performance_array: Annotated[
        tuple[PerformanceRecord, ...], Counted(Struct(PerformanceRecord)), "The measured guests, one record each"
    ]


@function(
    "System_Image_Performance_Query",
    family="performance",
    target=Target.IMAGE_OR_LIST,
    level=640,
    notes=(
        "The array begins with an element count instead of a byte length.",
        "Field list from zthin; times in microseconds, memory in KB.",
    ),
)
class SystemImagePerformanceQuery(Request[SystemImagePerformanceQueryReply]):
    """Measure logged-on guests (records of DIAGNOSE X'2FC')."""


@reply
class SystemPerformanceInfoQueryReply(Reply):
    """Reply of System_Performance_Info_Query."""

    performance_info: Annotated[
        tuple[str, ...], Repeat(Asciiz()), "Fixed sequence of figures, followed by an item per CPU"
    ]


@function(
    "System_Performance_Info_Query",
    family="performance",
    target=Target.AUTHORIZATION,
    notes=(
        (
            "Items: CPU count, average CPU %, paging rate, total pages, used pages, monitor rate (only if"
            " monrate= was sent), then PROC nnnn-ppp% TYPE STATE per CPU."
        ),
        "Sent in the standard form by every client.",
    ),
)
class SystemPerformanceInfoQuery(Request[SystemPerformanceInfoQueryReply]):
    """Show CPU count and load, paging rate and memory use (undocumented)."""

    monrate: Annotated[str | None, Key(1, 8, CHAR36.plus(".")), "New monitor rate; QUERY only asks for it"] = None


@reply
class SystemPerformanceInformationQueryReply(Reply):
    """Reply of System_Performance_Information_Query."""

    system_performance_information_data: Annotated[tuple[str, ...], Array(Asciiz()), "Result as KEYWORD=value strings"]


@function(
    "System_Performance_Information_Query",
    family="performance",
    target=Target.AUTHORIZATION,
    counted_keys=True,
    level=630,
    data_optional=True,
    errors=(ErrorData(ErrorLayout.COUNTED_TEXT, ("8/*",)),),
    notes=(
        "Request items nest keys: DETAILED_CPU=SHOW=YES, MONITOR_EVENT=QUERY=NO.",
        (
            "Reply keys: CPU_COUNT, CPU_AVERAGE_USE, PAGING_RATE, MEMORY_IN_USE, MEMORY_TOTAL, "
            "MONITOR_RATE, MONITOR_INTERVAL, MY_LPAR_NAME, DETAILED_CPU_COUNT, DETAILED_CPU (repeated)."
        ),
    ),
)
class SystemPerformanceInformationQuery(Request[SystemPerformanceInformationQueryReply]):
    """Show system load as KEYWORD=value strings, with CPU/LPAR detail and monitor settings."""

    MONITOR_EVENT: Annotated[str | None, Key(), "Monitor settings, such as QUERY=YES or QUERY=NO"] = None
    DETAILED_CPU: Annotated[str | None, Key(), "SHOW=YES adds CPU and LPAR detail, SHOW=NO leaves it out"] = None


@function(
    "System_Performance_Threshold_Disable",
    family="performance",
    target=Target.AUTHORIZATION,
    level=620,
    notes=(
        (
            'Thresholds: System_CPU, System_Virtual_IO, System_Paging, System_DASD_IO, "User_CPU userid",'
            ' "User_IO userid".'
        ),
    ),
)
class SystemPerformanceThresholdDisable(Request[NoData]):
    """Stop watching a performance threshold."""

    event_type: Annotated[str, Asciiz(1, 26, CHAR42.plus(" /_=")), "Threshold, with operands where it takes any"]


@function(
    "System_Performance_Threshold_Enable",
    family="performance",
    target=Target.AUTHORIZATION,
    level=620,
    notes=(
        (
            "System_CPU=percent; System_Virtual_IO, System_Paging and System_DASD_IO take a rate per "
            "second; blanks around = are optional."
        ),
        "User_CPU=userid percent; User_IO=userid rate per second.",
    ),
)
class SystemPerformanceThresholdEnable(Request[NoData]):
    """Raise an event whenever a performance threshold is crossed."""

    event_type: Annotated[str, Asciiz(1, 40), "Threshold, with operands where it takes any"]


@reply
class VMRMConfigurationQueryReply(Reply):
    """Reply of VMRM_Configuration_Query."""

    configuration_file: Annotated[tuple[str, ...], Array(Asciiz()), "The configuration file line by line"]


@function(
    "VMRM_Configuration_Query",
    family="performance",
    target=Target.AUTHORIZATION,
    notes=("A NUL ends each line of the file.",),
)
class VMRMConfigurationQuery(Request[VMRMConfigurationQueryReply]):
    """Read the configuration file of the VM Resource Manager."""

    configuration_file_name: Annotated[str, Text(1, 8, CHAR43), "File name in CMS"]
    configuration_file_type: Annotated[str, Text(1, 8, CHAR43), "File type in CMS"]
    configuration_dir_name: Annotated[
        str, Text(1, 153, CHAR43.plus(".")), "SFS directory, such as VMSYS:VMRMSVM. (with its final period)"
    ]


@reply
class VMRMConfigurationUpdateReply(Reply):
    """Reply of VMRM_Configuration_Update."""

    log_record_array: Annotated[tuple[str, ...], Array(Text(1)), "What the syntax check found"]


@function(
    "VMRM_Configuration_Update",
    family="performance",
    target=Target.AUTHORIZATION,
    data_optional=True,
    notes=("A clean syntax check answers with the header alone; log records come only with findings.",),
)
class VMRMConfigurationUpdate(Request[VMRMConfigurationUpdateReply]):
    """Check a new VM Resource Manager configuration file or put it in place."""

    configuration_file_name: Annotated[str, Text(1, 8, CHAR43), "File name in CMS"]
    configuration_file_type: Annotated[str, Text(1, 8, CHAR43), "File type in CMS"]
    configuration_dir_name: Annotated[
        str, Text(1, 153, CHAR43.plus(".")), "SFS directory, such as VMSYS:VMRMSVM. (with its final period)"
    ]
    syncheck_only: Annotated[
        int,
        Int(1, choices={0: "check, then put in place", 1: "check and do no more"}),
        "Tells whether the file is checked without being put in place",
    ]
    update_file: Annotated[tuple[str, ...], Array(Asciiz()), "The new file; a NUL divides its lines"]


@reply
class VMRMMeasurementQueryReply(Reply):
    """Reply of VMRM_Measurement_Query."""

    query_timestamp: Annotated[str, Text(1, 17), "When it was measured"]
    file_spec: Annotated[str, Text(1, 20), "Configuration file being used"]
    file_timestamp: Annotated[str, Text(1, 17), "Time stamp of the file in use"]
    workload_array: Annotated[tuple[str, ...], Array(Text(1, 35)), "The workloads, each as one text"]


@function(
    "VMRM_Measurement_Query",
    family="performance",
    target=Target.AUTHORIZATION,
    notes=(
        'Workload text: name filled to 16, CPU value, DASD value ("CPU 100 DASD null").',
        "Limit of file_spec: 20 in zthin, 17 in pysmapi.",
    ),
)
class VMRMMeasurementQuery(Request[VMRMMeasurementQueryReply]):
    """Read what the VM Resource Manager measures at present."""
