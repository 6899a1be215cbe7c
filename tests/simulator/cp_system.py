"""A system on which most CP commands find something: guests, a LAN, a switch, disks, spool files."""

from __future__ import annotations

from contextlib import suppress

from simulator.support import linux
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guest_lans, guests, network, spool
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Grant, Vswitch
from zvmcloud.simulator.model_devices import GuestLan
from zvmcloud.simulator.system import System


def prepare(system: System) -> System:
    """LINUX01 (on, 0100 and 0101 of 5 cylinders, coupled to VSW1), LINUX02 (off), MAINT and ZHCP on; LAN1; files."""
    with system.transaction():
        if "VSW1" not in system.vswitches:
            for name in ("LINUX01", "LINUX02"):
                if name not in system.entries:
                    dm.create(system, name, linux(name))
                    for vdev in ("0100", "0101") if name == "LINUX01" else ("0100",):
                        disk = Mdisk(vdev, "3390", "AUTOG", None, 5, "POOL1", "MR", ("RPW", "WPW", "MPW"))
                        dm.add_disk(system, name, disk)
            mac, grants = network.new_mac(system), (Grant("LINUX01", ("10",)),)
            rdevs = ("1F00", "1F03")
            switch = Vswitch("VSW1", mac, vlan="10", port_type="ACCESS", rdevs=rdevs, grants=grants)
            system.vswitches.put("VSW1", switch)
            if guest_lans.key("SYSTEM", "LAN1") not in system.guest_lans:
                guest_lans.create(system, GuestLan("SYSTEM", "LAN1", "QDIO", True))
        for name in ("LINUX01", "MAINT", "ZHCP"):
            if name not in system.machines:
                guests.log_on(system, name)
        with suppress(CpRefused):
            network.couple(system, "LINUX01", "1000", "VSW1")
        spool.create(system, "ZHCP", "LINUX01", b"x" * 200, name="CFGDRIVE", filetype="ISO")
    return system


def snapshot(system: System) -> dict[str, dict[str, object]]:
    """Every value of the model; counters that only give out numbers are left out."""
    return {
        name: dict(collection.items()) for name, collection in system.store._collections.items() if name != "counters"
    }
