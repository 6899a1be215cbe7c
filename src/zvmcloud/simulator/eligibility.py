"""May a guest move to another member: one small function for each thing that stands against it.

Every blocker gives the message lines (`Reason`) for one wish to move; none means that nothing stands against it. The
numbers 1926, 1940, 1981 and 1996 are recorded (1981 and 1996 of a guest with two links to MAINT's disks and a dedicated
disk, so that their meaning is fairly sure), 1823 is SMAPI's reason code for the same thing; the other numbers of this
module, and all wording, are judgement.
docs/reference/relocation.md lists them.

Not modelled, as the simulator has nothing like it: open punch and print files (a file is closed when it is made),
crypto and PCI functions, exclusive saved segments, cooperative memory management.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from zvmcloud.cp.messages import Message
from zvmcloud.simulator import network, storage
from zvmcloud.simulator.model import Ctca, Dasd, Machine, Nic, RealDevice, Vswitch
from zvmcloud.simulator.model_cluster import RelocationSetting
from zvmcloud.simulator.system import System

KIB_PER_PAGE = 4
#: Checks that a FORCE operand leaves out.
ARCHITECTURE, DOMAIN, STORAGE = "ARCHITECTURE", "DOMAIN", "STORAGE"
FORCES = (ARCHITECTURE, DOMAIN, STORAGE)


@dataclass(frozen=True, slots=True)
class Wish:
    """A guest that is to move, from where to where."""

    machine: Machine
    source: System
    destination: System
    force: tuple[str, ...] = ()

    @property
    def userid(self) -> str:
        return self.machine.userid


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that stands against a move."""

    number: int
    line: str


Check = Callable[[Wish], Iterator[dict[str, str | int]]]


@dataclass(frozen=True, slots=True)
class Blocker:
    """A check and the message of what it finds. `force` is the operand that leaves it out."""

    message: Message
    check: Check
    force: str = ""

    def reasons(self, wish: Wish) -> list[Reason]:
        if self.force and self.force in wish.force:
            return []
        return [Reason(self.message.number, _line(self.message, wish, operands)) for operands in self.check(wish)]


def _line(message: Message, wish: Wish, operands: Mapping[str, str | int]) -> str:
    return message.render(**{"userid": wish.userid, **{name: str(value) for name, value in operands.items()}})


BLOCKERS: list[Blocker] = []


def blocker(number: int, template: str, *, force: str = "") -> Callable[[Check], Check]:
    """Register the decorated check with its message."""

    def register(check: Check) -> Check:
        BLOCKERS.append(Blocker(Message(number, "RLI", "I", "{userid}: " + template), check, force))
        return check

    return register


def reasons(wish: Wish) -> tuple[Reason, ...]:
    """Everything that stands against the move, in the order of the checks."""
    return tuple(reason for item in BLOCKERS for reason in item.reasons(wish))


def setting(system: System, machine: Machine) -> RelocationSetting:
    """Whether the guest may move and within which domain: its directory entry, then what SET VMRELOCATE changed."""
    cluster = system.cluster
    changed = cluster.settings.get(machine.userid) if cluster else None
    if changed is not None and changed.logon_at == machine.logon_at:
        return changed
    allowed, domain = True, cluster.name if cluster else ""
    entry = system.full_entry(machine.userid)
    for statement in entry.every("VMRELOCATE") if entry else ():
        words = statement.words
        allowed = "OFF" not in words
        if "DOMAIN" in words[:-1]:
            domain = words[words.index("DOMAIN") + 1]
    return RelocationSetting(machine.userid, machine.logon_at, allowed, domain)


# -- the guest itself -------------------------------------------------------------------------------------------------


@blocker(1823, "A virtual machine with a configuration on several members cannot be relocated")
def identity(wish: Wish) -> Iterator[dict[str, str | int]]:
    if not wish.source.floats(wish.userid):
        yield {}


@blocker(1941, "Relocation is switched off (directory or SET VMRELOCATE)")
def switched_off(wish: Wish) -> Iterator[dict[str, str | int]]:
    if not setting(wish.source, wish.machine).allowed:
        yield {}


@blocker(1942, "Member {member} is not in the relocation domain {domain}", force=DOMAIN)
def outside_domain(wish: Wish) -> Iterator[dict[str, str | int]]:
    cluster, domain = wish.source.cluster, setting(wish.source, wish.machine).domain
    found = cluster.domains.get(domain) if cluster else None
    if found is None or wish.destination.name not in found.members:
        yield {"member": wish.destination.name, "domain": domain}


@blocker(1932, "The virtual machine is not disconnected")
def connected(wish: Wish) -> Iterator[dict[str, str | int]]:
    # Whoever has a session of the machine port is at the machine's console.
    if wish.userid in wish.source.sessions:
        yield {}


