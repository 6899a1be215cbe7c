"""What virtual switches (VSWITCH) are, who is connected, and their statistics."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR26, CHAR36, CHAR42
from zvmcloud.smapi.declare import Reply, Request, Structure, Target, function, reply, structure
from zvmcloud.smapi.functions.fields import ImageDeviceNumber, SwitchName
from zvmcloud.smapi.layout import Array, Asciiz, Counted, Group, Int, Key, Struct, Text, TextCounted


@structure
class PortTraffic(Structure):
    """An item of the reply."""

    port_nic: Annotated[
        str,
        Asciiz(words="type port_name_or_nic_addr port_nic_num"),
        "What the counters belong to: kind, name and number",
    ]
    pseg_array: Annotated[
        tuple[str, ...],
        Array(Asciiz(words="pseg_vlanid pseg_rx pseg_rx_disc pseg_tx pseg_tx_disc")),
        "Counters, VLAN by VLAN",
    ]


@reply
class VirtualNetworkVLANQueryStatsReply(Reply):
    """Reply of Virtual_Network_VLAN_Query_Stats."""

    port_nic_array: Annotated[tuple[PortTraffic, ...], Array(Struct(PortTraffic)), "The ports and NICs found"]


@function(
    "Virtual_Network_VLAN_Query_Stats",
    family="network_vswitch_query",
    target=Target.AUTHORIZATION,
    level=620,
    notes=("type is PORT or NIC; device is BOTH unless given; fmt_version 4 applies from z/VM 6.2 on.",),
)
class VirtualNetworkVLANQueryStats(Request[VirtualNetworkVLANQueryStatsReply]):
    """Show traffic of a userid's VSWITCH ports and NICs, VLAN by VLAN."""

    userid: Annotated[str, Key(1, 8, CHAR42), "userid concerned"]
    VLAN_id: Annotated[str | None, Key(0, 8, CHAR42), "VLAN wanted; without it, every VLAN"] = None
    device: Annotated[
        str | None,
        Key(0, 4, CHAR26, choices={"PORT": "", "NIC": "", "BOTH": ""}),
        "What to count for: PORT, NIC, or BOTH",
    ] = None
    fmt_version: Annotated[str | None, Key(0, 10, CHAR10), "Layout version of DIAGNOSE X'26C'"] = None


@structure
class VswitchRealDevice(Structure):
    """An item of the reply."""

    real_device_address: Annotated[int, Int(4), "One rdev or several"]
    controller_name: Annotated[str, Text(0, 71, CHAR42.plus(" ")), "VSWITCH controllers by userid; * for any of them"]
    port_name: Annotated[str, Text(0, 16, CHAR42), "Name of the port"]
    device_status: Annotated[
        int,
        Int(1, choices={0: "inactive", 1: "in operation", 2: "stands by as backup"}),
        "Condition of the uplink device",
    ]
    device_error_status: Annotated[
        int,
        Int(
            1,
            choices={
                0: "in order",
                1: "port name clashes",
                2: "layer 2 unavailable",
                3: "no such rdev",
                4: "someone else has it attached",
                5: "device unsuitable",
                6: "initialization failed",
                7: "OSA hangs",
                8: "controller hangs",
                9: "link to the controller lost",
                10: "routing clashes",
                11: "offline",
                12: "detached",
                13: "transports differ (IP against Ethernet)",
                14: "controller has run out of memory",
                15: "clashes with the TCP/IP configuration",
                16: "link aggregation unavailable",
                17: "OSA-E attributes differ",
                18: "reserved value",
                19: "OSA-E is not ready",
                20: "reserved value",
                21: "restart being tried",
                22: "exclusive-user error",
                23: "invalid device state",
                24: "invalid port number",
                25: "OSA cannot isolate",
                26: "EQIDs differ",
                27: "controller unsuitable",
                28: "backup is detached",
                29: "backup is not ready",
                30: "backup is being restarted",
                31: "EQIDs differ",
                32: "HiperSockets bridge unavailable",
                33: "HiperSockets bridge failed",
            },
        ),
        "What is wrong with the uplink device",
    ]


@structure
class VswitchUserVlan(Structure):
    """An item of the reply."""

    user_vlan_id: Annotated[int, Int(4), "VLANs the userid may use"]


@structure
class VswitchUser(Structure):
    """An item of the reply."""

    grant_userid: Annotated[str, Text(1, 8, CHAR42), "userid that is admitted"]
    vlan_array: Annotated[tuple[VswitchUserVlan, ...], Array(Struct(VswitchUserVlan)), "The VLANs, or their counters"]


@structure
class VswitchAdapter(Structure):
    """An item of the reply."""

    adapter_owner: Annotated[str, Text(1, 8, CHAR42), "userid to which the NIC belongs"]
    image_device_number: ImageDeviceNumber


