"""Virtual switches (VSWITCH): create, change, delete."""

from typing import Annotated

from zvmcloud.smapi.charsets import CHAR10, CHAR16, CHAR26, CHAR36, CHAR42
from zvmcloud.smapi.declare import NoData, Request, Target, function
from zvmcloud.smapi.functions.fields import (
    AltParmDiskNumber,
    AltParmDiskOwner,
    AltParmDiskPassword,
    AltSystemConfigName,
    AltSystemConfigType,
    ParmDiskNumber,
    ParmDiskOwner,
    ParmDiskPassword,
    Persist,
    SwitchName,
    SwitchNameKey,
    SystemConfigName,
    SystemConfigType,
)
from zvmcloud.smapi.layout import Int, Key, Text


@function(
    "Virtual_Network_Vswitch_Create",
    family="network_vswitch",
    target=Target.AUTHORIZATION,
    notes=(
        ("vlan_id: -1 unspecified, 0 VLAN unaware. native_vlanid: -1 unspecified. queue_memory_limit: 1-8 MB."),
        "PigIron ends the request ahead of native_vlanid.",
    ),
)
class VirtualNetworkVswitchCreate(Request[NoData]):
    """Define a VSWITCH in the running system, the system configuration or both."""

    switch_name: SwitchName
    real_device_address: Annotated[str, Text(0, 14, CHAR36.plus(" .")), "One rdev or several"] = ""
    port_name: Annotated[str, Text(0, 26, CHAR42.plus(" ")), "Name of the port"] = ""
    controller_name: Annotated[
        str, Text(0, 8, CHAR42.plus("*")), "VSWITCH controllers by userid; * for any of them"
    ] = ""
    connection_value: Annotated[
        int, Int(1, choices={0: "not stated", 1: "ACTIVATE", 2: "NOACTIVATE"}), "Tells whether the uplink is put to use"
    ] = 0
    queue_memory_limit: Annotated[int, Int(4, 0, 8), "Memory for QDIO buffers, MB"]
    routing_value: Annotated[
        int, Int(1, choices={0: "not stated", 1: "NONROUTER", 2: "PRIROUTER"}), "How the uplink acts as a router"
    ] = 0
    transport_type: Annotated[
        int, Int(1, choices={0: "not stated", 1: "IP", 2: "ETHERNET"}), "Transport used, IP or Ethernet"
    ] = 0
    vlan_id: Annotated[int, Int(4, -1, 4094, signed=True), "Number of the VLAN"] = -1
    port_type: Annotated[
        int, Int(1, choices={0: "not stated", 1: "ACCESS", 2: "TRUNK"}), "Whether ports are of access or trunk type"
    ] = 0
    update_system_config_indicator: Annotated[
        int,
        Int(
            1,
            choices={
                0: "not stated",
                1: "define in the running system",
                2: "define in the running system and in the system configuration",
                3: "define in the system configuration",
            },
        ),
        "Which of running system and system configuration is changed",
    ] = 0
    system_config_name: SystemConfigName = ""
    system_config_type: SystemConfigType = ""
    parm_disk_owner: ParmDiskOwner = ""
    parm_disk_number: ParmDiskNumber = ""
    parm_disk_password: ParmDiskPassword = ""
    alt_system_config_name: AltSystemConfigName = ""
    alt_system_config_type: AltSystemConfigType = ""
    alt_parm_disk_owner: AltParmDiskOwner = ""
    alt_parm_disk_number: AltParmDiskNumber = ""
    alt_parm_disk_password: AltParmDiskPassword = ""
    gvrp_value: Annotated[int, Int(1, choices={0: "not stated", 1: "GVRP", 2: "NOGVRP"}), "Whether GVRP is used"] = 0
    native_vlanid: Annotated[int, Int(4, -1, 4094, signed=True), "Number of the native VLAN"] = -1


