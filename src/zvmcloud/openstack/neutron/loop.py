"""Look at adapters, ports and VSWITCHes; mend what is not as it should be; tell neutron. Again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
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
        self._settled: dict[str, Adapter] = {}
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
            "devices": len(self._settled),
        }

    def port_changed(self, port: str) -> None:
        """Neutron says that a port is not any more what it was; looked at in the next round."""
        with self._told:
            self._changed.add(port)

    def forget(self) -> None:
        """Look at everything again: neutron has lost sight of this agent for a while."""
        self._settled.clear()
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
            changed, self._changed = self._changed, set()
        for port in self._settled.keys() - adapters.keys():
            del self._settled[port]
            self._neutron.down(port)
        due = {
            port: adapter
            for port, adapter in adapters.items()
            if repair or port in changed or self._settled.get(port) != adapter
        }
        if not due and not repair:
            return True
        switches = self._switches() if repair else self._network.switches()
        self._served = self._found(switches)
        if repair:
            self._take_rights(adapters.values())
        fine = self._settle(due, adapters.values())
        self._looked = self._clock() if repair and fine else self._looked
        return fine

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

    def _settle(self, due: Mapping[str, Adapter], others: Collection[Adapter]) -> bool:
        """Make adapters what their ports should be. False when one of them could not be."""
        fine = True
        for details in self._neutron.details(list(due)) if due else ():
            port = port_of(details)
            if port is None:
                LOG.debug("neutron knows no port %s", details.get("device"))
                continue
            fine = self._one(due[port.id], port, others) and fine
        return fine

    def _one(self, adapter: Adapter, port: Port, others: Collection[Adapter]) -> bool:
        if not port.here:
            self._neutron.up(port.id)
            return True
        switch = self._served.get(port.physical_network)
        try:
            on = switch is not None and self._network.is_on(adapter.userid)
            needed = deeds(adapter, port, switch, on=on, others=others)
        except NotServed as error:
            LOG.warning("port %s of %s: %s", port.id, adapter.userid, error)
            self._neutron.down(port.id)
            return False
        if not all(self._try(deed) for deed in needed):
            return False
        LOG.debug("port %s is adapter %s of %s", port.id, adapter.vdev, adapter.userid)
        if port.up:
            self._neutron.up(port.id)
        else:
            self._neutron.down(port.id)
        vswitch = switch.name if port.up and switch is not None else ""
        self._settled[port.id] = Adapter(
            adapter.userid, adapter.vdev, adapter.port, vswitch, port.vlan if port.up else 0
        )
        return True

    def _try(self, deed: Deed) -> bool:
        """Do it, if it can be done now: a guest that something else is changing is left for the next round."""
        try:
            self._network.do(deed)
        except ClientError as error:
            LOG.warning("%s %s %s: %s", deed.kind, deed.userid, deed.vdev or deed.vswitch, error)
            return False
        LOG.info("%s %s %s %s VLAN %s", deed.kind, deed.userid, deed.vdev, deed.vswitch, deed.vlan)
        return True
