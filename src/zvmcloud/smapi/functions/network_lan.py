"""Guest LANs, OSA devices, and the interfaces of the TCP/IP stack."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR16, CHAR26, CHAR36, CHAR42, CHAR_NB
from zvmcloud.smapi.declare import (
    ErrorData,
    ErrorLayout,
    Framing,
    NoData,
    Reply,
    Request,
    Structure,
    Target,
    function,
    reply,
    structure,
)
from zvmcloud.smapi.functions.fields import ImageDeviceNumber, InterfaceId, LanName, LanOwner, Permanent, TcpipStack
from zvmcloud.smapi.layout import Array, Asciiz, Int, Key, Repeat, Struct, Text


@function(
    "Network_IP_Interface_Create",
    family="network_lan",
    target=Target.AUTHORIZATION,
    level=630,
    errors=(ErrorData(ErrorLayout.COUNTED_TEXT, ("8/*",)),),
    notes=(
        (
            "interface: ETH rdev [ipv4router] [ipv6router] | HS rdev | IUCV userid | CTC rdev | VETH vdev"
            " owner lan | VCTC vdev1 userid vdev2 | VHS vdev owner lan."
        ),
        "primary_ipv4 or primary_ipv6 is required, and p2p as well for IUCV and CTC.",
    ),
)
class NetworkIPInterfaceCreate(Request[NoData]):
    """Set up device, link and home address of a new TCP/IP stack interface."""

    tcpip_stack: TcpipStack
    interface_id: InterfaceId
    permanent: Permanent = None
    primary_ipv4: Annotated[str | None, Key(7, 18, CHAR10.plus("./")), "IPv4 address; /length may follow"] = None
    primary_ipv6: Annotated[str | None, Key(3, 43, CHAR16.plus(":/")), "IPv6 address; /length may follow"] = None
    interface: Annotated[str, Key(4, 37), "Kind of interface, then the operands that go with it"]
    cpu: Annotated[str | None, Key(0, 1, CHAR10), "Number of the virtual processor for the device driver, 0-6"] = None
    transport_type: Annotated[
        str | None, Key(2, 8, CHAR26, choices={"IP": "", "ETHERNET": ""}), "Transport used, IP or Ethernet"
    ] = None
    mtu: Annotated[str | None, Key(0, 5, CHAR10), "Size of the MTU; with 0 the stack decides"] = None
    noforward: Annotated[
        str | None,
        Key(0, 3, CHAR26, choices={"ON": "", "OFF": ""}),
        "Tells whether packets are kept from being forwarded",
    ] = None
    pathmtu: Annotated[
        str | None, Key(0, 3, CHAR26, choices={"YES": "", "NO": ""}), "Tells whether the path MTU is discovered"
    ] = None
    p2p: Annotated[str | None, Key(7, 15, CHAR10.plus(".")), "IPv4 address at the far end of a point-to-point link"] = (
        None
    )
    port_name: Annotated[str | None, Key(1, 8, CHAR_NB), "Name of the port"] = None
    port_number: Annotated[str | None, Key(1, 2, CHAR10), "TCP or UDP port"] = None
    vlan: Annotated[str | None, Key(1, 9, CHAR10.plus(" ")), "VLAN of IPv4, then optionally that of IPv6"] = None


@function(
    "Network_IP_Interface_Modify",
    family="network_lan",
    target=Target.AUTHORIZATION,
    level=630,
    errors=(ErrorData(ErrorLayout.COUNTED_TEXT, ("8/*",)),),
    notes=(
        "Give exactly one of delete_ip, add_ip, change_mask, change_mtu and change_p2p.",
        (
            "Text of 8/12: the counted length leaves out the NUL that follows it; "
            "Network_IP_Interface_Remove sends the same text without a NUL."
        ),
    ),
)
class NetworkIPInterfaceModify(Request[NoData]):
    """Alter one attribute of a TCP/IP stack interface."""

    tcpip_stack: TcpipStack
    interface_id: InterfaceId
    permanent: Permanent = None
    delete_ip: Annotated[str | None, Key(3, 43, CHAR16.plus(":./")), "Address the interface loses"] = None
    add_ip: Annotated[str | None, Key(3, 43, CHAR16.plus(":./")), "Address the interface gains; /length may follow"] = (
        None
    )
    change_mask: Annotated[str | None, Key(7, 15, CHAR_NB), "Subnet mask from now on"] = None
    change_mtu: Annotated[str | None, Key(1, 5, CHAR10), "MTU from now on"] = None
    change_p2p: Annotated[str | None, Key(7, 15, CHAR_NB), "Far-end address from now on"] = None


@reply
class NetworkIPInterfaceQueryReply(Reply):
    """Reply of Network_IP_Interface_Query."""

    interface_configuration_array: Annotated[
        tuple[str, ...], Array(Asciiz()), "The interfaces, each as KEY=value words"
    ]


@function(
    "Network_IP_Interface_Query",
    family="network_lan",
    target=Target.AUTHORIZATION,
    level=630,
    data_optional=True,
    notes=(
        (
            "Items are KEY=value words divided by blanks. Only 8/4 without data was recorded, so the key "
            "names are not known."
        ),
    ),
)
class NetworkIPInterfaceQuery(Request[NetworkIPInterfaceQueryReply]):
    """Show how the interfaces of a TCP/IP stack are configured."""

    tcpip_stack: TcpipStack
    interface_all: Annotated[
        str | None,
        Key(0, 3, CHAR26, choices={"YES": "", "NO": ""}),
        "YES shows every interface, NO only the active ones",
    ] = None
    interface_id: Annotated[str | None, Key(0, 16, CHAR_NB), "Name of the interface"] = None


@function(
    "Network_IP_Interface_Remove",
    family="network_lan",
    target=Target.AUTHORIZATION,
    level=630,
    errors=(ErrorData(ErrorLayout.COUNTED_TEXT, ("8/*",)),),
)
class NetworkIPInterfaceRemove(Request[NoData]):
    """Take an interface away from a TCP/IP stack."""

    tcpip_stack: TcpipStack
    interface_id: InterfaceId
    permanent: Permanent = None


@function(
    "Virtual_Network_LAN_Access",
    family="network_lan",
    target=Target.AUTHORIZATION,
    notes=("Positional NUL-terminated strings without lengths.",),
)
class VirtualNetworkLANAccess(Request[NoData]):
    """Admit a userid to a restricted guest LAN or shut it out."""

    lan_name: Annotated[str, Asciiz(1, 8, CHAR36.plus("@#$")), "Name of the guest LAN or VSWITCH"]
    lan_owner: Annotated[str, Asciiz(1, 8, CHAR36), "userid owning the LAN; a VSWITCH belongs to SYSTEM"]
    access_op: Annotated[
        str, Asciiz(5, 6, CHAR26, choices={"GRANT": "", "REVOKE": ""}), "GRANT admits, REVOKE shuts out"
    ]
    access_user: Annotated[str, Asciiz(1, 8, CHAR42), "userid to admit or shut out"]
    promiscuity: Annotated[
        str,
        Asciiz(11, 14, CHAR26, choices={"NONPROMISCUOUS": "", "PROMISCUOUS": ""}),
        "Tells whether promiscuous mode is permitted",
    ]


@reply
class VirtualNetworkLANAccessQueryReply(Reply):
    """Reply of Virtual_Network_LAN_Access_Query."""

    authorized_users_array: Annotated[
        tuple[str, ...], Repeat(Asciiz(words="access_user promiscuity")), "The userids that the LAN admits"
    ]


@function(
    "Virtual_Network_LAN_Access_Query",
    family="network_lan",
    target=Target.AUTHORIZATION,
    notes=('access_user is filled to 8, as in "GT@PONG  NONPROMISCUOUS".',),
)
class VirtualNetworkLANAccessQuery(Request[VirtualNetworkLANAccessQueryReply]):
    """Show which userids a restricted guest LAN admits."""

    lan_name: Annotated[str, Asciiz(1, 8, CHAR36.plus("@#$")), "Name of the guest LAN or VSWITCH"]
    lan_owner: Annotated[str, Asciiz(1, 8, CHAR36), "userid owning the LAN; a VSWITCH belongs to SYSTEM"]


@function("Virtual_Network_LAN_Create", family="network_lan", target=Target.AUTHORIZATION)
class VirtualNetworkLANCreate(Request[NoData]):
    """Define a guest LAN."""

    lan_name: LanName
    lan_owner: LanOwner
    lan_type: Annotated[
        int,
        Int(
            1,
            choices={
                1: "HiperSockets, open to everyone",
                2: "QDIO, open to everyone",
                3: "HiperSockets, restricted",
                4: "QDIO, restricted",
            },
        ),
        "LAN type",
    ]
    transport_type: Annotated[
        int, Int(1, choices={0: "not stated", 1: "IP", 2: "ETHERNET"}), "Transport used, IP or Ethernet"
    ] = 0


@function("Virtual_Network_LAN_Delete", family="network_lan", target=Target.AUTHORIZATION)
class VirtualNetworkLANDelete(Request[NoData]):
    """Remove a guest LAN."""

    lan_name: LanName
    lan_owner: LanOwner


@structure
class GuestLanAdapter(Structure):
    """An item of the reply."""

    adapter_owner: Annotated[str, Text(1, 8, CHAR42), "userid to which the NIC belongs"]
    image_device_number: ImageDeviceNumber


@structure
class GuestLan(Structure):
    """An item of the reply."""

    lan_name: LanName
    lan_owner: LanOwner
    lan_type: Annotated[int, Int(1, choices={1: "HiperSockets", 2: "QDIO"}), "LAN type"]
    connected_adapter_array: Annotated[
        tuple[GuestLanAdapter, ...], Array(Struct(GuestLanAdapter)), "The NICs that are coupled"
    ]


@reply
class VirtualNetworkLANQueryReply(Reply):
    """Reply of Virtual_Network_LAN_Query."""

    lan_info_array: Annotated[tuple[GuestLan, ...], Array(Struct(GuestLan)), "The LANs found"]


@function(
    "Virtual_Network_LAN_Query",
    family="network_lan",
    target=Target.AUTHORIZATION,
    notes=("lan_owner * takes any owner; names in the reply are filled with blanks to 8.",),
)
class VirtualNetworkLANQuery(Request[VirtualNetworkLANQueryReply]):
    """Show guest LANs and the NICs connected with them."""

    lan_name: LanName
    lan_owner: LanOwner


@reply
class VirtualNetworkOSAQueryReply(Reply):
    """Reply of Virtual_Network_OSA_Query."""

    osa_info_array: Annotated[
        tuple[str, ...],
        Repeat(Asciiz(words="osa_address osa_status osa_type chpid_address agent_status")),
        "The OSA devices found",
    ]


@function(
    "Virtual_Network_OSA_Query",
    family="network_lan",
    target=Target.AUTHORIZATION,
    level=611,
    notes=(
        (
            "ATTACHED and the holder's userid run together (ATTACHEDDTCVSW3); other states are FREE, "
            "OFFLINE, BOXED and similar."
        ),
        "4/4: there are no OSA devices.",
    ),
)
class VirtualNetworkOSAQuery(Request[VirtualNetworkOSAQueryReply]):
    """Show which OSA devices exist and how they are used."""


@reply
class VirtualNetworkQueryLANReply(Reply):
    """Reply of Virtual_Network_Query_LAN."""

    lan_list: Annotated[tuple[str, ...], Repeat(Asciiz()), "The LANs as text"]


@function("Virtual_Network_Query_LAN", family="network_lan", target=Target.NONE, framing=Framing.LEGACY)
class VirtualNetworkQueryLAN(Request[VirtualNetworkQueryLANReply]):
    """Show guest LANs (undocumented)."""


@reply
class VirtualNetworkQueryOSAReply(Reply):
    """Reply of Virtual_Network_Query_OSA."""

    osa_list: Annotated[tuple[str, ...], Repeat(Asciiz()), "The OSA devices as text"]


@function("Virtual_Network_Query_OSA", family="network_lan", target=Target.NONE, framing=Framing.LEGACY)
class VirtualNetworkQueryOSA(Request[VirtualNetworkQueryOSAReply]):
    """Show OSA devices (undocumented)."""