@blocker(1944, "Member {member} lacks facilities of the architecture that the virtual machine has", force=ARCHITECTURE)
def architecture(wish: Wish) -> Iterator[dict[str, str | int]]:
    here, there = wish.source.facts, wish.destination.facts
    if (there.machine_type, there.level) < (here.machine_type, here.level):
        yield {"member": wish.destination.name}


@blocker(1945, "A shutdown or logoff of the virtual machine is pending")
def ending(wish: Wish) -> Iterator[dict[str, str | int]]:
    running = wish.machine.system
    if wish.machine.forced_at or (running is not None and running.phase == "stopping"):
        yield {}


@blocker(1946, "{count} virtual CPUs are more than the {limit} processors of member {member}")
def processors(wish: Wish) -> Iterator[dict[str, str | int]]:
    count, limit = len(wish.machine.cpus), len(wish.destination.facts.processors)
    if count > limit:
        yield {"count": count, "limit": limit, "member": wish.destination.name}


@blocker(1947, "Storage of {size}M is more than the {limit}M of member {member}")
def real_storage(wish: Wish) -> Iterator[dict[str, str | int]]:
    size, limit = wish.machine.storage_kib, wish.destination.facts.storage_kib
    if size > limit:
        yield {"size": size >> 10, "limit": limit >> 10, "member": wish.destination.name}


@blocker(1813, "Storage that can be paged ({size}M) exceeds the {limit}M of paging space of {member}", force=STORAGE)
def paging_space(wish: Wish) -> Iterator[dict[str, str | int]]:
    there = wish.destination
    pages = sum(volume.pages for volume in there.space_volumes.values() if volume.use == "PAGE")
    # A guest may also stay in real storage: what counts is what both together have.
    limit = (pages * KIB_PER_PAGE + there.facts.storage_kib) >> 10
    size = wish.machine.max_storage_kib >> 10
    if size > limit:
        yield {"size": size, "limit": limit, "member": there.name}


# -- disks ------------------------------------------------------------------------------------------------------------


def _disks(wish: Wish) -> Iterator[tuple[Dasd, str, str]]:
    """Disk devices with the label of the volume and TEMP, VDSK or nothing."""
    for device in wish.machine.disks:
        disk = wish.source.disks.get(storage.key(device.owner, device.owner_vdev))
        if disk is not None:
            yield device, disk.volser, disk.temporary


@blocker(1996, "Virtual device {vdev} is a link to a minidisk that only member {member} has")
def local_disk(wish: Wish) -> Iterator[dict[str, str | int]]:
    cluster = wish.source.cluster
    for device, volser, temporary in _disks(wish):
        own = not wish.source.floats(device.owner)
        if not temporary and (own or (cluster is not None and cluster.is_local(volser))):
            yield {"vdev": device.vdev, "member": wish.source.name}


@blocker(1948, "Virtual device {vdev} is a temporary disk")
def temporary_disk(wish: Wish) -> Iterator[dict[str, str | int]]:
    for device, _, temporary in _disks(wish):
        if temporary == "TEMP":
            yield {"vdev": device.vdev}


@blocker(1949, "Virtual device {vdev} is a virtual disk in storage that {other} has as well")
def shared_virtual_disk(wish: Wish) -> Iterator[dict[str, str | int]]:
    for device, _, temporary in _disks(wish):
        if temporary != "VDSK":
            continue
        for machine, _ in storage.users(wish.source, device.owner, device.owner_vdev):
            if machine.userid != wish.userid:
                yield {"vdev": device.vdev, "other": machine.userid}
                break


@blocker(1950, "Virtual device {vdev} is linked R/W by {other} as well")
def linked_twice(wish: Wish) -> Iterator[dict[str, str | int]]:
    for device, _, temporary in _disks(wish):
        if not device.write or temporary:
            continue
        users = storage.users(wish.source, device.owner, device.owner_vdev)
        users += storage.elsewhere(wish.source, device.file, device.owner, device.owner_vdev)
        other = next((item.userid for item, link in users if link.write and item.userid != wish.userid), "")
        if other:
            yield {"vdev": device.vdev, "other": other}


@blocker(1951, "Volume {volser} of virtual device {vdev} is not there on member {member}")
def volume_missing(wish: Wish) -> Iterator[dict[str, str | int]]:
    for device, volser, temporary in _disks(wish):
        volume = wish.destination.volumes.get(volser)
        real = wish.destination.real_disks.get(volume.rdev) if volume is not None else None
        if not temporary and real is not None and real.status in ("OFFLINE", "HIDDEN"):
            yield {"vdev": device.vdev, "volser": volser, "member": wish.destination.name}


# -- real devices -----------------------------------------------------------------------------------------------------


@blocker(1981, "Virtual device {vdev} is the real device {rdev}, of a kind that cannot be relocated")
def dedicated(wish: Wish) -> Iterator[dict[str, str | int]]:
    for device in wish.machine.devices:
        if isinstance(device, RealDevice) and device.kind not in ("OSA", "FCP"):
            yield {"vdev": device.vdev, "rdev": device.rdev}