@structure
class Vswitch(Structure):
    """An item of the reply."""

    switch_name: SwitchName
    transport_type: Annotated[int, Int(1, choices={1: "IP", 2: "ETHERNET"}), "Transport used, IP or Ethernet"]
    port_type: Annotated[
        int,
        Int(1, choices={0: "none (seen on z/VM 7.1)", 1: "ACCESS", 2: "TRUNK"}),
        "Whether ports are of access or trunk type",
    ]
    queue_memory_limit: Annotated[int, Int(4), "Memory for QDIO buffers, MB"]
    routing_value: Annotated[int, Int(1, choices={1: "NONROUTER", 2: "PRIROUTER"}), "How the uplink acts as a router"]
    vlan_id: Annotated[int, Int(4, signed=True), "Number of the VLAN"]
    native_vlan_id: Annotated[int, Int(4, signed=True), "Number of the native VLAN"]
    mac_id: Annotated[int, Int(8), "Last six hex digits of the MAC in a request; in a reply the MAC as an integer"]
    gvrp_request_attribute: Annotated[
        int, Int(1, choices={1: "asked for", 2: "not asked for"}), "Tells whether GVRP was asked for"
    ]
    gvrp_enabled_attribute: Annotated[
        int, Int(1, choices={1: "in effect", 2: "not in effect"}), "Tells whether GVRP is at work"
    ]
    switch_status: Annotated[
        int,
        Int(
            1,
            choices={
                1: "definition exists",
                2: "no controller at hand",
                3: "operator must step in",
                4: "not connected",
                5: "controller has the virtual devices",
                6: "OSA is being initialized",
                7: "OSA not ready",
                8: "OSA ready",
                9: "OSA being detached",
                10: "about to be deleted",
                11: "recovering by failover",
                12: "restarting on its own",
            },
        ),
        "Condition of the VSWITCH",
    ]
    real_device_array: Annotated[
        tuple[VswitchRealDevice, ...], Array(Struct(VswitchRealDevice)), "The devices of the uplink"
    ]
    authorized_user_array: Annotated[
        tuple[VswitchUser, ...], Array(Struct(VswitchUser)), "The userids that the VSWITCH admits"
    ]
    connected_adapter_array: Annotated[
        tuple[VswitchAdapter, ...], Array(Struct(VswitchAdapter)), "The NICs that are coupled"
    ]


@reply
class VirtualNetworkVswitchQueryReply(Reply):
    """Reply of Virtual_Network_Vswitch_Query."""

    vswitch_array: Annotated[tuple[Vswitch, ...], Array(Struct(Vswitch)), "The virtual switches found"]


@function(
    "Virtual_Network_Vswitch_Query",
    family="network_vswitch_query",
    target=Target.AUTHORIZATION,
    notes=(
        (
            "switch_name * asks for all. mac_id is an 8-byte integer with the MAC in its low 6 bytes; "
            "real_device_address is binary."
        ),
        "Names in nested structures are filled with blanks to 8.",
    ),
)
class VirtualNetworkVswitchQuery(Request[VirtualNetworkVswitchQueryReply]):
    """Show virtual switches as binary structures."""

    switch_name: Annotated[str, Text(1, 8, CHAR36.plus("@#$_*")), "Name of the VSWITCH"]


@structure
class UplinkTraffic(Structure):
    """An item of the reply."""

    uplink_conn: Annotated[str, Asciiz(), "rdev of the uplink"]
    uplink_fr_rx: Annotated[str, Asciiz(), "Frames that came in over the uplink"]
    uplink_fr_rx_dsc: Annotated[str, Asciiz(), "Uplink: incoming frames dropped"]
    uplink_fr_rx_err: Annotated[str, Asciiz(), "Uplink: errors while receiving"]
    uplink_fr_tx: Annotated[str, Asciiz(), "Frames that went out over the uplink"]
    uplink_fr_tx_dsc: Annotated[str, Asciiz(), "Uplink: outgoing frames dropped"]
    uplink_fr_tx_err: Annotated[str, Asciiz(), "Uplink: errors while sending"]
    uplink_rx: Annotated[str, Asciiz(), "Bytes that came in over the uplink"]
    uplink_tx: Annotated[str, Asciiz(), "Bytes that went out over the uplink"]


