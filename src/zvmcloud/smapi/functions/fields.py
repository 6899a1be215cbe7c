"""Fields that several functions share, each with its layout, its limits and one line about it."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR16, CHAR26, CHAR36, CHAR42, CHAR_NB
from zvmcloud.smapi.layout import Int, Key, Text

AdapterType = Annotated[int, Int(1, choices={1: "HiperSockets", 2: "QDIO"}), "NIC type"]
AltParmDiskNumber = Annotated[str, Text(0, 4, CHAR16), "vdev of parm disk 2"]
AltParmDiskOwner = Annotated[str, Text(0, 8, CHAR42), "userid owning parm disk 2"]
AltParmDiskPassword = Annotated[
    str, Text(0, 8, CHAR_NB), "Parm disk 2's password for MW links; a comma stands for no password"
]
AltSystemConfigName = Annotated[str, Text(0, 8, CHAR42), "Second system configuration: file name"]
AltSystemConfigType = Annotated[str, Text(0, 8, CHAR42), "Second system configuration: file type"]
CpuAddress = Annotated[str, Text(1, 2, CHAR16), "Virtual CPU address in hex digits"]
DevNum = Annotated[str, Key(1, 4, CHAR36), "rdev; a query also takes ALL"]
Encoding = Annotated[
    int, Int(1, choices={0: "not stated", 1: "ASCII", 2: "EBCDIC"}), "Code in which notification text is sent"
]
EntityType = Annotated[int, Int(1, choices={1: "DIRECTORY"}), "Kind of object to watch"]
ImageDeviceNumber = Annotated[str, Text(1, 4, CHAR16), "vdev"]
ImageDeviceNumberKey = Annotated[str, Key(1, 4, CHAR16), "vdev"]
ImageDiskNumber = Annotated[str, Text(1, 4, CHAR16), "vdev of the disk"]
InterfaceId = Annotated[str, Key(1, 16, CHAR_NB), "Name of the interface"]
IpAddress = Annotated[str, Text(7, 15, CHAR10.plus(".")), "IPv4 address in dotted-decimal notation"]
LanName = Annotated[str, Text(1, 8, CHAR36.plus("@#$")), "Name of the guest LAN or VSWITCH"]
LanOwner = Annotated[str, Text(1, 8, CHAR42), "userid owning the LAN; a VSWITCH belongs to SYSTEM"]
MemorySegmentName = Annotated[str, Text(1, 8, CHAR42), "Name of the segment"]
OperationId = Annotated[
    int, Int(4, -1, 2147483647, signed=True), "Number identifying asynchronous directory-manager work"
]
ParmDiskNumber = Annotated[str, Text(0, 4, CHAR16), "vdev of the parm disk"]
ParmDiskOwner = Annotated[str, Text(0, 8, CHAR42), "userid owning the parm disk"]
ParmDiskPassword = Annotated[
    str, Text(0, 8, CHAR_NB), "Parm disk's password for MW links; a comma stands for no password"
]
Permanent = Annotated[
    str | None, Key(0, 3, CHAR26, choices={"YES": "", "NO": ""}), "Tells whether the setting is kept for later sessions"
]
Persist = Annotated[
    str | None,
    Key(0, 3, CHAR42, choices={"YES": "", "NO": ""}),
    "Tells whether the permanent configuration is changed too",
]
PortNumber = Annotated[int, Int(4, 0, 65535), "TCP or UDP port"]
SubscriberData = Annotated[str, Text(0, 64), "Subscriber's own text, repeated in each notification"]
SwitchName = Annotated[str, Text(1, 8, CHAR36.plus("@#$_")), "Name of the VSWITCH"]
SwitchNameKey = Annotated[str, Key(1, 8, CHAR36.plus("@#$_")), "Name of the VSWITCH"]
SystemConfigName = Annotated[str, Text(0, 8, CHAR42), "File name of the system configuration"]
SystemConfigType = Annotated[str, Text(0, 8, CHAR42), "File type of the system configuration"]
TagName = Annotated[str, Text(1, 8, CHAR36), "Local tag name"]
TargetImageDiskNumber = Annotated[str, Text(1, 4, CHAR16), "vdev on one side of the link; the notes say on which"]
TargetImageName = Annotated[str, Text(1, 8, CHAR42), "userid whose disk is linked"]
TcpipStack = Annotated[str, Key(1, 8, CHAR42), "userid running the TCP/IP stack"]
