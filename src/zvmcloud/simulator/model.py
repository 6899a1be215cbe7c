"""What a z/VM system consists of: the values in the collections of the store.

Addresses of virtual and real devices are four upper-case hexadecimal digits, userids upper case. Times are seconds
since 1970 UTC. Sizes of disks are cylinders (3390) or 512-byte blocks (FBA); storage is in KiB.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from zvmcloud.directory import Entry
from zvmcloud.images.netfiles import Network


@dataclass(frozen=True, slots=True)
class Processor:
    """A real CPU of the partition: MASTER-PROCESSOR, ALTERNATE, PARKED or STANDBY; CP, IFL, ZIIP."""

    address: str
    status: str
    kind: str
    core: str


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """What does not change while the system runs."""

    name: str
    lpar: str = "LP1"
    version: str = "z/VM Version 7 Release 2.0, service level 2101 (64-bit)"
    release: str = "7.2.0"
    level: int = 720
    machine_type: str = "3906"
    machine_model: str = "M04"
    cpu_id: str = "0772963906"
    storage_kib: int = 64 << 20
    processors: tuple[Processor, ...] = ()
    mac_prefix: str = "020000"
    """Of addresses that the system chooses; each member of a cluster has its own."""
    user_prefix: str = ""
    """Of addresses whose last half a NICDEF names (MACID); the same in all members of a cluster, so that an adapter
    keeps its address when its guest moves. Empty: ``mac_prefix``."""
    time_zone: str = "UTC"
    directory_manager: str = "IBM Directory Maintenance Facility for z/VM, Function Level 720"
    ipl_at: float = 0.0


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """An entry of the user directory and who holds locks on it or on devices of it."""

    entry: Entry
    locked_by: str = ""
    device_locks: tuple[tuple[str, ...], ...] = ()
    """Pairs of a device address and the userid that locked it."""
    tags: tuple[tuple[str, ...], ...] = ()
    """Pairs of a local tag and what it holds; unlike statements, the text keeps its letters."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The data of a minidisk, temporary or virtual disk: a sparse file below the state folder."""

    owner: str
    vdev: str
    kind: str
    """ECKD or FBA."""
    size: int
    file: str
    device_type: str = "3390"
    volser: str = ""
    start: int = 0
    temporary: str = ""
    """TEMP or VDSK for disks that end with the logon; empty for minidisks."""


@dataclass(frozen=True, slots=True)
class Dasd:
    """A disk as a device of a virtual machine: its own minidisk, or a link to one."""

    vdev: str
    owner: str
    owner_vdev: str
    write: bool
    file: str
    subchannel: int = 0


@dataclass(frozen=True, slots=True)
class Nic:
    """A virtual network adapter; coupled when it has a LAN name."""

    vdev: str
    mac: str
    """Twelve hexadecimal digits."""
    adapter_type: str = "QDIO"
    devices: int = 3
    chpid: str = ""
    lan_owner: str = ""
    lan_name: str = ""
    port: int = 0
    vlans: tuple[str, ...] = ()
    """VLANs and port type of NICDEF; empty where the switch's grant says them."""
    port_type: str = ""


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """Console (CONS), reader (RDR), punch (PUN) or printer (PRT)."""

    vdev: str
    kind: str
    spool_class: str = "A"
    to: str = ""
    """Where a file goes when it is closed; empty for the machine itself."""
    copies: int = 1
    held: bool = False
    continuous: bool = False
    kept: bool = False
    stopped: bool = False
    """A console that was told SPOOL CONSOLE STOP: what is written to it is not kept."""
    name: str = ""
    filetype: str = ""
    distribution: str = ""
    form: str = "STANDARD"
    tag: str = ""


@dataclass(frozen=True, slots=True)
class RealDevice:
    """A real device that was dedicated to the machine: OSA, FCP or other."""

    vdev: str
    rdev: str
    kind: str
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Ctca:
    """A virtual channel-to-channel adapter; coupled when it has a peer."""

    vdev: str
    peer: str = ""
    """The userid at the other end."""
    peer_vdev: str = ""

    @property
    def kind(self) -> str:
        return "CTCA"


Device = Dasd | Nic | UnitRecord | RealDevice | Ctca


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address inside a guest, on the adapter with that device number and MAC."""

    vdev: str
    mac: str
    ip: str
    prefix: int = 24
    vlan: int = 0
    gateway: str = ""
    layer: int = 0
    """2 or 3 when the guest's configuration says so; 0 when its driver asks CP, and works as the LAN does."""


