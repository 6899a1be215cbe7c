"""Adapters and VSWITCHes of one z/VM system, asked of the manager and changed through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zvmcloud.client import Client, ProblemError, change
from zvmcloud.openstack.neutron.ports import Adapter, Deed, Switch

SERVER_TAG = "openstack_instance"
"""The tag with which the Nova driver makes guests."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The VSWITCH of a physical network. ``devices``: what it is made with when it is missing, the active one first;
    none for an administrator's, which is never made."""

    name: str
    devices: tuple[str, ...] = ()
    vlan_aware: bool = True


class Network:
    """The network of a system. All methods raise ClientError."""

    def __init__(self, client: Client, system: str) -> None:
        self._client = client
        self.system = system

    def adapters(self) -> list[Adapter]:
        """The adapters that have a name, of the guests of this system."""
        found = self._client.pages(f"/systems/{self.system}/nics", {"named": True})
        return [
            Adapter(str(nic["userid"]), str(nic["vdev"]), str(nic["nic_id"]), nic["vswitch"] or "", nic["vlan"] or 0)
            for nic in found
        ]

    def switches(self) -> dict[str, Switch]:
        """The VSWITCHes as z/VM has them now, by name."""
        answer: Any = self._client.call("GET", f"/systems/{self.system}/vswitches")
        return {
            str(item["name"]): Switch(
                str(item["name"]),
                bool(item["vlan_aware"]),
                {str(right["userid"]): frozenset(right["vlans"]) for right in item["rights"]},
                frozenset((str(nic["userid"]), str(nic["vdev"])) for nic in item["coupled"]),
            )
            for item in answer
        }

    def servers(self) -> set[str]:
        """The userids of the guests of this system that are OpenStack's."""
        found = self._client.guests(system=self.system)
        return {str(guest["userid"]) for guest in found if SERVER_TAG in guest["tags"]}

    def is_on(self, userid: str) -> bool:
        """Whether a guest runs; one that is gone does not."""
        try:
            found: Any = self._client.call("GET", f"/guests/{self.system}/{userid}")
        except ProblemError as error:
            if error.status == 404:
                return False
            raise
        return bool(found["power_state"] == "on")

    def make(self, wanted: Wanted) -> None:
        """Define a VSWITCH, to stay over an IPL too. One that has come meanwhile is fine."""
        body = {
            "name": wanted.name,
            "rdev": list(wanted.devices),
            "vid": "AWARE" if wanted.vlan_aware else "UNAWARE",
            "network_type": "ETHERNET",
        }
        try:
            change(self._client, "POST", f"/systems/{self.system}/vswitches", body)
        except ProblemError as error:
            if error.code != "vswitch-exists":
                raise

    def do(self, deed: Deed) -> None:
        """Change a right or a coupling and wait until it is done."""
        nic = f"/guests/{self.system}/{deed.userid}/nics/{deed.vdev}"
        if deed.kind == "grant":
            path = f"/systems/{self.system}/vswitches/{deed.vswitch}/grant"
            change(self._client, "POST", path, {"userid": deed.userid, "vlan": deed.vlan})
        elif deed.kind == "revoke":
            path = f"/systems/{self.system}/vswitches/{deed.vswitch}/revoke"
            change(self._client, "POST", path, {"userid": deed.userid})
        elif deed.kind == "couple":
            change(self._client, "POST", f"{nic}/couple", {"vswitch": deed.vswitch, "vlan": deed.vlan})
        else:
            change(self._client, "POST", f"{nic}/uncouple", {})
