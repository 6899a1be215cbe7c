"""What one process runs: one system, an SSI cluster, or several systems that know nothing of each other.

    <state>/system.sqlite       one system
    <state>/cluster.sqlite      an SSI cluster
    <state>/<NAME>/system.sqlite ...    several systems (a fleet)

A state folder that holds something already is opened as what it is; the model says what a new one becomes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from zvmcloud.directory import Entry, Group, Region, Volume
from zvmcloud.simulator import cluster as ssi
from zvmcloud.simulator import equipment, filling, model_rows, presets, storage
from zvmcloud.simulator.clock import Scheduler, WallClock
from zvmcloud.simulator.cluster import Cluster
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.model import DirectoryEntry
from zvmcloud.simulator.model_cluster import ClusterFacts, LocalVolume
from zvmcloud.simulator.model_devices import Eqid
from zvmcloud.simulator.presets import Model
from zvmcloud.simulator.store import uncollected
from zvmcloud.simulator.system import System, Timing

FLEET_LIMIT = 64
#: Device number of SSICOM, which has the persistent data record of a new cluster.
PDR_RDEV = "5100"


@dataclass(frozen=True, slots=True)
class Installation:
    """The systems in the order of their ports, and the cluster that they are members of."""

    systems: tuple[System, ...]
    cluster: Cluster | None = None

    def close(self) -> None:
        """Close every state."""
        if self.cluster is not None:
            self.cluster.close()
            return
        for system in self.systems:
            system.close()


def open_installation(
    state: Path, model: Model | None = None, *, clock: Scheduler | None = None, timing: Timing | None = None
) -> Installation:
    """Open a state folder, made if missing. ModelError names what is wrong with a model."""
    model = model or presets.PRESETS["lpar"]
    if (state / ssi.FILE).exists() or (model.ssi and not _holds_systems(state)):
        cluster = open_cluster(state, model, clock=clock, timing=timing)
        return Installation(tuple(cluster.systems.values()), cluster)
    older = [] if (state / "system.sqlite").exists() else sorted(path.parent for path in state.glob("*/system.sqlite"))
    if not older and (model.systems == 1 or (state / "system.sqlite").exists()):
        return Installation((open_system(state, model, clock=clock, timing=timing),))
    if model.systems > FLEET_LIMIT:
        raise ModelError("systems", f"{model.systems} is more than {FLEET_LIMIT}")
    names = [path.name for path in older] or [f"ZVM{number}" for number in range(1, model.systems + 1)]
    opened: list[System] = []
    try:
        for number, name in enumerate(names, 1):
            prefix = f"02{number:02X}00"
            own = replace(model, name=name, lpar=f"LP{number}", mac_prefix=prefix, systems=1)
            # A clock each: closing one system stops its timers only.
            opened.append(open_system(state / name, own, clock=clock, timing=timing))
    except BaseException:
        for system in opened:
            system.close()
        raise
    return Installation(tuple(opened))


def _holds_systems(state: Path) -> bool:
    return (state / "system.sqlite").exists() or any(state.glob("*/system.sqlite"))


@uncollected()
def open_cluster(
    state: Path, model: Model | None = None, *, clock: Scheduler | None = None, timing: Timing | None = None
) -> Cluster:
    """The cluster in a state folder; a new one is filled from the model. ModelError names what is wrong."""
    model = model or presets.PRESETS["ssi4"]
    facts = None
    if model.ssi:
        filling.check_name("ssi", model.ssi.upper())
        for name in model.members:
            filling.check_name("members", name.upper())
        names = tuple(name.upper() for name in model.members)
        if not 1 <= len(names) <= ssi.MOST_MEMBERS or len(set(names)) != len(names):
            raise ModelError("members", f"a cluster has one to {ssi.MOST_MEMBERS} members with different names")
        facts = ClusterFacts(model.ssi.upper(), names, "SSICOM", PDR_RDEV)
    cluster = Cluster(state, facts, clock=clock or WallClock(), timing=timing)
    try:
        with cluster.transaction():
            if cluster.is_new:
                cluster.found()
                _fill(cluster, model)
            leader = cluster.leader
            assert leader is not None  # noqa: S101
            filling.set_passwords(leader, model)
        storage.sweep(*cluster.systems.values())
    except BaseException:
        cluster.close()
        if cluster.is_new:
            # What could not be filled is no cluster: the folder is as it was.
            for path in state.glob(f"{ssi.FILE}*"):
                path.unlink(missing_ok=True)
        raise
    return cluster


def _fill(cluster: Cluster, model: Model) -> None:
    """Content of a new cluster: shared volumes and directory once, then what each member has of its own."""
    systems = tuple(cluster.systems.values())
    leader = systems[0]
    for number, system in enumerate(systems, 1):
        own = replace(model, name=system.state.name, lpar=f"LP{number}", mac_prefix=f"02{number:02X}00")
        own = replace(own, user_prefix=model.mac_prefix)
        filling.fill_facts(system, own, serial=f"{0x077296 + number:06X}")
    filling.fill_volumes(leader, model)
    leader.volumes.put("SSICOM", Volume("SSICOM", "3390-0A", 10017, PDR_RDEV))
    for number, system in enumerate(systems, 1):
        volser = f"M{number:02d}RES"
        leader.volumes.put(volser, Volume(volser, "3390-0A", 10017, f"50{(number - 1) * 16:02X}"))
        leader.regions.put(volser, Region(volser, volser, 1, 10016))
        leader.groups.put(f"LOCAL{number}", Group(f"LOCAL{number}", (volser,)))
        cluster.local_volumes.put(volser, LocalVolume(volser, system.name))
    model_rows.fill(leader, model_rows.SPACE, model.rows)
    filling.fill_directory(leader, model)
    filling.fill_access(leader, model)
    for number, system in enumerate(systems, 1):
        filling.fill_devices(system, model, npiv=f"C05076DDF7{number:02X}")
        texts = dict(leader.texts.items())
        equipment.fill(system, model.equipment)
        model_rows.fill(system, model_rows.DEVICES, model.rows)
        for key, text in texts.items():
            # The configuration file is one for all members; the first one's says what is common to them.
            leader.texts.put(key, text)
        for rdev in system.fcps:
            # FCP devices of one channel path reach the same fabric from every member.
            system.eqids.put(rdev, Eqid(rdev, f"FCP{system.fcps[rdev].chpid}"))
    _build_identities(leader, systems)
    equipment.configure(*systems)
    for system in systems:
        filling.log_on_servers(system)
    if model.build is not None:
        model.build(leader)


def _build_identities(leader: System, systems: tuple[System, ...]) -> None:
    """Give every IDENTITY a SUBCONFIG for each member; minidisks move there, each on the member's own volume.

    PMAINT is a USER, because the parm disk is one for all members and on a volume that they share.
    """
    for name, record in leader.entries.items():
        entry = record.entry
        if entry.kind != "IDENTITY":
            continue
        disks = entry.mdisks
        for disk in disks:
            storage.delete_disk(leader, name, disk.vdev)
        if name == "PMAINT":
            shared = [line.replace("IDENTITY", "USER").replace("M01RES", "SSICOM") for line in entry.render()]
            user = Entry.parse(shared)
            leader.entries.put(name, DirectoryEntry(user))
            for disk in user.mdisks:
                storage.create_disk(leader, name, disk)
            continue
        lines = [*entry.without(lambda item: item.keyword == "MDISK").render()]
        # Eight characters: names that are longer keep their end, in which those of servers differ.
        stem = name if len(name) <= 6 else name[:5] + name[-1]
        subconfigs = {f"{stem}-{number}": number for number in range(1, len(systems) + 1)}
        builds = [f"BUILD ON {systems[n - 1].name} USING SUBCONFIG {sub}" for sub, n in subconfigs.items()]
        leader.entries.put(name, DirectoryEntry(Entry.parse([lines[0], *builds, *lines[1:]])))
        for subconfig, number in subconfigs.items():
            own = [replace(disk, volser=f"M{number:02d}RES") for disk in disks]
            records = [f"SUBCONFIG {subconfig}"]
            for disk in own:
                records += disk.statement().records
            leader.entries.put(subconfig, DirectoryEntry(Entry.parse(records)))
            for disk in own:
                storage.create_disk(leader, subconfig, disk)
