"""Look at adapters, ports and VSWITCHes; mend what is not as it should be; tell neutron. Again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from oslo_log import log as logging

from zvmcloud.client import ClientError
from zvmcloud.openstack.neutron.network import Network, Wanted
from zvmcloud.openstack.neutron.ports import Adapter, Deed, NotServed, Port, Switch, deeds, leftovers, port_of

LOG = logging.getLogger(__name__)


class Neutron(Protocol):
    """What is asked of neutron's server. Every method may raise what its RPC raises."""

    def details(self, ports: Collection[str]) -> Iterable[Mapping[str, Any]]:
        """What the ports should be like. Neutron takes it as news that they are being worked on (status BUILD)."""

    def up(self, port: str) -> None:
        """The port's adapter is connected."""

    def down(self, port: str) -> None:
        """It is not."""


class Loop:
    """One agent's work. ``port_changed`` and ``report`` may be called from other threads."""

    def __init__(
        self,
        network: Network,
        neutron: Neutron,
        wanted: Mapping[str, Wanted],
        *,
        repair_interval: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``wanted``: the VSWITCH of each physical network."""
        self._network = network
        self._neutron = neutron
        self._wanted = dict(wanted)
        self._repair_interval = repair_interval
        self._clock = clock
        self._told = threading.Lock()
        self._changed: set[str] = set()
        self._ports: dict[str, Port | None] = {}
        self._seen: dict[str, Adapter] = {}
        self._owed: set[str] = set()
        self._busy: set[str] = set()
        self._given: set[tuple[str, str]] = set()
        self._left: set[tuple[str, str]] = set()
        self._looked: float | None = None
        self._served: dict[str, Switch] = {}

    @property
    def configurations(self) -> dict[str, object]:
        """What the mechanism driver has to know: the VSWITCHes that are there, and which know no VLANs."""
        served = dict(self._served)
        return {
            "system": self._network.system,
            "vswitches": {physnet: switch.name for physnet, switch in served.items()},
            "vlan_unaware": sorted(physnet for physnet, switch in served.items() if not switch.vlan_aware),
            "devices": len(self._seen),
        }

    def port_changed(self, port: str) -> None:
        """Neutron says that a port is not any more what it was; looked at in the next round."""
        with self._told:
            self._changed.add(port)

    def forget(self) -> None:
        """Look at everything again: neutron has lost sight of this agent for a while."""
        self._seen.clear()
        self._looked = None

    def round(self) -> bool:
        """One look, and what follows from it; True when everything is as it should be. A manager that does not answer
        or says no is told in the log; the next round tries again."""
        try:
            return self._round()
        except ClientError as error:
            LOG.warning("the manager: %s", error)
            return False

    def _round(self) -> bool:
        repair = self._looked is None or self._clock() - self._looked >= self._repair_interval
        adapters = {adapter.port: adapter for adapter in self._network.adapters()}
        with self._told:
            changed = set(self._changed)
        for port in self._seen.keys() - adapters.keys():
            self._gone(port)
        self._leave(adapters.values())
        new = {port for port, adapter in adapters.items() if port in changed or self._seen.get(port) != adapter}
        due = adapters if repair else {port: adapters[port] for port in adapters if port in new or port in self._busy}
        if not due and not repair and not self._left:
            self._heard(changed)
            return True
        switches = self._switches() if repair else self._network.switches()
        self._served = self._found(switches)
        if repair:
            self._take_rights(adapters.values())
            self._looked = self._clock()
        self._take_left(adapters.values())
        self._heard(changed)
        self._learn(new)
        self._busy |= new
        fine = [self._settle(adapter, adapters.values()) for adapter in due.values()]
        return all(fine)

    def _heard(self, changed: set[str]) -> None:
        """What was changed is asked of neutron next: only now may it be forgotten, or a lost manager loses it."""
        with self._told:
            self._changed -= changed

    def _gone(self, port: str) -> None:
        """An adapter is not there any more."""
        adapter = self._seen.pop(port)
        if adapter.vswitch:
            self._left.add((adapter.userid, adapter.vswitch))
        self._busy.discard(port)
        self._owed.discard(port)
        if self._ports.pop(port, None) is not None:
            self._neutron.down(port)

    def _leave(self, adapters: Iterable[Adapter]) -> None:
        """A guest that was deleted after it got its right, and before its adapter was coupled, has the right still; and
        nothing in z/VM tells then that it was a server's."""
        there = {adapter.userid for adapter in adapters}
        gone = {right for right in self._given if right[0] not in there}
        self._given -= gone
        self._left |= gone

    def _learn(self, new: Collection[str]) -> None:
        """Ask neutron what ports should be. Only of those that are new or changed: to neutron the question means that
        the port is being worked on, and it has to be told the end."""
        for name in new:
            self._ports[name] = None
        for details in self._neutron.details(sorted(new)) if new else ():
            port = port_of(details)
            if port is not None:
                self._ports[port.id] = port
                self._owed.add(port.id)

    def _switches(self) -> dict[str, Switch]:
        """The VSWITCHes, after making those that are ours to make and missing."""
        switches = self._network.switches()
        missing = {item.name: item for item in self._wanted.values() if item.name not in switches}
        for wanted in missing.values():
            if wanted.devices:
                LOG.info("making VSWITCH %s with %s", wanted.name, ", ".join(wanted.devices))
                self._network.make(wanted)
            else:
                LOG.error(
                    "there is no VSWITCH %s on %s; define it, or give its devices in vswitch_devices",
                    wanted.name,
                    self._network.system,
                )
        return self._network.switches() if any(item.devices for item in missing.values()) else switches

    def _found(self, switches: Mapping[str, Switch]) -> dict[str, Switch]:
        return {physnet: switches[wanted.name] for physnet, wanted in self._wanted.items() if wanted.name in switches}

    def _take_rights(self, adapters: Collection[Adapter]) -> None:
        for deed in leftovers(adapters, self._served.values(), self._network.servers()):
            LOG.info("%s has no adapter on VSWITCH %s any more", deed.userid, deed.vswitch)
            self._try(deed)

    def _take_left(self, adapters: Collection[Adapter]) -> None:
        """A guest whose adapter went away, or that moved to another system with it, has no right here any more."""
        rights = {switch.name: switch.rights for switch in self._served.values()}
        for userid, vswitch in sorted(self._left):
            stays = any(item.userid == userid and item.vswitch in ("", vswitch) for item in adapters)
            gone = userid not in rights.get(vswitch, {})
            if stays or gone or self._try(Deed("revoke", userid, vswitch=vswitch)):
                self._left.discard((userid, vswitch))

    def _settle(self, adapter: Adapter, others: Collection[Adapter]) -> bool:
        """Make an adapter what its port should be. False when that cannot be done (now)."""
        port = self._ports.get(adapter.port)
        self._seen[adapter.port] = adapter
        self._busy.discard(adapter.port)
        if port is None:
            return True
        if not port.here:
            self._tell(port.id, up=True)
            return True
        switch = self._served.get(port.physical_network)
        try:
            on = switch is not None and self._network.is_on(adapter.userid)
            needed = deeds(adapter, port, switch, on=on, others=others)
        except NotServed as error:
            LOG.warning("port %s of %s: %s", port.id, adapter.userid, error)
            self._neutron.down(port.id)
            return False
        except ClientError:
            self._busy.add(port.id)
            raise
        if not all(self._try(deed) for deed in needed):
            self._busy.add(port.id)
            return False
        self._tell(port.id, up=port.up)
        coupled = (switch.name, port.vlan) if port.up and switch is not None else ("", 0)
        self._seen[port.id] = replace(adapter, vswitch=coupled[0], vlan=coupled[1])
        return True

    def _tell(self, port: str, *, up: bool) -> None:
        """Tell neutron, if it waits for it."""
        if port in self._owed:
            (self._neutron.up if up else self._neutron.down)(port)
            self._owed.discard(port)

    def _try(self, deed: Deed) -> bool:
        """Do it, if it can be done now: a guest that something else is changing is left for the next round."""
        if deed.kind == "grant":
            self._given.add((deed.userid, deed.vswitch))
        try:
            self._network.do(deed)
        except ClientError as error:
            LOG.warning("%s %s %s: %s", deed.kind, deed.userid, deed.vdev or deed.vswitch, error)
            return False
        LOG.info("%s %s %s %s VLAN %s", deed.kind, deed.userid, deed.vdev, deed.vswitch, deed.vlan)
        return True
