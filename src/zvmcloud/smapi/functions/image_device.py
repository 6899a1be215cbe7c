"""Processors, devices and IPL settings of a virtual machine."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR16, CHAR42
from zvmcloud.smapi.declare import Framing, NoData, Reply, Request, Structure, Target, function, reply, structure
from zvmcloud.smapi.functions.fields import CpuAddress, ImageDeviceNumber
from zvmcloud.smapi.layout import Array, Asciiz, Int, Struct, Text


@function("Image_CPU_Define", family="image_device")
class ImageCPUDefine(Request[NoData]):
    """Give a logged-on guest one more virtual CPU."""

    cpu_address: CpuAddress
    cpu_type: Annotated[
        int,
        Int(1, choices={0: "not stated", 1: "CP", 2: "IFL", 3: "ZAAP", 4: "ZIIP"}),
        "Processor type wanted for the new CPU",
    ] = 0


@function("Image_CPU_Define_DM", family="image_device", directory_manager=True)
class ImageCPUDefineDM(Request[NoData]):
    """Put a CPU statement into a guest's directory entry."""

    cpu_address: CpuAddress
    base_cpu: Annotated[int, Int(1, choices={0: "not stated", 1: "BASE"}), "Marks the base CPU"] = 0
    cpuid: Annotated[str, Text(0, 6, CHAR16), "Digits of the CPU identification"] = ""
    dedicate_cpu: Annotated[
        int, Int(1, choices={0: "not stated", 1: "NODEDICATE", 2: "DEDICATE"}), "Tells whether a real CPU is dedicated"
    ] = 0
    crypto: Annotated[
        int, Int(1, choices={0: "not stated", 1: "CRYPTO"}), "Tells whether a crypto facility goes with the CPU"
    ] = 0


@function("Image_CPU_Delete", family="image_device")
class ImageCPUDelete(Request[NoData]):
    """Take one virtual CPU away from a logged-on guest."""

    cpu_address: CpuAddress


@function("Image_CPU_Delete_DM", family="image_device", directory_manager=True)
class ImageCPUDeleteDM(Request[NoData]):
    """Drop a CPU statement from a guest's directory entry."""

    cpu_address: CpuAddress


@structure
class ImageCPU(Structure):
    """An item of the reply."""

    CPU_number: Annotated[int, Int(4), "Virtual CPU address in numeric form"]
    CPU_id: Annotated[str, Text(1, 16, CHAR16), "CPU identification as 16 hex digits"]
    CPU_base: Annotated[
        int,
        Int(
            1,
            choices={
                1: "the base CPU",
                0: "other than the base CPU (z/VM 7.1)",
                2: "other than the base CPU (per pysmapi)",
            },
        ),
        "Marks the base CPU",
    ]
    CPU_status: Annotated[
        int,
        Int(1, choices={1: "stopped CPU", 2: "in check-stop", 3: "soft-stopped, or else active"}),
        "What the virtual CPU is doing",
    ]
    CPU_type: Annotated[
        int, Int(1, choices={1: "CP", 2: "IFL", 3: "ZAAP", 4: "ZIIP"}), "Processor type of the virtual CPU"
    ]


@reply
class ImageCPUQueryReply(Reply):
    """Reply of Image_CPU_Query."""

    number_CPUs: Annotated[int, Int(4), "How many virtual CPUs there are"]
    CPU_info_array: Annotated[tuple[ImageCPU, ...], Array(Struct(ImageCPU)), "The virtual CPUs"]


@function(
    "Image_CPU_Query",
    family="image_device",
    notes=("A CPU other than the base CPU shows CPU_base 0 on z/VM 7.1, while pysmapi expects 2.",),
)
class ImageCPUQuery(Request[ImageCPUQueryReply]):
    """Show the virtual CPUs of a logged-on guest."""


@reply
class ImageCPUQueryDMReply(Reply):
    """Reply of Image_CPU_Query_DM."""

    cpu_address: CpuAddress
    base_cpu: Annotated[int, Int(1, choices={0: "not stated", 1: "BASE"}), "Marks the base CPU"]
    cpuid: Annotated[str, Text(0, 6, CHAR16), "Digits of the CPU identification"]
    dedicate_cpu: Annotated[
        int, Int(1, choices={0: "not stated", 1: "NODEDICATE", 2: "DEDICATE"}), "Tells whether a real CPU is dedicated"
    ]
    crypto: Annotated[
        int, Int(1, choices={0: "not stated", 1: "CRYPTO"}), "Tells whether a crypto facility goes with the CPU"
    ]


@function(
    "Image_CPU_Query_DM",
    family="image_device",
    directory_manager=True,
    notes=(("dedicate_cpu is the present state, not an echo: a CPU defined with 1 was later reported with 2."),),
)
class ImageCPUQueryDM(Request[ImageCPUQueryDMReply]):
    """Read a single CPU statement out of a directory entry."""

    cpu_address: CpuAddress


@function("Image_CPU_Set_Maximum_DM", family="image_device", directory_manager=True)
class ImageCPUSetMaximumDM(Request[NoData]):
    """Limit how many virtual CPUs a directory entry permits."""

    max_cpu: Annotated[int, Int(4, 1, 64), "Upper limit for virtual CPUs"]


@function("Image_Device_Dedicate", family="image_device")
class ImageDeviceDedicate(Request[NoData]):
    """Dedicate a real device to a logged-on guest."""

    image_device_number: ImageDeviceNumber
    real_device_number: Annotated[str, Text(1, 4, CHAR16), "Real device number (rdev)"]
    readonly: Annotated[int, Int(1, choices={0: "no", 1: "yes"}), "Tells whether only reading is permitted"]