@blocker(1953, "Virtual device {vdev} is the real device {rdev}, which has no EQID")
def no_eqid(wish: Wish) -> Iterator[dict[str, str | int]]:
    for device in _equivalent_kinds(wish):
        if device.rdev not in wish.source.eqids:
            yield {"vdev": device.vdev, "rdev": device.rdev}


@blocker(1954, "Member {member} has no free device with the EQID {eqid} for virtual device {vdev}")
def no_equivalent(wish: Wish) -> Iterator[dict[str, str | int]]:
    found = equivalents(wish)
    for device in _equivalent_kinds(wish):
        eqid = wish.source.eqids.get(device.rdev)
        if eqid is not None and device.vdev not in found:
            yield {"vdev": device.vdev, "eqid": eqid.eqid, "member": wish.destination.name}


def _equivalent_kinds(wish: Wish) -> list[RealDevice]:
    return [item for item in wish.machine.devices if isinstance(item, RealDevice) and item.kind in ("OSA", "FCP")]


def equivalents(wish: Wish) -> dict[str, str]:
    """The destination's device for each dedicated OSA or FCP device, by virtual device number: free, of equal EQID."""
    there = wish.destination
    taken = {rdev for switch in there.vswitches.values() for rdev in switch.rdevs}
    chosen: dict[str, str] = {}
    for device in _equivalent_kinds(wish):
        eqid = wish.source.eqids.get(device.rdev)
        pool = there.osas if device.kind == "OSA" else there.fcps
        for rdev in sorted(pool) if eqid is not None else ():
            row, equal = pool[rdev], there.eqids.get(rdev)
            if row.owner or not row.online or rdev in taken or equal is None or eqid is None:
                continue
            if equal.eqid == eqid.eqid:
                chosen[device.vdev] = rdev
                taken.add(rdev)
                break
    return chosen


# -- networks ---------------------------------------------------------------------------------------------------------


def _coupled(wish: Wish) -> Iterator[tuple[Nic, Vswitch | None, Vswitch | None]]:
    """Coupled adapters with the VSWITCH here and the one of that name there; None for a guest LAN, or none there."""
    for nic in wish.machine.nics:
        if nic.lan_name:
            here = wish.source.vswitches.get(nic.lan_name) if nic.lan_owner in ("SYSTEM", "") else None
            yield nic, here, wish.destination.vswitches.get(nic.lan_name)


@blocker(1955, "Adapter {vdev} is coupled to the LAN {owner} {name}, which is not a VSWITCH")
def guest_lan(wish: Wish) -> Iterator[dict[str, str | int]]:
    for nic, here, _ in _coupled(wish):
        if here is None:
            yield {"vdev": nic.vdev, "owner": nic.lan_owner, "name": nic.lan_name}


@blocker(1952, "Adapter {vdev} is coupled to VSWITCH {name}, which member {member} does not have")
def no_switch(wish: Wish) -> Iterator[dict[str, str | int]]:
    for nic, here, there in _coupled(wish):
        if here is not None and there is None:
            yield {"vdev": nic.vdev, "name": nic.lan_name, "member": wish.destination.name}


@blocker(1982, "Adapter {vdev} may not be coupled to VSWITCH {name} of member {member}: no grant")
def no_grant(wish: Wish) -> Iterator[dict[str, str | int]]:
    for nic, here, there in _coupled(wish):
        if here is not None and there is not None and not network.authorised(there, wish.userid):
            yield {"vdev": nic.vdev, "name": nic.lan_name, "member": wish.destination.name}


@blocker(1983, "VSWITCH {name} of member {member} is of another type (transport, VLAN awareness or port type)")
def other_switch(wish: Wish) -> Iterator[dict[str, str | int]]:
    for nic, here, there in _coupled(wish):
        if here is None or there is None:
            continue
        kinds = [(item.switch_type, item.transport, item.aware, item.user_based) for item in (here, there)]
        if kinds[0] != kinds[1]:
            yield {"name": nic.lan_name, "member": wish.destination.name}


@blocker(1984, "VSWITCH {name} of member {member} has no uplink with the EQID {eqid}")
def other_uplink(wish: Wish) -> Iterator[dict[str, str | int]]:
    for nic, here, there in _coupled(wish):
        uplink = network.uplink(wish.source, here) if here is not None else ""
        eqid = wish.source.eqids.get(uplink)
        if there is None or not uplink or eqid is None:
            continue
        other = wish.destination.eqids.get(network.uplink(wish.destination, there))
        if other is None or other.eqid != eqid.eqid:
            yield {"name": nic.lan_name, "member": wish.destination.name, "eqid": eqid.eqid}


@blocker(1985, "Channel-to-channel adapter {vdev} is coupled to {peer}")
def coupled_ctca(wish: Wish) -> Iterator[dict[str, str | int]]:
    for device in wish.machine.devices:
        if isinstance(device, Ctca) and device.peer:
            yield {"vdev": device.vdev, "peer": device.peer}
