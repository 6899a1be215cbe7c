"""What an SSI cluster keeps beside its members' models: itself, its members, moves of guests, their settings."""

from __future__ import annotations

from dataclasses import dataclass, field

#: States of a member; the codes of their changes on the event stream are their places here, from 1 (judgement).
DOWN, JOINING, JOINED, LEAVING, ISOLATED, SUSPENDED, UNKNOWN = (
    "Down", "Joining", "Joined", "Leaving", "Isolated", "Suspended", "Unknown",
)  # fmt: skip
STATES = (DOWN, JOINING, JOINED, LEAVING, ISOLATED, SUSPENDED, UNKNOWN)
#: Modes of a cluster, numbered in the same way.
STABLE, INFLUX, SAFE = "Stable", "Influx", "Safe"
MODES = (STABLE, INFLUX, SAFE)


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Name of the cluster, its members in the order of their slots, where the persistent data record is."""

    name: str
    members: tuple[str, ...]
    pdr_volume: str = ""
    pdr_rdev: str = ""
    timeouts: bool = True
    """Whether cross-system timeouts are enabled."""


@dataclass(frozen=True, slots=True)
class MemberState:
    """State of a member, and since when."""

    name: str
    state: str = JOINED
    since: float = 0.0
    heard: float = 0.0
    """The last heartbeat of a member that is not up."""


@dataclass(frozen=True, slots=True)
class LocalVolume:
    """A volume that one member only has; minidisks on others are on volumes that all members share."""

    volser: str
    member: str


@dataclass(frozen=True, slots=True)
class RelocationDomain:
    """A named set of members between which guests may move without losing facilities of the architecture."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RelocationSetting:
    """What SET VMRELOCATE changed for a guest that is logged on; it ends with the logon at `logon_at`."""

    userid: str
    logon_at: float
    allowed: bool = True
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Relocation:
    """A move under way. Limits are in seconds; None stands for NOLIMIT."""

    userid: str
    source: str
    destination: str
    issuer: str
    number: int
    """Differs for every move, so that a timer of an earlier one does nothing."""
    started: float
    arrives: float
    """When the guest has arrived unless a limit is passed."""
    quiesce: float
    """How long it stands still before that."""
    max_total: float | None = None
    max_quiesce: float | None = 10.0
    force: tuple[str, ...] = field(default=())
    immediate: bool = False
    was_paused: bool = False
    """Whether the guest stood still already when it was quiesced."""
    quiesced: bool = False
