"""The agent's loop over a manager and a z/VM in software, all in this process; neutron is a table of ports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zvm_world
from manager.over_simulator import Managed
from zvm_world import Bridge, served
from zvmcloud.client import Client, change
from zvmcloud.openstack.neutron.loop import Loop
from zvmcloud.openstack.neutron.network import SERVER_TAG, Network, Wanted


@dataclass
class Ports:
    """Neutron's server as the loop asks it: what each port should be, and what it was told of it."""

    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)

    def add(self, port: str, physnet: str = "physnet2", vlan: int | None = 120, **more: Any) -> None:
        self.known[port] = {
            "device": port, "port_id": port, "admin_state_up": True, "physical_network": physnet,
            "segmentation_id": vlan, **more,
        }  # fmt: skip

    def details(self, ports: Collection[str]) -> list[dict[str, Any]]:
        return [self.known.get(port, {"device": port}) for port in ports]

    def up(self, port: str) -> None:
        self.told.append(("up", port))

    def down(self, port: str) -> None:
        self.told.append(("down", port))


class World(zvm_world.World):
    """What the tests see and do."""

    def __init__(self, zvm: Managed, bridge: Bridge, client: Client, run: Callable[[Any], Any]) -> None:
        super().__init__(zvm, bridge, client, run)
        self.ports = Ports()
        self.now = 0.0

    def loop(self, **wanted: Wanted) -> Loop:
        """A new agent, which knows nothing yet. VSW2 is its own, VSW1 an administrator's."""
        mapping = wanted or {"physnet1": Wanted("VSW1"), "physnet2": Wanted("VSW2", ("1000", "1F00"))}
        return Loop(Network(self.client, "ZVM1"), self.ports, mapping, repair_interval=30, clock=lambda: self.now)

    def guest(self, userid: str, *ports: str) -> None:
        """A server with an adapter for each port, as the Nova driver makes it."""
        change(self.client, "POST", "/systems/ZVM1/guests",
               {"userid": userid, "disks": [], "tags": {SERVER_TAG: f"uuid-{userid}"}})  # fmt: skip
        for number, port in enumerate(ports):
            self.nic(userid, f"{0x1000 + 3 * number:04X}", port)

    def nic(self, userid: str, vdev: str, port: str) -> None:
        change(self.client, "POST", f"/guests/ZVM1/{userid}/nics", {"vdev": vdev, "nic_id": port})

    def rights(self, switch: str) -> dict[str, tuple[str, ...]]:
        found = self.system.vswitches.get(switch)
        return {grant.userid: grant.vlans for grant in found.grants} if found else {}

    def nics(self, userid: str) -> dict[str, tuple[str, str]]:
        entry = self.system.entries.get(userid).entry
        return {nic.vdev: (nic.lan_name, nic.vlan) for nic in entry.nicdefs}

    def coupled(self, switch: str) -> list[tuple[str, str]]:
        return sorted(self.system.coupled.get(switch, ()))


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A z/VM with VSW1, a manager over it, and a client of the manager."""
    with served(folder) as zvm:
        found = World(zvm.zvm, zvm.bridge, zvm.client, zvm.run)
        found.do("POST", "/systems/ZVM1/vswitches", name="VSW1", rdev=["1004"])
        yield found
