"""More values of the model: what is below and beside the virtual machines.

Real disks, channel paths, the SCSI fabric, EDEVs, page and spool volumes, EQIDs; guest LANs, interfaces of TCP/IP
stacks; saved segments, metadata, CMS files, dumps, service levels, thresholds; load and hot-plugged parts of guests.
Conventions are those of `model`: addresses are four upper-case hexadecimal digits, times seconds since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

from zvmcloud.simulator.model import Grant


@dataclass(frozen=True, slots=True)
class RealDisk:
    """A real DASD beside those of `system.volumes`, or what is special about one of those.

    status: FREE, ATTACHED (to `owner`), SYSTEM (minidisks may be on it), OWNED (CP's own), OFFLINE; HIDDEN when the
    channel subsystem has it and CP does not know it yet. `size` is in cylinders (3390) or blocks (9336).
    """

    rdev: str
    model: str = "3390-0C"
    size: int = 30051
    volser: str = ""
    status: str = "FREE"
    owner: str = ""
    shared: bool = False
    """Whether other systems may share a full-pack minidisk of the volume."""


@dataclass(frozen=True, slots=True)
class ChannelPath:
    """A channel path of the partition. kind: FC (disks), FCP, OSD, IQD."""

    chpid: str
    kind: str
    pchid: str = ""
    online: bool = True


@dataclass(frozen=True, slots=True)
class ClosedPath:
    """A path that VARY OFFLINE PATH took from one device; key "chpid rdev"."""

    chpid: str
    rdev: str


@dataclass(frozen=True, slots=True)
class Lun:
    """A logical unit behind a target port. The same disk behind several ports has one uuid.

    `hosts`: NPIV WWPNs that the storage box lets in; empty for everyone on the fabric.
    """

    wwpn: str
    lun: str
    uuid: str
    blocks: int
    vendor: str = "IBM"
    product: str = "2107900"
    model: str = "2107900"
    serial: str = "75DV991"
    code: str = "1.62"
    block_size: int = 512
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edev:
    """A SCSI disk that CP shows as an FBA disk. `paths` are texts "fcp wwpn lun"; blocks 0 while it is offline."""

    rdev: str
    paths: tuple[str, ...] = ()
    blocks: int = 0
    attribute: str = "SCSI"
    online: bool = False
    persistent: bool = False


@dataclass(frozen=True, slots=True)
class SpaceVolume:
    """A CP-owned volume of page or spool space. `pages` are 4 KiB each; state NOTDRAINED, DRAINING or DRAINED."""

    volser: str
    rdev: str
    use: str
    """PAGE or SPOOL."""
    pages: int
    slot: int = 0
    state: str = "NOTDRAINED"
    dump: bool = False


@dataclass(frozen=True, slots=True)
class Eqid:
    """Equivalency identifier of a real device."""

    rdev: str
    eqid: str


@dataclass(frozen=True, slots=True)
class TextFile:
    """A CMS file: `place` is "PMAINT.0CF0" for a minidisk's, or a shared file system directory ("VMSYS:VMRMSVM.")."""

    place: str
    name: str
    filetype: str
    lines: tuple[str, ...] = ()
    changed: float = 0.0


@dataclass(frozen=True, slots=True)
class PageRange:
    """Pages of a saved segment: first, last, and access (1 SW, 2 EW, 3 SR, 4 ER, 5 SN, 6 EN, 7 SC)."""

    first: int
    last: int
    access: int = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """A saved segment (DCSS, NSS). status: 1 skeleton, 2 open to everyone, 3 to named users only, 4 purge pending."""

    name: str
    status: int = 2
    ranges: tuple[PageRange, ...] = ()
    kind: str = "DCSS"
    """DCSS or NSS."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """A value that the metadata server keeps for an identifier (mostly a userid)."""

    identifier: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of a TCP/IP stack. `operands` are those of the device: "VETH F100 SYSTEM VSW1"."""

    stack: str
    name: str
    operands: str
    addresses: tuple[str, ...] = ()
    """Each with its prefix length: "192.0.2.1/24"."""
    mtu: int = 0
    p2p: str = ""
    cpu: int = 0
    transport: str = "IP"
    forward: bool = True
    path_mtu: bool = False
    port_name: str = ""
    port_number: str = ""
    vlan: str = ""
    permanent: bool = True
    active: bool = True


@dataclass(frozen=True, slots=True)
class GuestLan:
    """A guest LAN. kind: HIPERS or QDIO; transport IP or ETHERNET."""

    owner: str
    name: str
    kind: str = "QDIO"
    restricted: bool = False
    transport: str = "IP"
    grants: tuple[Grant, ...] = ()
    persistent: bool = True

    def grant(self, userid: str) -> Grant | None:
        return next((grant for grant in self.grants if grant.userid == userid), None)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A performance threshold that is watched. `since` is when it was enabled, `crossed` whether it is above now."""

    event: str
    """SYSTEM_CPU, SYSTEM_VIRTUAL_IO, SYSTEM_PAGING, SYSTEM_DASD_IO, USER_CPU userid, USER_IO userid."""
    limit: int
    since: float = 0.0
    crossed: bool = False


@dataclass(frozen=True, slots=True)
class Activity:
    """What a guest's load has consumed until `at` beside idling, and what it consumes per second from there.

    Of the frames, `inside` went to guests of the same switch, and no uplink saw them. `dropped` were sent on top of
    them and discarded by the switch.
    cpu is in percent of one virtual CPU; the load ends at `until` (0 for never).
    """

    userid: str
    logon_at: float
    at: float
    cpu_us: int = 0
    frames: int = 0
    operations: int = 0
    cpu: int = 0
    frame_rate: int = 0
    io_rate: int = 0
    until: float = 0.0
    inside: int = 0
    inside_rate: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class GuestHardware:
    """What a running operating system has seen of hot-plugged parts since its IPL (`generation`)."""

    userid: str
    generation: int
    known: tuple[str, ...] = ()
    """CPU addresses that the system knows; others appear after a rescan."""
    online: tuple[str, ...] = ()
    online_kib: int = 0
    standby_kib: int = 0
    reserved_kib: int = 0


@dataclass(frozen=True, slots=True)
class UplinkCount:
    """Frames and bytes that an uplink device of a VSWITCH carried. `active` while it is the one in use.

    `mark_*` is what the whole switch had carried when the device became active.
    """

    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    mark_frames_in: int = 0
    mark_frames_out: int = 0
    mark_bytes_in: int = 0
    mark_bytes_out: int = 0
    active: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """Service of a component: its recommended service upgrade and the parts applied on top, "PTF APAR" each."""

    component: str
    rsu: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessedDump:
    """An ABEND dump that the dump-processing userid has loaded into the shared file system."""

    name: str
    date: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Monitor:
    """CP's monitor: sample rate in seconds, interval in minutes, whether the I/O domain is sampled."""

    rate: float = 2.0
    interval: int = 1
    io: bool = True


@dataclass(frozen=True, slots=True)
class PlannedShutdown:
    """A shutdown of the system: when it is due, and whether it has happened (the system is down)."""

    at: float
    reipl: bool = True
    immediate: bool = False
    down: bool = False