@function(
    "Virtual_Network_Vswitch_Create_Extended",
    family="network_vswitch",
    target=Target.AUTHORIZATION,
    level=611,
    notes=(
        (
            "vlan_id: UNAWARE, AWARE or 1-4094. connection_value may be shortened (CON, DISCON). "
            "vswitch_domain A-H belongs to vswitch_type IVL."
        ),
        (
            "vswitch_global was LOCAL or DOMAIN in recordings, GLOBAL is expected; keys after "
            "port_selection are known from pysmapi only."
        ),
    ),
)
class VirtualNetworkVswitchCreateExtended(Request[NoData]):
    """Define a VSWITCH with the full set of attributes (key=value request)."""

    switch_name: SwitchNameKey
    real_device_address: Annotated[str | None, Key(0, 23, CHAR36.plus(" .")), "One rdev or several"] = None
    port_name: Annotated[str | None, Key(0, 27, CHAR42.plus(" ")), "Name of the port"] = None
    controller_name: Annotated[
        str | None, Key(0, 71, CHAR42.plus(" *")), "VSWITCH controllers by userid; * for any of them"
    ] = None
    connection_value: Annotated[
        str | None,
        Key(0, 10, CHAR42, choices={"CONNECT": "", "DISCONNECT": "", "NOUPLINK": ""}),
        "Tells whether the uplink is put to use",
    ] = None
    queue_memory_limit: Annotated[str | None, Key(0, 1, CHAR10), "Memory for QDIO buffers, MB"] = None
    routing_value: Annotated[
        str | None, Key(0, 9, CHAR42, choices={"NONROUTER": "", "PRIROUTER": ""}), "How the uplink acts as a router"
    ] = None
    transport_type: Annotated[
        str | None, Key(0, 8, CHAR42, choices={"IP": "", "ETHERNET": ""}), "Transport used, IP or Ethernet"
    ] = None
    vlan_id: Annotated[str | None, Key(0, 8, CHAR42), "Number of the VLAN"] = None
    port_type: Annotated[
        str | None, Key(0, 6, CHAR42, choices={"ACCESS": "", "TRUNK": ""}), "Whether ports are of access or trunk type"
    ] = None
    persist: Persist = None
    gvrp_value: Annotated[str | None, Key(0, 6, CHAR42, choices={"GVRP": "", "NOGVRP": ""}), "Whether GVRP is used"] = (
        None
    )
    native_vlanid: Annotated[str | None, Key(0, 4, CHAR42), "Number of the native VLAN"] = None
    vswitch_type: Annotated[
        str | None, Key(0, 4, CHAR42, choices={"QDIO": "", "IEDN": "", "INMN": "", "IVL": ""}), "VSWITCH type"
    ] = None
    iptimeout: Annotated[str | None, Key(0, 3, CHAR10), "Minutes an unused remote IP address stays known"] = None
    port_selection: Annotated[
        str | None, Key(0, 9, CHAR26, choices={"PORTBASED": "", "USERBASED": ""}), "Method of assigning ports"
    ] = None
    group_name: Annotated[str | None, Key(1, 8, CHAR36.plus("@#$_")), "Group name"] = None
    vswitch_domain: Annotated[str | None, Key(0, 1, CHAR26), "Letter of the IVL domain"] = None
    vswitch_global: Annotated[str | None, Key(3, 6, CHAR26), "How widely the VSWITCH is known"] = None


@function("Virtual_Network_Vswitch_Delete", family="network_vswitch", target=Target.AUTHORIZATION)
class VirtualNetworkVswitchDelete(Request[NoData]):
    """Remove a VSWITCH from the running system, the system configuration or both."""

    switch_name: SwitchName
    update_system_config_indicator: Annotated[
        int,
        Int(
            1,
            choices={
                0: "not stated",
                1: "running system alone",
                2: "running system together with system configuration",
                3: "system configuration alone",
            },
        ),
        "Which of running system and system configuration is changed",
    ] = 0
    system_config_name: SystemConfigName = ""
    system_config_type: SystemConfigType = ""
    parm_disk_owner: ParmDiskOwner = ""
    parm_disk_number: ParmDiskNumber = ""
    parm_disk_password: ParmDiskPassword = ""
    alt_system_config_name: AltSystemConfigName = ""
    alt_system_config_type: AltSystemConfigType = ""
    alt_parm_disk_owner: AltParmDiskOwner = ""
    alt_parm_disk_number: AltParmDiskNumber = ""
    alt_parm_disk_password: AltParmDiskPassword = ""


@function("Virtual_Network_Vswitch_Delete_Extended", family="network_vswitch", target=Target.AUTHORIZATION, level=611)
class VirtualNetworkVswitchDeleteExtended(Request[NoData]):
    """Remove a VSWITCH (key=value request)."""

    switch_name: SwitchNameKey
    persist: Persist = None


