"""What tests of clusters share: a floating guest with a disk and an adapter, in memory with a clock in the hand."""

from __future__ import annotations

from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guests, network, switch_config, system_config
from zvmcloud.simulator.cluster import Cluster
from zvmcloud.simulator.model import Grant, Vswitch
from zvmcloud.simulator.system import System

GUEST = (
    "USER {name} LBYONLY 2G 4G G",
    "INCLUDE LNXDFLT",
    "MACHINE ESA 8",
    "NICDEF 1000 TYPE QDIO DEVICES 3 LAN SYSTEM VSW1",
    "MDISK 0100 3390 AUTOG 10 POOL1 MR READ WRITE MULTIPLE",
)


def add_switch(system: System, *names: str, **values: object) -> None:
    """VSWITCH VSW1 with grants."""
    grants = tuple(Grant(name) for name in names)
    system.vswitches.put("VSW1", Vswitch("VSW1", network.new_mac(system), grants=grants, **values))  # type: ignore[arg-type]


def configure(system: System, switch: Vswitch) -> None:
    """SYSTEM CONFIG says the same of a switch, so that an IPL brings it back."""
    file = system_config.default(system)
    assert file is not None
    switch_config.rewrite(system, file, switch.name, switch)


def add_guest(cluster: Cluster, name: str = "LINUX01", *more: str, on: str = "VM1") -> System:
    """A guest that may move anywhere, logged on to a member; gives that member's system."""
    system = cluster.systems[on]
    with cluster.transaction():
        for member in cluster.systems.values():
            if "VSW1" not in member.vswitches:
                add_switch(member)
            configure(member, network.grant(member, member.vswitches["VSW1"], Grant(name)))
        dm.create(system, name, [line.format(name=name) for line in (*GUEST, *more)])
        guests.log_on(system, name)
    return system


def on_exactly(cluster: Cluster, userid: str) -> str:
    """The one member that has the guest."""
    (found,) = (name for name, system in cluster.systems.items() if userid in system.machines)
    return found
