"""Volumes and snapshots that were there before cinder: LUNs of a pool that hold data, and the manager's own volumes.

A reference is ``source-name``: the name of a volume of the manager, or of a LUN of the pool
(`zvm volume-pool show` has both).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cinder import exception
from cinder.objects.snapshot import Snapshot
from cinder.objects.volume import Volume
from cinder.volume import volume_utils

from zvmcloud.client import ClientError
from zvmcloud.openstack.cinder.volumes import Volumes
from zvmcloud.openstack.failures import text

Reference = Mapping[str, str]
Entry = dict[str, Any]
NAME = "source-name"
_GIB_MB = 1024


class Managing:
    """A part of the driver."""

    @property
    @abstractmethod
    def _volumes(self) -> Volumes: ...

    @abstractmethod
    def _wanted_pools(self) -> tuple[str, ...]: ...

    # volumes

    def manage_existing(self, volume: Volume, existing_ref: Reference) -> None:
        """The volume or LUN gets the name of cinder's volume. Raises ManageExistingInvalidReference."""
        name = _name(existing_ref)
        pool = str(volume_utils.extract_host(volume.host, level="pool"))
        try:
            found = self._volumes.find(name)
            if found is None:
                self._volumes.adopt(volume.name, pool, name)
            elif found["pool"] != pool:
                raise _invalid(existing_ref, f"it is in pool {found['pool']}, not in {pool}")
            else:
                self._volumes.do(name, "rename", name=volume.name)
        except ClientError as error:
            raise _invalid(existing_ref, text(error)) from error

    def manage_existing_get_size(self, volume: Volume, existing_ref: Reference) -> int:
        """GiB. Raises ManageExistingInvalidReference."""
        name = _name(existing_ref)
        try:
            found = self._volumes.find(name)
            if found is not None:
                return int(found["size_gb"])
            for lun in self._volumes.luns(str(volume_utils.extract_host(volume.host, level="pool"))):
                if lun["name"] == name and lun["size_mb"] >= _GIB_MB:
                    return int(lun["size_mb"]) // _GIB_MB
        except ClientError as error:
            raise _invalid(existing_ref, text(error)) from error
        raise _invalid(existing_ref, "there is no volume nor LUN of that name with at least 1 GB")

    def get_manageable_volumes(
        self, cinder_volumes: Sequence[Volume], marker: Any, limit: int, offset: int, sort_keys: Any, sort_dirs: Any
    ) -> list[Entry]:
        """The volumes of the manager, and LUNs that hold data and are nobody's volume."""
        known = {item.name: item.id for item in cinder_volumes}
        entries = [_entry(item, known) for item in self._mine()] + list(self._reserved())
        return _page(entries, marker, limit, offset, sort_keys, sort_dirs)

    def _mine(self) -> list[Mapping[str, Any]]:
        wanted = self._wanted_pools()
        return [item for item in self._volumes.all() if not wanted or item["pool"] in wanted]

    def _reserved(self) -> Iterator[Entry]:
        for pool in self._volumes.pools(self._wanted_pools()):
            for lun in self._volumes.luns(pool.name):
                if lun["state"] == "reserved" and lun["size_mb"] >= _GIB_MB:
                    yield {
                        "reference": {NAME: lun["name"]}, "size": lun["size_mb"] // _GIB_MB, "safe_to_manage": True,
                        "reason_not_safe": None, "cinder_id": None,
                        "extra_info": f"LUN {lun['lun']} of pool {pool.name}, kept for {lun['owner'] or 'nobody'}",
                    }  # fmt: skip

    def unmanage(self, volume: Volume) -> None:
        """Its LUN keeps the bytes, and is handed out to nobody until somebody frees or manages it."""
        self._released(volume.name)

    def _released(self, name: str) -> None:
        try:
            self._volumes.do(name, "release")
        except ClientError as error:
            raise exception.VolumeBackendAPIException(data=text(error)) from error

    # snapshots

    def manage_existing_snapshot(self, snapshot: Snapshot, existing_ref: Reference) -> None:
        """A volume of the manager becomes a snapshot. Raises ManageExistingInvalidReference."""
        try:
            self._volumes.do(_name(existing_ref), "rename", name=snapshot.name)
        except ClientError as error:
            raise _invalid(existing_ref, text(error)) from error

    def manage_existing_snapshot_get_size(self, snapshot: Snapshot, existing_ref: Reference) -> int:
        """GiB. Raises ManageExistingInvalidReference."""
        try:
            found = self._volumes.find(_name(existing_ref))
        except ClientError as error:
            raise _invalid(existing_ref, text(error)) from error
        if found is None:
            raise _invalid(existing_ref, "there is no volume of that name")
        return int(found["size_gb"])

    def get_manageable_snapshots(
        self, cinder_snapshots: Sequence[Snapshot], marker: Any, limit: int, offset: int, sort_keys: Any, sort_dirs: Any
    ) -> list[Entry]:
        """The volumes of the manager that are copies of another one."""
        known = {item.name: item.id for item in cinder_snapshots}
        entries = [
            {**_entry(item, known), "source_reference": {NAME: item["source"]}}
            for item in self._mine()
            if item["source"]
        ]
        return _page(entries, marker, limit, offset, sort_keys, sort_dirs)

    def unmanage_snapshot(self, snapshot: Snapshot) -> None:
        """See unmanage."""
        self._released(snapshot.name)


def _entry(item: Mapping[str, Any], known: Mapping[str, str]) -> Entry:
    name = str(item["name"])
    reasons = [
        reason
        for reason, holds in (("already managed", name in known), ("attached to a guest", bool(item["attachments"])))
        if holds
    ]
    return {
        "reference": {NAME: name}, "size": int(item["size_gb"]), "safe_to_manage": not reasons,
        "reason_not_safe": ", ".join(reasons) or None, "cinder_id": known.get(name),
        "extra_info": f"LUN {item['lun']} of pool {item['pool']}",
    }  # fmt: skip


def _page(entries: list[Entry], marker: Any, limit: int, offset: int, keys: Any, directions: Any) -> list[Entry]:
    found: list[Entry] = volume_utils.paginate_entries_list(entries, marker, limit, offset, keys, directions)
    return found


def _name(reference: Reference) -> str:
    name = str(reference.get(NAME) or "")
    if not name:
        raise _invalid(reference, f"{NAME} is needed: the name of a volume or LUN")
    return name


def _invalid(reference: Reference, reason: str) -> exception.ManageExistingInvalidReference:
    return exception.ManageExistingInvalidReference(existing_ref=dict(reference), reason=reason)
