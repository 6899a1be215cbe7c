"""Which guest of z/VM is which instance of nova, and changes of guests.

A guest has the instance's UUID in its tag ``openstack_instance``: the manager writes it with the guest, and keeps it
when the guest moves. So nothing has to be remembered here, and a userid says nothing about the instance.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from nova import exception
from nova.objects.instance import Instance
from oslo_log import log as logging

from zvmcloud.client import Client, ProblemError, ended
from zvmcloud.client.http import Document
from zvmcloud.openstack.changes import Changes

LOG = logging.getLogger(__name__)

TAG = "openstack_instance"
NAME = "openstack_name"
_USERID = re.compile(r"[A-Z@#$][A-Z0-9@#$]{0,7}")
_CHOICES = 32

Json = object


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest that is an instance's. ``name`` is what nova calls the instance."""

    system: str
    userid: str
    uuid: str
    name: str

    @property
    def path(self) -> str:
        """Its route in the native API."""
        return f"/guests/{self.system}/{self.userid}"


class Servers:
    """The guests of nova on one z/VM system. May be used by several threads."""

    def __init__(
        self,
        client: Client,
        system: str,
        *,
        prefix: str = "OS",
        patience: float = 600.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``patience``: seconds for which a change waits for another one of the same guest."""
        self.client = client
        self.system = system
        self._prefix = prefix
        self._changes = Changes(client, patience, sleep)

    # which there are

    def all(self) -> list[Guest]:
        """The guests of this system that are instances."""
        found = self.client.guests(system=self.system)
        return [_guest(item) for item in found if TAG in item["tags"]]

    def find(self, uuid: str, *, anywhere: bool = False) -> Guest | None:
        """The guest of an instance, on this system or on any that the manager has."""
        query: dict[str, Json] = {"tag": [f"{TAG}={uuid}"]}
        if not anywhere:
            query["system"] = self.system
        found = [_guest(item) for item in self.client.pages("/guests", query)]
        return min(found, key=lambda guest: (guest.system != self.system, guest.userid), default=None)

    def get(self, instance: Instance) -> Guest:
        """The guest of an instance on this system. Raises InstanceNotFound."""
        found = self.find(instance.uuid)
        if found is None:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        return found

    def look(self, instance: Instance) -> tuple[Guest, Document]:
        """The guest of an instance on this system, with what z/VM says of it now: one call when it has the userid that
        new guests get first. Raises InstanceNotFound, ClientError."""
        guest = Guest(self.system, next(self.userids(instance)), str(instance.uuid), str(instance.name))
        found = self._known(guest)
        if found is None or found["tags"].get(TAG) != instance.uuid:
            guest = self.get(instance)
            found = self._known(guest)
        if found is None:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        return guest, found

    def _known(self, guest: Guest) -> Document | None:
        try:
            return self.facts(guest)
        except ProblemError as error:
            if error.status != 404:
                raise
        return None

    def facts(self, guest: Guest) -> Document:
        """What z/VM says of it now. Raises ProblemError (directory-unknown)."""
        return self.client.ask("GET", guest.path)

    def is_on(self, guest: Guest) -> bool:
        """Whether the guest is logged on."""
        return bool(self.facts(guest)["power_state"] == "on")

    # new ones

    def userids(self, instance: Instance) -> Iterator[str]:
        """Userids for a new guest, best first: the instance's name if z/VM takes it, else made of its UUID."""
        name = str(instance.name).upper()
        if _USERID.fullmatch(name):
            yield name
        room = 8 - len(self._prefix)
        for number in range(_CHOICES):
            digest = hashlib.sha256(f"{instance.uuid}{number or ''}".encode()).digest()
            yield self._prefix + base64.b32encode(digest).decode("ascii")[:room]

    @staticmethod
    def tags(instance: Instance) -> dict[str, str]:
        """What a new guest is tagged with."""
        return {TAG: str(instance.uuid), NAME: str(instance.name)}

    # changes

    def run(self, method: str, path: str, body: Mapping[str, Json] | None = None) -> Document:
        """See Changes.run."""
        return self._changes.run(method, path, body)

    def do(self, guest: Guest, verb: str, body: Mapping[str, Json] | None = None) -> Document:
        """A change of a guest by its verb: start, stop, nics, ... Raises ClientError."""
        return self.run("POST", f"{guest.path}/{verb}", body)

    def stop_jobs(self, guest: Guest) -> None:
        """Cancel what is under way for a guest, and wait until that is undone. Raises ClientError."""
        for job in self.client.jobs(userid=guest.userid, system=guest.system, limit=5):
            if job["state"] in {"pending", "running", "interrupted"}:
                self.client.cancel(str(job["id"]))
                try:
                    ended(self.client, str(job["id"]))
                except ProblemError as error:
                    LOG.info("job %s of %s: %s", job["id"], guest.userid, error.detail)

    def drop(self, instance: Instance) -> None:
        """Leave nothing of an instance on this system: neither its guest nor a job that is making it. Raises
        ClientError."""
        making = {"guest.create", "guest.provision", "guest.capture", "guest.deploy"}
        for userid in islice(self.userids(instance), 2):
            for job in self.client.jobs(userid=userid, system=self.system, limit=3):
                if job["kind"] in making and job["state"] in {"pending", "running"}:
                    found = self.find(instance.uuid)
                    if found is None or found.userid == userid:
                        self.stop_jobs(Guest(self.system, userid, str(instance.uuid), str(instance.name)))
        found = self.find(instance.uuid)
        if found is not None:
            self.delete(found)

    def delete(self, guest: Guest) -> None:
        """Delete the guest with its disks; one that is gone is fine. Raises ClientError."""
        self.stop_jobs(guest)
        try:
            self.run("DELETE", guest.path)
        except ProblemError as error:
            if error.status != 404:
                raise


def _guest(item: Document) -> Guest:
    tags: dict[str, str] = item["tags"]
    return Guest(str(item["system"]), str(item["userid"]), tags[TAG], tags.get(NAME, ""))