@function(
    "Virtual_Network_Vswitch_Set",
    family="network_vswitch",
    target=Target.AUTHORIZATION,
    notes=("queue_memory_limit -1 leaves it unspecified.",),
)
class VirtualNetworkVswitchSet(Request[NoData]):
    """Alter a VSWITCH in the running system, the system configuration or both."""

    switch_name: SwitchName
    grant_userid: Annotated[str, Text(0, 8, CHAR42), "userid that is admitted"] = ""
    user_vlan_id: Annotated[str, Text(0, 19, CHAR10.plus(" -")), "VLANs the userid may use"] = ""
    revoke_userid: Annotated[str, Text(0, 8, CHAR42), "userid to shut out"] = ""
    real_device_address: Annotated[str, Text(0, 14, CHAR36.plus(" .")), "One rdev or several"] = ""
    port_name: Annotated[str, Text(0, 26, CHAR42.plus(" ")), "Name of the port"] = ""
    controller_name: Annotated[
        str, Text(0, 8, CHAR42.plus("*")), "VSWITCH controllers by userid; * for any of them"
    ] = ""
    connection_value: Annotated[
        int, Int(1, choices={0: "not stated", 1: "ACTIVATE", 2: "NOACTIVATE"}), "Tells whether the uplink is put to use"
    ] = 0
    queue_memory_limit: Annotated[int, Int(4, -1, 8, signed=True), "Memory for QDIO buffers, MB"] = -1
    routing_value: Annotated[
        int, Int(1, choices={0: "not stated", 1: "NONROUTER", 2: "PRIROUTER"}), "How the uplink acts as a router"
    ] = 0
    port_type: Annotated[
        int, Int(1, choices={0: "not stated", 1: "ACCESS", 2: "TRUNK"}), "Whether ports are of access or trunk type"
    ] = 0
    update_system_config_indicator: Annotated[
        int,
        Int(
            1,
            choices={
                0: "not stated",
                1: "running system",
                2: "running system together with system configuration",
                3: "configuration file of the system",
            },
        ),
        "Which of running system and system configuration is changed",
    ] = 0
    system_config_name: SystemConfigName = ""
    system_config_type: SystemConfigType = ""
    parm_disk_owner: ParmDiskOwner = ""
    parm_disk_number: ParmDiskNumber = ""
    parm_disk_password: ParmDiskPassword = ""
    alt_system_config_name: AltSystemConfigName = ""
    alt_system_config_type: AltSystemConfigType = ""
    alt_parm_disk_owner: AltParmDiskOwner = ""
    alt_parm_disk_number: AltParmDiskNumber = ""
    alt_parm_disk_password: AltParmDiskPassword = ""
    gvrp_value: Annotated[int, Int(1, choices={0: "not stated", 1: "GVRP", 2: "NOGVRP"}), "Whether GVRP is used"] = 0
    mac_id: Annotated[
        str, Text(0, 6, CHAR16), "Last six hex digits of the MAC in a request; in a reply the MAC as an integer"
    ] = ""


