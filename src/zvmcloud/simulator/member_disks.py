"""The disks of a cluster, as one member sees them.

All minidisks are in one collection. A USER's goes by the userid, whichever member it is logged on to. An IDENTITY's own
are those of the SUBCONFIG that it is built with on the member, and are kept under the SUBCONFIG's name; the member sees
them under the IDENTITY's. Temporary disks of an IDENTITY are kept as userid@member, as every member has its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from zvmcloud.simulator.model import Disk
from zvmcloud.simulator.store import Collection, Observer

if TYPE_CHECKING:
    from zvmcloud.simulator.cluster import Cluster


class MemberDisks(Collection[Disk]):
    """A view: keys are translated, values are those of the cluster's collection."""

    def __init__(self, cluster: Cluster, member: str, disks: Collection[Disk]) -> None:
        super().__init__(cluster.store, disks.name, Disk)
        self._cluster = cluster
        self._member = member
        self._disks = disks

    def _identity(self, owner: str) -> str | None:
        """The SUBCONFIG (or nothing) that an IDENTITY is built with here; None for other entries."""
        leader = self._cluster.leader
        record = leader.entries.get(owner) if leader else None
        if record is None or record.entry.kind != "IDENTITY":
            return None
        return record.entry.subconfig_for(self._member)

    def _key(self, key: str) -> str:
        owner, _, vdev = key.rpartition(".")
        subconfig = self._identity(owner)
        if subconfig is None:
            return key
        for candidate in (f"{owner}@{self._member}.{vdev}", f"{subconfig}.{vdev}"):
            if candidate in self._disks:
                return candidate
        return key

    def _seen_as(self, key: str, own: Mapping[str, str]) -> str:
        owner, _, vdev = key.rpartition(".")
        identity, at, member = owner.partition("@")
        if at and member == self._member:
            return f"{identity}.{vdev}"
        return f"{own[owner]}.{vdev}" if owner in own else key

    def observe(self, observer: Observer[Disk]) -> None:
        self._disks.observe(observer)

    def get(self, key: str) -> Disk | None:
        return self._disks.get(self._key(key))

    def __getitem__(self, key: str) -> Disk:
        return self._disks[self._key(key)]

    def __contains__(self, key: str) -> bool:
        return self._key(key) in self._disks

    def __len__(self) -> int:
        return len(self._disks)

    def __iter__(self) -> Iterator[str]:
        return iter([key for key, _ in self.items()])

    def values(self) -> list[Disk]:
        return self._disks.values()

    def items(self) -> list[tuple[str, Disk]]:
        own = self._own_subconfigs()
        return [(self._seen_as(key, own), disk) for key, disk in self._disks.items()]

    def _own_subconfigs(self) -> dict[str, str]:
        """The SUBCONFIGs of this member to the IDENTITYs that are built with them."""
        leader = self._cluster.leader
        entries = leader.identities.items() if leader else ()
        return {found: identity for identity, entry in entries if (found := entry.subconfig_for(self._member))}

    def put(self, key: str, value: Disk) -> None:
        owner, _, vdev = key.rpartition(".")
        if value.temporary and self._identity(owner) is not None:
            self._disks.put(f"{owner}@{self._member}.{vdev}", value)
        else:
            self._disks.put(self._key(key), value)

    def remove(self, key: str) -> None:
        self._disks.remove(self._key(key))
