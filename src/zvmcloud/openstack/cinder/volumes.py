"""What the driver asks of the manager: the volumes of one z/VM system and its pools of LUNs. All methods raise
ClientError.

A volume that moves to another LUN is copied to a second one, and the two change their names::

    NAME            NAME-moved                 the copy is being made
    NAME-old        NAME-moved, then NAME      the copy is whole; from here on the move is finished, also after a crash
                    NAME                       the old one is deleted
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from zvmcloud.client import Client, ProblemError
from zvmcloud.client.http import Document
from zvmcloud.openstack.changes import Changes

LOG = logging.getLogger(__name__)

INSTANCE_TAG = "openstack_instance"
"""The tag of guests that are instances of nova: their UUID."""
_MOVED, _OLD = "-moved", "-old"
_GIB_MB = 1024

Json = object


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of LUNs. ``largest_gb``: the largest volume that could be made now; ``systems`` reach it."""

    name: str
    total_gb: int
    free_gb: int
    allocated_gb: int
    largest_gb: int
    volumes: int
    systems: tuple[str, ...]


class Volumes:
    """Of one system. May be used by several threads."""

    def __init__(self, client: Client, system: str, changes: Changes) -> None:
        self.client = client
        self.system = system
        self._changes = changes
        self._volumes = f"/systems/{system}/volumes"

    # what there is

    def find(self, name: str) -> Document | None:
        """A volume; None when there is none of that name."""
        return found_at(self.client, self.system, name)

    def all(self, pool: str = "") -> list[Document]:
        """The volumes that the system reaches, or those of a pool."""
        return list(self.client.pages(self._volumes, {"pool": pool}))

    def luns(self, pool: str) -> list[Document]:
        """The LUNs of a pool, also free ones."""
        found: list[Document] = self._pool(pool)["luns"]
        return found

    def pools(self, wanted: tuple[str, ...] = ()) -> list[Pool]:
        """The pools that the system reaches, of these only the wanted ones if any are named."""
        names = [str(item["name"]) for item in self._listed()]
        return [_pool(self._pool(name)) for name in names if not wanted or name in wanted]

    def _listed(self) -> list[Document]:
        return list(self.client.pages(f"/systems/{self.system}/volume-pools", {}))

    def _pool(self, name: str) -> Document:
        return self.client.ask("GET", f"/systems/{self.system}/volume-pools/{quote(name, safe='')}")

    # changes

    def make(self, name: str, pool: str, size_gb: int, *, shared: bool = False, source: str = "") -> None:
        """An empty volume, or a copy of ``source``."""
        self._changes.run(
            "POST", self._volumes, {"name": name, "pool": pool, "size_gb": size_gb, "shared": shared, "source": source}
        )

    def delete(self, name: str) -> None:
        """One that is gone is fine."""
        self.settle(name)
        try:
            self._changes.run("DELETE", f"{self._volumes}/{quote(name, safe='')}")
        except ProblemError as error:
            if error.status != 404:
                raise

    def do(self, name: str, verb: str, /, **body: Json) -> Document:
        """extend, copy, write, send, rename, release; what the job's last step with a result said."""
        job = self._changes.run("POST", f"{self._volumes}/{quote(name, safe='')}/{verb}", body)
        return _result(job)

    def adopt(self, name: str, pool: str, lun: str) -> None:
        """A LUN that was there before becomes a volume with the bytes that it has."""
        self._changes.run("POST", f"{self._volumes}/adopt", {"name": name, "pool": pool, "lun": lun})

    def move(self, name: str, pool: str, size_gb: int, *, shared: bool) -> None:
        """To another LUN, which may be in another pool or shared otherwise."""
        self.settle(name)
        self.make(name + _MOVED, pool, size_gb, shared=shared, source=name)
        self.do(name, "rename", name=name + _OLD)
        self.settle(name)

    def settle(self, name: str) -> None:
        """Finish what a move has left: forward when the copy was whole, else back."""
        if self.find(name + _OLD) is not None:
            if self.find(name) is None:
                self.do(name + _MOVED, "rename", name=name)
            self._drop(name + _OLD)
        self._drop(name + _MOVED)

    def settle_all(self) -> None:
        """The same for all, after a cinder-volume that died."""
        for item in self.all():
            name = str(item["name"])
            for suffix in (_MOVED, _OLD):
                if name.endswith(suffix):
                    self.settle(name.removesuffix(suffix))

    def _drop(self, name: str) -> None:
        if self.find(name) is not None:
            self._changes.run("DELETE", f"{self._volumes}/{name}")

    # guests

    def detach(self, name: str, instance: str = "", system: str = "") -> None:
        """Take a volume from the guest that is the instance at a system, or from all guests. None that has it is
        fine. A guest whose system does not answer keeps it: evacuated, it takes it along."""
        found = self.find(name)
        for item in found["attachments"] if found is not None else ():
            guest = f"/guests/{item['system']}/{item['guest']}"
            if instance and (item["system"] != system or not self._is(guest, instance)):
                continue
            try:
                self._changes.run("POST", f"{guest}/volumes/detach", {"volume": name})
            except ProblemError as error:
                if error.code != "agent-unreachable":
                    raise
                LOG.warning("%s keeps volume %s: %s", guest, name, error.detail)

    def _is(self, guest: str, instance: str) -> bool:
        _, _, system, userid = guest.split("/")
        query: dict[str, Json] = {"tag": [f"{INSTANCE_TAG}={instance}"], "system": system}
        return any(item["userid"] == userid for item in self.client.pages("/guests", query))


def found_at(client: Client, system: str, name: str) -> Document | None:
    """A volume as a system reaches it; None when it does not. Raises ClientError."""
    try:
        return client.ask("GET", f"/systems/{system}/volumes/{quote(name, safe='')}")
    except ProblemError as error:
        if error.status == 404:
            return None
        raise


def _pool(facts: Mapping[str, Any]) -> Pool:
    free = [int(lun["size_mb"]) // _GIB_MB for lun in facts["luns"] if lun["state"] == "free"]
    return Pool(
        str(facts["name"]), int(facts["total_gb"]), int(facts["free_gb"]), int(facts["allocated_gb"]),
        max(free, default=0), int(facts["volumes"]), tuple(sorted(facts["systems"])),
    )  # fmt: skip


def _result(job: Mapping[str, Any]) -> Document:
    """What the steps of a job found, the last one's words count."""
    found: Document = {}
    for step in job["steps"]:
        found |= step.get("result") or {}
    return found
