"""Virtual network adapters (NICs) and channel-to-channel connections of a virtual machine."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR16, CHAR26, CHAR36, CHAR42
from zvmcloud.smapi.declare import NoData, Reply, Request, Structure, function, reply, structure
from zvmcloud.smapi.functions.fields import (
    AdapterType,
    ImageDeviceNumber,
    ImageDeviceNumberKey,
    LanName,
    LanOwner,
    SwitchName,
    SwitchNameKey,
)
from zvmcloud.smapi.layout import Array, Asciiz, Int, Key, Struct, Text


@function("Virtual_Channel_Connection_Create", family="network_adapter")
class VirtualChannelConnectionCreate(Request[NoData]):
    """Link two logged-on guests through a pair of virtual CTCAs."""

    image_device_number: ImageDeviceNumber
    coupled_image_name: Annotated[str, Text(1, 8, CHAR42), "userid at the other end"]
    coupled_image_device_number: Annotated[str, Text(1, 4, CHAR16), "vdev at the other end"]


@function("Virtual_Channel_Connection_Create_DM", family="network_adapter", directory_manager=True)
class VirtualChannelConnectionCreateDM(Request[NoData]):
    """Define a virtual CTCA in a directory entry."""

    image_device_number: ImageDeviceNumber
    coupled_image_name: Annotated[str, Text(1, 8, CHAR42), "userid at the other end"]


@function("Virtual_Channel_Connection_Delete", family="network_adapter")
class VirtualChannelConnectionDelete(Request[NoData]):
    """Break a logged-on guest's virtual CTCA connection and detach the CTCA."""

    image_device_number: ImageDeviceNumber


@function("Virtual_Channel_Connection_Delete_DM", family="network_adapter", directory_manager=True)
class VirtualChannelConnectionDeleteDM(Request[NoData]):
    """Drop a virtual CTCA from a directory entry."""

    image_device_number: ImageDeviceNumber


@function(
    "Virtual_Network_Adapter_Connect_LAN",
    family="network_adapter",
    notes=("PigIron leaves image_device_number out; all others send it.",),
)
class VirtualNetworkAdapterConnectLAN(Request[NoData]):
    """Connect a logged-on guest's NIC with a guest LAN."""

    image_device_number: ImageDeviceNumber
    lan_name: LanName
    lan_owner: LanOwner


@function("Virtual_Network_Adapter_Connect_LAN_DM", family="network_adapter", directory_manager=True)
class VirtualNetworkAdapterConnectLANDM(Request[NoData]):
    """Name a guest LAN in the NICDEF statement of a directory entry."""

    image_device_number: ImageDeviceNumber
    lan_name: LanName
    lan_owner: LanOwner


@function("Virtual_Network_Adapter_Connect_Vswitch", family="network_adapter")
class VirtualNetworkAdapterConnectVswitch(Request[NoData]):
    """Connect a logged-on guest's NIC with a VSWITCH."""

    image_device_number: ImageDeviceNumber
    switch_name: SwitchName


@function("Virtual_Network_Adapter_Connect_Vswitch_DM", family="network_adapter", directory_manager=True)
class VirtualNetworkAdapterConnectVswitchDM(Request[NoData]):
    """Name a VSWITCH in the NICDEF statement of a directory entry."""

    image_device_number: ImageDeviceNumber
    switch_name: SwitchName


@function(
    "Virtual_Network_Adapter_Connect_Vswitch_Extended",
    family="network_adapter",
    level=620,
    notes=("port_selection: AUTO unless given, or a port 0-65535.",),
)
class VirtualNetworkAdapterConnectVswitchExtended(Request[NoData]):
    """Connect a logged-on guest's NIC with a VSWITCH, on a chosen port if wanted."""

    image_device_number: ImageDeviceNumberKey
    switch_name: SwitchNameKey
    port_selection: Annotated[str | None, Key(0, 5, CHAR36), "Method of assigning ports"] = None


@function(
    "Virtual_Network_Adapter_Create",
    family="network_adapter",
    notes=("zthin calls the last field the channel path id.",),
)
class VirtualNetworkAdapterCreate(Request[NoData]):
    """Give a logged-on guest a virtual NIC."""

    image_device_number: ImageDeviceNumber
    adapter_type: AdapterType
    network_adapter_devices: Annotated[int, Int(4, 3, 3072), "How many vdevs the NIC occupies"]
    channel_path_type_id: Annotated[str, Text(0, 2, CHAR16), "CHPID, for z/VM running as a guest"] = ""


@function("Virtual_Network_Adapter_Create_DM", family="network_adapter", directory_manager=True)
class VirtualNetworkAdapterCreateDM(Request[NoData]):
    """Put a NICDEF statement into a guest's directory entry."""

    image_device_number: ImageDeviceNumber
    adapter_type: AdapterType
    network_adapter_devices: Annotated[int, Int(4, 3, 3072), "How many vdevs the NIC occupies"]
    channel_path_id: Annotated[str, Text(0, 2, CHAR16), "CHPID, for z/VM running as a guest"] = ""
    mac_id: Annotated[
        str, Text(0, 6, CHAR16), "Last six hex digits of the MAC in a request; in a reply the MAC as an integer"
    ] = ""