@structure
class NicTraffic(Structure):
    """An item of the reply."""

    nic_id: Annotated[str, Asciiz(), "NIC as userid and vdev"]
    nic_fr_rx: Annotated[str, Asciiz(), "Frames that came in at the NIC"]
    nic_fr_rx_dsc: Annotated[str, Asciiz(), "NIC: incoming frames dropped"]
    nic_fr_rx_err: Annotated[str, Asciiz(), "NIC: errors while receiving"]
    nic_fr_tx: Annotated[str, Asciiz(), "Frames that went out at the NIC"]
    nic_fr_tx_dsc: Annotated[str, Asciiz(), "NIC: outgoing frames dropped"]
    nic_fr_tx_err: Annotated[str, Asciiz(), "NIC: errors while sending"]
    nic_rx: Annotated[str, Asciiz(), "Bytes that came in at the NIC"]
    nic_tx: Annotated[str, Asciiz(), "Bytes that went out at the NIC"]


@structure
class VlanTraffic(Structure):
    """An item of the reply."""

    vlan_id: Annotated[str, Asciiz(), "Number of the VLAN"]
    vlan_rx: Annotated[str, Asciiz(), "Bytes that came in"]
    vlan_tx: Annotated[str, Asciiz(), "Bytes that went out"]


@structure
class VswitchTraffic(Structure):
    """An item of the reply."""

    switch_name: Annotated[str, Asciiz(), "Name of the VSWITCH"]
    uplink_array: Annotated[tuple[UplinkTraffic, ...], TextCounted(Group(UplinkTraffic)), "Counters of the uplink"]
    bridge_fr_rx: Annotated[str, Asciiz(), "Frames that came in over the bridge"]
    bridge_fr_rx_dsc: Annotated[str, Asciiz(), "Bridge: incoming frames dropped"]
    bridge_fr_rx_err: Annotated[str, Asciiz(), "Bridge: errors while receiving"]
    bridge_fr_tx: Annotated[str, Asciiz(), "Frames that went out over the bridge"]
    bridge_fr_tx_dsc: Annotated[str, Asciiz(), "Bridge: outgoing frames dropped"]
    bridge_fr_tx_err: Annotated[str, Asciiz(), "Bridge: errors while sending"]
    bridge_rx: Annotated[str, Asciiz(), "Bytes that came in over the bridge"]
    bridge_tx: Annotated[str, Asciiz(), "Bytes that went out over the bridge"]
    nic_array: Annotated[tuple[NicTraffic, ...], TextCounted(Group(NicTraffic)), "Counters, NIC by NIC"]
    vlan_array: Annotated[tuple[VlanTraffic, ...], TextCounted(Group(VlanTraffic)), "The VLANs, or their counters"]


@reply
class VirtualNetworkVswitchQueryByteStatsReply(Reply):
    """Reply of Virtual_Network_Vswitch_Query_Byte_Stats."""

    vswitch_array: Annotated[
        tuple[VswitchTraffic, ...], TextCounted(Group(VswitchTraffic)), "The virtual switches found"
    ]


@function(
    "Virtual_Network_Vswitch_Query_Byte_Stats",
    family="network_vswitch_query",
    target=Target.AUTHORIZATION,
    level=640,
    notes=(
        ('The reply is one flat row of NUL-terminated strings; counters are decimal text and nic_id is "userid vdev".'),
    ),
)
class VirtualNetworkVswitchQueryByteStats(Request[VirtualNetworkVswitchQueryByteStatsReply]):
    """Show how many frames and bytes virtual switches have carried."""

    switch_name: Annotated[str, Key(1, 8, CHAR36.plus("@#$_*")), "Name of the VSWITCH"]


@structure
class VswitchRecords(Structure):
    """An item of the reply."""

    vswitch_attributes: Annotated[
        tuple[str, ...],
        Array(
            Asciiz(
                words=(
                    "switch_name transport_type port_type queue_memory_limit routing_value vlan_awareness vlan_id"
                    " native_vlan_id mac_address gvrp_request_attribute gvrp_enabled_attribute switch_status "
                    "link_ag lag_interval lag_group IP_timeout switch_type isolation_status MAC_protect "
                    "user_port_based VLAN_counters [vepa_status] [spg_scope]"
                )
            )
        ),
        "The VSWITCH's attributes, word by word",
    ]
    real_device_info_array: Annotated[
        tuple[str, ...],
        Array(
            Asciiz(
                words=(
                    "real_device_address virtual_device_address controller_name port_name device_status "
                    "device_error_status"
                )
            )
        ),
        "The devices of the uplink",
    ]
    authorized_user_array: Annotated[
        tuple[str, ...],
        Array(Asciiz(words="port_num grant_userid promiscuous_mode osd_sim vlan_count user_vlan_ids...")),
        "The userids that the VSWITCH admits",
    ]
    connected_adapter_array: Annotated[
        tuple[str, ...],
        Array(Asciiz(words="adapter_owner adapter_vdev adapter_macaddr adapter_type")),
        "The NICs that are coupled",
    ]
    uplink_NIC_array: Annotated[
        tuple[str, ...],
        Array(Asciiz(words="uplink_NIC_userid uplink_NIC_vdev uplink_NIC_error_status")),
        "NIC of a guest that serves as the uplink",
    ]
    global_member_array: Annotated[
        tuple[str, ...], Array(Asciiz(words="member_name member_state")), "The members that have the global VSWITCH"
    ]