@function("Image_Device_Dedicate_DM", family="image_device", directory_manager=True)
class ImageDeviceDedicateDM(Request[NoData]):
    """Put a DEDICATE statement into a guest's directory entry."""

    image_device_number: ImageDeviceNumber
    real_device_number: Annotated[str, Text(1, 4, CHAR16), "Real device number (rdev)"]
    readonly: Annotated[int, Int(1, choices={0: "no", 1: "yes"}), "Tells whether only reading is permitted"]


@function("Image_Device_Reset", family="image_device")
class ImageDeviceReset(Request[NoData]):
    """Drop the interrupts pending on a logged-on guest's virtual device."""

    image_device_number: ImageDeviceNumber


@function("Image_Device_Undedicate", family="image_device")
class ImageDeviceUndedicate(Request[NoData]):
    """Take a dedicated real device back from a logged-on guest."""

    image_device_number: ImageDeviceNumber


@function("Image_Device_Undedicate_DM", family="image_device", directory_manager=True)
class ImageDeviceUndedicateDM(Request[NoData]):
    """Drop a DEDICATE statement from a guest's directory entry."""

    image_device_number: ImageDeviceNumber


@function("Image_IPL_Delete_DM", family="image_device", directory_manager=True)
class ImageIPLDeleteDM(Request[NoData]):
    """Drop the IPL statement of a userid or profile."""


@reply
class ImageIPLDeviceQueryReply(Reply):
    """Reply of Image_IPL_Device_Query."""

    ipl_device: Annotated[str, Asciiz(), "Device from which the guest was IPLed"]


@function("Image_IPL_Device_Query", family="image_device", target=Target.NONE, framing=Framing.LEGACY)
class ImageIPLDeviceQuery(Request[ImageIPLDeviceQueryReply]):
    """Tell which device a guest was IPLed from (undocumented)."""

    userid: Annotated[str, Asciiz(1, 8, CHAR42), "userid concerned"]


@reply
class ImageIPLQueryDMReply(Reply):
    """Reply of Image_IPL_Query_DM."""

    saved_system: Annotated[str, Text(0, 8, CHAR42), "What to IPL: a saved system or a vdev"]
    load_parameter: Annotated[str, Text(0, 10), "LOADPARM operand of the IPL"]
    parameter_string: Annotated[str, Text(0, 64), "PARM operand of the IPL"]


@function("Image_IPL_Query_DM", family="image_device", directory_manager=True)
class ImageIPLQueryDM(Request[ImageIPLQueryDMReply]):
    """Read the IPL statement of a userid or profile."""


@function("Image_IPL_Set_DM", family="image_device", directory_manager=True)
class ImageIPLSetDM(Request[NoData]):
    """Write the IPL statement of a userid or profile."""

    saved_system: Annotated[str, Text(1, 8, CHAR42), "What to IPL: a saved system or a vdev"]
    load_parameter: Annotated[str, Text(0, 10), "LOADPARM operand of the IPL"] = ""
    parameter_string: Annotated[str, Text(0, 64), "PARM operand of the IPL"] = ""


@function(
    "Image_SCSI_Characteristics_Define_DM",
    family="image_device",
    directory_manager=True,
    notes=(
        "An empty value changes nothing, DELETE clears it (so boot_program takes up to 6 characters).",
        ("SCP_data of type 2 or 3 travels in EBCDIC code page 924; type 3 holds hex digits as characters."),
        "The query returns hex data packed: characters 0123 come back as the bytes X'0123'.",
    ),
)
class ImageSCSICharacteristicsDefineDM(Request[NoData]):
    """Write the LOADDEV statements with which a guest is IPLed from an FCP disk."""

    boot_program: Annotated[str, Text(0, 6, CHAR10.plus("DELTdelt")), "Boot program, 0-30; DELETE clears it"] = ""
    BR_LBA: Annotated[str, Text(0, 16, CHAR16.plus("LTlt")), "Block address of the boot record, in hex"] = ""
    LUN: Annotated[str, Text(0, 16, CHAR16.plus("LTlt")), "LUN in hex"] = ""
    port_name: Annotated[str, Text(0, 16, CHAR16.plus("LTlt")), "Name of the port"] = ""
    SCP_data_type: Annotated[
        int, Int(1, choices={0: "not stated", 1: "DELETE", 2: "EBCDIC", 3: "HEX"}), "How SCP_data is encoded"
    ] = 0
    SCP_data: Annotated[str, Text(0, 4096), "Parameters for the program that is loaded"] = ""


@reply
class ImageSCSICharacteristicsQueryDMReply(Reply):
    """Reply of Image_SCSI_Characteristics_Query_DM."""

    boot_program: Annotated[str, Text(0, 6, CHAR10), "Boot program, 0-30; DELETE clears it"]
    BR_LBA: Annotated[str, Text(0, 16, CHAR16), "Block address of the boot record, in hex"]
    LUN: Annotated[str, Text(0, 16, CHAR16), "LUN in hex"]
    port_name: Annotated[str, Text(0, 16, CHAR16), "Name of the port"]
    SCP_data_type: Annotated[int, Int(1, choices={0: "not stated", 2: "EBCDIC", 3: "HEX"}), "How SCP_data is encoded"]
    SCP_data: Annotated[str, Text(0, 4102), "Parameters for the program that is loaded"]


@function("Image_SCSI_Characteristics_Query_DM", family="image_device", directory_manager=True)
class ImageSCSICharacteristicsQueryDM(Request[ImageSCSICharacteristicsQueryDMReply]):
    """Read with which LOADDEV statements a guest is IPLed from an FCP disk."""
