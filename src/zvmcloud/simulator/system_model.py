"""Every collection of values that a system's model is made of."""

from __future__ import annotations

from typing import Protocol, TypeVar

from zvmcloud.directory import Group, Region, Volume
from zvmcloud.simulator.model import (
    Authorization,
    Counter,
    DirectoryEntry,
    Disk,
    Fcp,
    Machine,
    NameList,
    Operation,
    Osa,
    Remembered,
    SpoolFile,
    SystemFacts,
    Vswitch,
)
from zvmcloud.simulator.model_cp import FlashRelation, UserSettings
from zvmcloud.simulator.model_devices import (
    Activity,
    ChannelPath,
    ClosedPath,
    Edev,
    Eqid,
    GuestHardware,
    GuestLan,
    Interface,
    Lun,
    Metadata,
    Monitor,
    PlannedShutdown,
    ProcessedDump,
    RealDisk,
    Segment,
    Service,
    SpaceVolume,
    TextFile,
    Threshold,
    UplinkCount,
)
from zvmcloud.simulator.model_directory import (
    DirectoryMode,
    HeldDisk,
    InEffect,
    LocalTag,
    Prototype,
    SourceFile,
    Subscription,
)
from zvmcloud.simulator.store import Collection

V = TypeVar("V")


class Declare(Protocol):
    """Declares a collection: a store's method, or a cluster's for one member."""

    def __call__(self, name: str, kind: type[V]) -> Collection[V]:
        """The collection of that name."""
        ...


class SystemModel:
    """The collections. Keys are names (userid, label, device number) unless a comment says otherwise."""

    def __init__(self, collection: Declare) -> None:
        self.facts_rows = collection("facts", SystemFacts)
        self.counters = collection("counters", Counter)
        self.volumes = collection("volumes", Volume)
        self.regions = collection("regions", Region)
        self.groups = collection("groups", Group)
        self.entries = collection("entries", DirectoryEntry)
        self.disks = collection("disks", Disk)
        self.machines = collection("machines", Machine)
        self.memories = collection("memories", Remembered)
        """Name of a disk file to what the system on it wrote to its own disk."""
        self.spool = collection("spool", SpoolFile)
        self.vswitches = collection("vswitches", Vswitch)
        self.osas = collection("osas", Osa)
        self.fcps = collection("fcps", Fcp)
        self.authorizations = collection("authorizations", Authorization)
        self.name_lists = collection("name_lists", NameList)
        self.operations = collection("operations", Operation)
        self.real_disks = collection("real_disks", RealDisk)
        self.channel_paths = collection("channel_paths", ChannelPath)
        self.closed_paths = collection("closed_paths", ClosedPath)
        """Key "chpid rdev"."""
        self.luns = collection("luns", Lun)
        """Key "wwpn lun"."""
        self.edevs = collection("edevs", Edev)
        self.space_volumes = collection("space_volumes", SpaceVolume)
        self.eqids = collection("eqids", Eqid)
        self.guest_lans = collection("guest_lans", GuestLan)
        """Key "owner.name"."""
        self.uplinks = collection("uplinks", UplinkCount)
        """Key "switch rdev"."""
        self.interfaces = collection("interfaces", Interface)
        """Key "stack name"."""
        self.texts = collection("texts", TextFile)
        """Key "place name type"."""
        self.segments = collection("segments", Segment)
        self.metadata = collection("metadata", Metadata)
        """Key "identifier name"."""
        self.dumps = collection("dumps", ProcessedDump)
        self.services = collection("services", Service)
        self.thresholds = collection("thresholds", Threshold)
        self.monitors = collection("monitors", Monitor)
        self.shutdowns = collection("shutdowns", PlannedShutdown)
        self.activities = collection("activities", Activity)
        self.hardware = collection("hardware", GuestHardware)

        self.prototypes = collection("prototypes", Prototype)
        self.local_tags = collection("local_tags", LocalTag)
        self.in_effect = collection("in_effect", InEffect)
        self.held_disks = collection("held_disks", HeldDisk)
        self.directory_modes = collection("directory_modes", DirectoryMode)
        self.subscriptions = collection("subscriptions", Subscription)
        """Key: all fields."""
        self.source_files = collection("source_files", SourceFile)
        self.settings = collection("settings", UserSettings)
        self.flash_relations = collection("flash_relations", FlashRelation)
        """Key: file of the target and its first cylinder."""