@reply
class VirtualNetworkVswitchQueryExtendedReply(Reply):
    """Reply of Virtual_Network_Vswitch_Query_Extended."""

    vswitch_array: Annotated[tuple[VswitchRecords, ...], Counted(Struct(VswitchRecords)), "The virtual switches found"]


@function(
    "Virtual_Network_Vswitch_Query_Extended",
    family="network_vswitch_query",
    target=Target.AUTHORIZATION,
    level=620,
    notes=(
        (
            "The reply starts with the count vswitch_count, then counted structures; vepa_status appears "
            "only with vepa_status=YES, on newer levels. A user without VLANs ends in a blank."
        ),
        (
            'link_ag: "LAG:" with 0 and (NOGRP) when there is no group, else LAG:-GROUP-LACP-EXCLUSIVE; '
            "routing_value NA or NONROUTER."
        ),
        (
            "Uplink NIC errors: 0 none, 1 logged off, 2 unauthorized, 3 no vdev, 4 in use, 5 "
            "incompatible, 6 VLAN conflict, 7 no MAC, 8 unmanaged, 9 port error, 13 type mismatch, 255 "
            "unknown."
        ),
    ),
)
class VirtualNetworkVswitchQueryExtended(Request[VirtualNetworkVswitchQueryExtendedReply]):
    """Show virtual switches as text, every attribute included."""

    switch_name: Annotated[str, Key(1, 8, CHAR36.plus("@#$_*")), "Name of the VSWITCH"]
    vepa_status: Annotated[
        str | None,
        Key(2, 3, CHAR26, choices={"YES": "", "NO": ""}),
        "VEPA state in a reply; in a request, tells whether it is wanted",
    ] = None


@reply
class VirtualNetworkVswitchQueryIUOStatsReply(Reply):
    """Reply of Virtual_Network_Vswitch_Query_IUO_Stats."""

    vswitch_array: Annotated[
        tuple[VswitchTraffic, ...], TextCounted(Group(VswitchTraffic)), "The virtual switches found"
    ]


@function(
    "Virtual_Network_Vswitch_Query_IUO_Stats",
    family="network_vswitch_query",
    target=Target.AUTHORIZATION,
    level=630,
    notes=("Answers like Virtual_Network_Vswitch_Query_Byte_Stats; clients use it on level 630.",),
)
class VirtualNetworkVswitchQueryIUOStats(Request[VirtualNetworkVswitchQueryIUOStatsReply]):
    """Show VSWITCH traffic (undocumented, replaced by ..._Query_Byte_Stats)."""

    switch_name: Annotated[str, Key(1, 8, CHAR36.plus("@#$_*")), "Name of the VSWITCH"]


@structure
class VswitchSegments(Structure):
    """An item of the reply."""

    switch_name: Annotated[str, Text(0, 8, CHAR36.plus("@#$_")), "Name of the VSWITCH"]
    segment_array: Annotated[
        tuple[str, ...],
        Array(
            Asciiz(
                words=(
                    "seg_vlanid seg_rx seg_rx_disc seg_tx seg_tx_disc seg_activated_TOD seg_config_update_TOD "
                    "seg_vlan_interfaces seg_vlan_deletes seg_device_type seg_device_addr seg_device_status"
                )
            )
        ),
        "Counters, VLAN by VLAN",
    ]


@reply
class VirtualNetworkVswitchQueryStatsReply(Reply):
    """Reply of Virtual_Network_Vswitch_Query_Stats."""

    vswitch_array: Annotated[tuple[VswitchSegments, ...], Array(Group(VswitchSegments)), "The virtual switches found"]


@function(
    "Virtual_Network_Vswitch_Query_Stats",
    family="network_vswitch_query",
    target=Target.AUTHORIZATION,
    level=620,
    notes=(("Elements have no structure length; the layout is zthin's (pysmapi fails on more than one switch)."),),
)
class VirtualNetworkVswitchQueryStats(Request[VirtualNetworkVswitchQueryStatsReply]):
    """Show VSWITCH segment traffic, VLAN by VLAN."""

    switch_name: Annotated[str, Key(1, 8, CHAR36.plus("@#$_*")), "Name of the VSWITCH"]
    fmt_version: Annotated[str | None, Key(0, 10, CHAR10), "Layout version of DIAGNOSE X'26C'"] = None