@dataclass(frozen=True, slots=True)
class GuestSystem:
    """The operating system that runs in a virtual machine."""

    phase: str
    """booting, up, stopping or halted."""
    ipl: str
    """The device or saved system it was loaded from."""
    kernel: str = ""
    release: str = ""
    """The text of /etc/os-release."""
    hostname: str = ""
    addresses: tuple[Address, ...] = ()
    since: float = 0.0
    signals: bool = True
    """Whether it listens to the shutdown signal."""
    agent: bool = True
    """Whether the in-guest agent answers."""
    authorized: str = ""
    """The userid the in-guest agent obeys; empty for any."""
    then: str = ""
    """What follows when it has stopped: off, reipl or halt."""
    commands: tuple[str, ...] = ()
    root: str = ""
    """Where its root file system is: the key of `system.memories`."""
    cmdline: str = ""
    """The kernel's command line."""
    status: int = 0
    """With what the configuration service ended the last time."""
    mounts: tuple[str, ...] = ()
    """Disks that are mounted beside the root, "device mount-point"; [SWAP] for swap space."""
    qeths: tuple[str, ...] = ()
    """Network adapters that it has brought online."""

    def without_adapter(self, vdev: str) -> GuestSystem:
        """The system as it is when an adapter is offline or gone."""
        return replace(
            self,
            qeths=tuple(item for item in self.qeths if item != vdev),
            addresses=tuple(address for address in self.addresses if address.vdev != vdev),
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine that is logged on."""

    userid: str
    logon_at: float
    storage_kib: int
    max_storage_kib: int
    cpus: tuple[str, ...]
    devices: tuple[Device, ...] = ()
    paused: bool = False
    forced_at: float = 0.0
    """When CP ends the machine if its system has not stopped by then; 0 when nothing is pending."""
    system: GuestSystem | None = None
    console: tuple[str, ...] = ()
    """Lines of the console file that is open."""
    share: tuple[str, ...] = ("RELATIVE", "100")
    generation: int = 0
    """Differs for every IPL, so that a timer of an earlier one does nothing."""
    fcps: tuple[str, ...] = ()
    """FCP devices (virtual addresses) that the running system has brought online."""
    units: tuple[str, ...] = ()
    """SCSI disks that it has brought online, as paths "vdev wwpn lun" in upper case."""

    def device(self, vdev: str) -> Device | None:
        return next((device for device in self.devices if device.vdev == vdev), None)

    @property
    def nics(self) -> tuple[Nic, ...]:
        return tuple(device for device in self.devices if isinstance(device, Nic))

    @property
    def disks(self) -> tuple[Dasd, ...]:
        return tuple(device for device in self.devices if isinstance(device, Dasd))


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a guest wrote to its own disk. `written` is the disk file's time of last change."""

    written: int
    hostname: str = ""
    networks: tuple[Network, ...] = ()
    """From config drives and parm lines; those of network files are in the files."""
    authorized: str = ""
    files: tuple[tuple[str, ...], ...] = ()
    """Pairs of an absolute name and the text of a file that was placed or written."""


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """A closed spool file. `file` names its content below the state folder."""

    owner: str
    spoolid: str
    origin: str
    queue: str = "RDR"
    spool_class: str = "A"
    kind: str = "PUN"
    name: str = ""
    filetype: str = ""
    records: int = 0
    size: int = 0
    file: str = ""
    created: float = 0.0
    hold: str = "NONE"
    copies: int = 1
    distribution: str = "SYSPROG"
    form: str = "STANDARD"
    kept: bool = False
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A userid that may couple to a VSWITCH, on which VLANs."""

    userid: str
    vlans: tuple[str, ...] = ()
    port_type: str = ""
    promiscuous: bool = False
    port: int = 0
    osd_sim: bool = False
    """Whether the adapter may simulate an OSD one on an IEDN or INMN switch."""
    uplink: bool = False
    """Whether the port is the uplink."""


@dataclass(frozen=True, slots=True)
class Vswitch:
    """A virtual switch. `vlan` is empty for a VLAN-unaware switch, AWARE or the default VLAN id otherwise."""

    name: str
    mac: str
    transport: str = "ETHERNET"
    port_type: str = ""
    queue_memory: int = 8
    routing: str = ""
    vlan: str = ""
    native_vlan: int = 1
    gvrp: bool = False
    controller: str = "*"
    connected: bool = True
    rdevs: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    persistent: bool = False
    ip_timeout: int = 5
    switch_type: str = "QDIO"
    isolation: bool = False
    mac_protect: str = "UNSPECIFIED"
    user_based: bool = True
    counters: bool = False
    vepa: bool = False
    group: str = ""
    lacp: str = ""
    interval: str = ""
    path_mtu: str = "EXTERNAL"
    """Path MTU discovery: EXTERNAL, OFF or a number of bytes."""
    priority_queuing: bool = False
    shared_group: bool = False
    """Whether the link aggregation group is shared with other systems."""
    nic_userid: str = ""
    nic_vdev: str = ""
    """The guest's adapter that is the uplink; empty when there is none."""
    trace_pages: int = 8
    ivl_vlan: int = 0
    ivl_heartbeat: int = 30
    """Seconds between the heartbeats of an inter-VSWITCH link switch."""
    ivl_domain: str = ""
    """Letter A to H of the domain that a switch of type IVL joins its systems to."""
    scope: str = "LOCAL"
    """LOCAL to the system, GLOBAL in the cluster, or of an IVL DOMAIN."""

    @property
    def aware(self) -> bool:
        return self.vlan != ""

    def grant(self, userid: str) -> Grant | None:
        return next((grant for grant in self.grants if grant.userid == userid), None)


@dataclass(frozen=True, slots=True)
class Osa:
    """A real OSA device number."""

    rdev: str
    chpid: str
    kind: str = "OSA"
    owner: str = ""
    online: bool = True


@dataclass(frozen=True, slots=True)
class Fcp:
    """A real FCP device number with its worldwide port names."""

    rdev: str
    chpid: str
    npiv: str
    """Empty where NPIV is off."""
    physical: str
    owner: str = ""
    online: bool = True


@dataclass(frozen=True, slots=True)
class Authorization:
    """One record of the AUTHLIST: requester, target, function; each may be a list or ALL."""

    requester: str
    target: str
    function: str


@dataclass(frozen=True, slots=True)
class NameList:
    """A list of the NAMELIST: userids or functions."""

    name: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """Asynchronous work of the directory manager: running, done or failed."""

    number: int
    function: str
    target: str
    state: str = "running"
    rc: int = 0
    rs: int = 0


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that only grows."""

    value: int = field(default=0)