@function(
    "Virtual_Network_Vswitch_Set_Extended",
    family="network_vswitch",
    target=Target.AUTHORIZATION,
    level=611,
    notes=(
        (
            'portnum is "number userid" and needs port_type, promiscuous, osd_sim or user_vlan_id beside '
            "it. nic_userid * disconnects."
        ),
        "Limits: interval 1-9990 or OFF, trace_size 0-4095, ivl_vlanid 1-4094, ivl_heartbeat 10-3600.",
        (
            "Recorded failures include 396/3040 (vlan_port_remove) and 8/3002 (vlan_delete on an "
            "unsuitable switch, no data)."
        ),
    ),
)
class VirtualNetworkVswitchSetExtended(Request[NoData]):
    """Alter any attribute of a VSWITCH (key=value request)."""

    switch_name: SwitchNameKey
    grant_userid: Annotated[str | None, Key(0, 8, CHAR42), "userid that is admitted"] = None
    user_vlan_id: Annotated[str | None, Key(0, 19, CHAR10.plus(" -")), "VLANs the userid may use"] = None
    revoke_userid: Annotated[str | None, Key(0, 8, CHAR42), "userid to shut out"] = None
    real_device_address: Annotated[str | None, Key(0, 23, CHAR36.plus(" .")), "One rdev or several"] = None
    port_name: Annotated[str | None, Key(0, 26, CHAR42.plus(" ")), "Name of the port"] = None
    controller_name: Annotated[
        str | None, Key(0, 71, CHAR42.plus(" *")), "VSWITCH controllers by userid; * for any of them"
    ] = None
    connection_value: Annotated[
        str | None,
        Key(0, 10, CHAR42, choices={"CONNECT": "", "DISCONNECT": ""}),
        "Tells whether the uplink is put to use",
    ] = None
    queue_memory_limit: Annotated[str | None, Key(0, 1, CHAR10), "Memory for QDIO buffers, MB"] = None
    routing_value: Annotated[
        str | None, Key(0, 9, CHAR42, choices={"NONROUTER": "", "PRIROUTER": ""}), "How the uplink acts as a router"
    ] = None
    port_type: Annotated[
        str | None, Key(0, 6, CHAR42, choices={"ACCESS": "", "TRUNK": ""}), "Whether ports are of access or trunk type"
    ] = None
    persist: Persist = None
    gvrp_value: Annotated[str | None, Key(0, 6, CHAR42, choices={"GVRP": "", "NOGVRP": ""}), "Whether GVRP is used"] = (
        None
    )
    mac_id: Annotated[
        str | None, Key(0, 6, CHAR16), "Last six hex digits of the MAC in a request; in a reply the MAC as an integer"
    ] = None
    uplink: Annotated[
        str | None,
        Key(0, 3, CHAR42, choices={"YES": "", "NO": ""}),
        "Whether the port is the uplink of the switch",
    ] = None
    osd_sim: Annotated[
        str | None,
        Key(0, 3, CHAR42, choices={"YES": "", "NO": ""}),
        "Tells whether an IEDN or INMN switch accepts a QDIO NIC",
    ] = None
    nic_userid: Annotated[
        str | None, Key(0, 8, CHAR42.plus("*")), "userid whose NIC is to serve as the uplink; * ends that"
    ] = None
    nic_vdev: Annotated[str | None, Key(0, 4, CHAR16), "vdev of the NIC that is to serve as the uplink"] = None
    lacp: Annotated[str | None, Key(0, 8, CHAR42, choices={"ACTIVE": "", "INACTIVE": ""}), "How LACP is used"] = None
    interval: Annotated[str | None, Key(0, 8, CHAR42), "Seconds between load rebalancings; OFF for none"] = None
    group_rdev: Annotated[str | None, Key(0, 63, CHAR16.plus(" .P")), "rdevs that form the port group"] = None
    iptimeout: Annotated[str | None, Key(0, 3, CHAR10), "Minutes an unused remote IP address stays known"] = None
    port_isolation: Annotated[
        str | None, Key(0, 3, CHAR26, choices={"ON": "", "OFF": ""}), "Whether QDIO ports are isolated"
    ] = None
    promiscuous: Annotated[
        str | None, Key(0, 3, CHAR26, choices={"YES": "", "NO": ""}), "Tells whether promiscuous mode may be used"
    ] = None
    MAC_protect: Annotated[
        str | None,
        Key(0, 11, CHAR26, choices={"ON": "", "OFF": "", "UNSPECIFIED": ""}),
        "Whether MAC addresses are protected",
    ] = None
    VLAN_counters: Annotated[
        str | None, Key(0, 3, CHAR26, choices={"ON": "", "OFF": ""}), "Whether counters are kept per VLAN"
    ] = None
    nic_portselection: Annotated[
        str | None, Key(0, 7, CHAR26, choices={"AUTO": "", "PORTNUM": ""}), "Method of choosing a port number"
    ] = None
    portnum: Annotated[str | None, Key(0, 16, CHAR42.plus(" ")), "Port number, then the userid it goes to"] = None
    portnum_modify: Annotated[str | None, Key(0, 16, CHAR16), "Number of the port to alter"] = None
    portnum_remove: Annotated[str | None, Key(0, 16, CHAR16), "Number of the port to take away"] = None
    vlan_port_add: Annotated[str | None, Key(0, None, CHAR42.plus(" ")), "VLAN, then the ports it gains"] = None
    vlan_port_remove: Annotated[str | None, Key(0, None, CHAR42.plus(" ")), "VLAN, then the ports it loses"] = None
    vlan_delete: Annotated[str | None, Key(0, 8, CHAR42), "VLAN to take away"] = None
    vepa: Annotated[str | None, Key(0, 3, CHAR26, choices={"ON": "", "OFF": ""}), "Whether VEPA is used"] = None
    trace_size: Annotated[str | None, Key(0, 4, CHAR10), "Pages for the trace"] = None
    ivl_vlanid: Annotated[str | None, Key(0, 4, CHAR10), "VLAN that the IVL switch uses"] = None
    ivl_heartbeat: Annotated[str | None, Key(0, 4, CHAR10), "Seconds between IVL heartbeats"] = None
    lacp_group_type: Annotated[str | None, Key(0, 9, CHAR42), "Whether the port group is EXCLUSIVE or SHARED"] = None