@function(
    "Virtual_Network_Adapter_Create_Extended",
    family="network_adapter",
    level=611,
    notes=(
        ("adapter_type can be shortened (HIPER for HiperSockets). devices: 3-3072, for QDIO 3-240; 3 unless given."),
    ),
)
class VirtualNetworkAdapterCreateExtended(Request[NoData]):
    """Give a logged-on guest a virtual NIC (key=value request)."""

    image_device_number: ImageDeviceNumberKey
    adapter_type: Annotated[
        str | None, Key(0, 12, CHAR26, choices={"HIPERSOCKETS": "", "QDIO": "", "IEDN": "", "INMN": ""}), "NIC type"
    ] = None
    devices: Annotated[str | None, Key(0, 4, CHAR10), "How many vdevs the NIC occupies"] = None
    channel_path_id: Annotated[str | None, Key(0, 2, CHAR16), "CHPID, for z/VM running as a guest"] = None


@function(
    "Virtual_Network_Adapter_Create_Extended_DM",
    family="network_adapter",
    counted_keys=True,
    directory_manager=True,
    level=611,
)
class VirtualNetworkAdapterCreateExtendedDM(Request[NoData]):
    """Put a NICDEF statement into a guest's directory entry (key=value request)."""

    image_device_number: ImageDeviceNumberKey
    adapter_type: Annotated[
        str | None, Key(0, 12, CHAR26, choices={"HIPERSOCKETS": "", "QDIO": "", "IEDN": "", "INMN": ""}), "NIC type"
    ] = None
    devices: Annotated[str | None, Key(0, 4, CHAR10), "How many vdevs the NIC occupies"] = None
    channel_path_id: Annotated[str | None, Key(0, 2, CHAR16), "CHPID, for z/VM running as a guest"] = None
    mac_id: Annotated[
        str | None, Key(0, 6, CHAR16), "Last six hex digits of the MAC in a request; in a reply the MAC as an integer"
    ] = None


@function("Virtual_Network_Adapter_Delete", family="network_adapter")
class VirtualNetworkAdapterDelete(Request[NoData]):
    """Take a virtual NIC away from a logged-on guest."""

    image_device_number: ImageDeviceNumber


@function("Virtual_Network_Adapter_Delete_DM", family="network_adapter", directory_manager=True)
class VirtualNetworkAdapterDeleteDM(Request[NoData]):
    """Drop a NICDEF statement from a guest's directory entry."""

    image_device_number: ImageDeviceNumber


@function("Virtual_Network_Adapter_Disconnect", family="network_adapter")
class VirtualNetworkAdapterDisconnect(Request[NoData]):
    """Break the network connection of a logged-on guest's NIC."""

    image_device_number: ImageDeviceNumber


@function("Virtual_Network_Adapter_Disconnect_DM", family="network_adapter", directory_manager=True)
class VirtualNetworkAdapterDisconnectDM(Request[NoData]):
    """Strip the LAN or VSWITCH from a NICDEF statement of a directory entry."""

    image_device_number: ImageDeviceNumber


@structure
class NetworkAdapter(Structure):
    """An item of the reply."""

    image_device_number: ImageDeviceNumber
    adapter_type: AdapterType
    network_adapter_devices: Annotated[int, Int(4), "How many vdevs the NIC occupies"]
    adapter_status: Annotated[
        int, Int(1, choices={0: "uncoupled", 1: "inactive", 2: "in operation"}), "Whether and how the NIC is coupled"
    ]
    lan_owner: Annotated[str, Text(0, 8, CHAR42), "userid owning the LAN; a VSWITCH belongs to SYSTEM"]
    lan_name: Annotated[str, Text(0, 8, CHAR36.plus("@#$_")), "Name of the guest LAN or VSWITCH"]


@reply
class VirtualNetworkAdapterQueryReply(Reply):
    """Reply of Virtual_Network_Adapter_Query."""

    adapter_array: Annotated[tuple[NetworkAdapter, ...], Array(Struct(NetworkAdapter)), "The NICs found"]


@function(
    "Virtual_Network_Adapter_Query",
    family="network_adapter",
    notes=(("image_device_number * asks for every NIC; lan_owner and lan_name are filled with blanks to 8."),),
)
class VirtualNetworkAdapterQuery(Request[VirtualNetworkAdapterQueryReply]):
    """Show kind, state and network of a logged-on guest's virtual NICs."""

    image_device_number: ImageDeviceNumber


@reply
class VirtualNetworkAdapterQueryExtendedReply(Reply):
    """Reply of Virtual_Network_Adapter_Query_Extended."""

    virtual_network_adapter_data: Annotated[tuple[str, ...], Array(Asciiz()), "Result as key=value strings"]


@function(
    "Virtual_Network_Adapter_Query_Extended",
    family="network_adapter",
    counted_keys=True,
    level=630,
    notes=(
        (
            "Order: adapter_count=n; per NIC adapter_address, port_type, extended_port_status, "
            "adapter_type, network_device_count, adapter_status, lan_owner, lan_name, adapter_info_end."
        ),
        (
            'adapter_info_end and mac_info_end have no "=". An uncoupled NIC lacks lan_owner and '
            "lan_name. adapter_status: 00 uncoupled, 01 inactive, 02 active."
        ),
        ("zthin ignores the int4 length, so its first line starts with leftover length bytes before adapter_count=n."),
    ),
)
class VirtualNetworkAdapterQueryExtended(Request[VirtualNetworkAdapterQueryExtendedReply]):
    """Show a guest's virtual NICs in full as key=value strings."""

    image_device_number: Annotated[str, Key(0, 4, CHAR16.plus("*")), "vdev"]
