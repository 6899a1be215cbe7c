"""A guest that asks for an address gets one from outside, when its frames get there."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from simulator.boot_support import console, punch, run, running, start
from simulator.support import write_image
from zvmcloud.directory.devices import Mdisk
from zvmcloud.images import doscript
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guests, leases, storage, uplinks
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.system import System


def guest(system: System, clock: ManualClock, name: str = "LINUX01", mac: str = "000101", tag: str = "") -> list[str]:
    """A guest on VSW1 that asks for its address; the addresses that it got when it came up."""
    with system.transaction():
        dm.create(
            system,
            name,
            (f"USER {name} LBYONLY 2G 4G G", "INCLUDE LNXDFLT", "IPL 0100",
             f"NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 DEVICES 3 MACID {mac}"),
        )  # fmt: skip
        dm.add_disk(system, name, Mdisk("0100", "3390", "AUTOG", None, 5, "POOL1", "MR"))
    write_image(storage.file_of(system, system.disks[f"{name}.0100"]))
    asks = {f"/etc/sysconfig/network-scripts/ifcfg-enc1000{tag}": b"BOOTPROTO=dhcp\nONBOOT=yes\n"}
    punch(system, "NETWORK", doscript.write(asks, ()), kind="DOSCRIPT", spool_class="X", to=name)
    start(system, clock, name)
    return [address.ip for address in running(system, name).addresses]


@pytest.fixture
def maint(system: System) -> System:
    with system.transaction():
        for name in ("MAINT", "OPERATOR"):
            if name not in system.machines and system.entry(name) is not None:
                guests.log_on(system, name, ipl=False)
    return system


def switch(system: System, *commands: str) -> None:
    for command in ("DEFINE VSWITCH VSW1 ETHERNET " + commands[0], *commands[1:]):
        assert execute(system, "MAINT", command).rc == 0, command


def grants(vlan: str = "") -> tuple[str, str]:
    return f"SET VSWITCH VSW1 GRANT LINUX01{vlan}", f"SET VSWITCH VSW1 GRANT LINUX02{vlan}"


def test_two_guests_get_addresses_and_reach_each_other_and_the_gateway(maint: System, clock: ManualClock) -> None:
    switch(maint, "RDEV 1F00", *grants())
    (first,), (second,) = guest(maint, clock), guest(maint, clock, "LINUX02", "000102")
    assert first != second
    assert ipaddress.ip_address(first) in leases.NETWORK
    assert "3 received" in run(maint, f"ping -c 3 {second}")[1]
    assert "3 received" in run(maint, f"ping -c 3 {leases.GATEWAY}")[1]
    assert f"enc1000: {first}/15" in console(maint)


def test_an_adapter_keeps_its_address_unless_somebody_else_took_it(maint: System, clock: ManualClock) -> None:
    switch(maint, "RDEV 1F00", *grants())
    (first,) = guest(maint, clock)
    assert execute(maint, "MAINT", "FORCE LINUX01").rc == 0
    clock.advance(60)
    start(maint, clock)
    assert [address.ip for address in running(maint).addresses] == [first]
    machine = maint.machines["LINUX01"]
    guest(maint, clock, "LINUX02", "000102")
    other = maint.machines["LINUX02"]
    assert other.system is not None
    thief = replace(other.system.addresses[0], ip=first)
    with maint.transaction():
        maint.machines.put("LINUX02", replace(other, system=replace(other.system, addresses=(thief,))))
    (nic,) = machine.nics
    taken = leases.lease(maint, machine, nic)
    assert taken is not None
    assert taken.ip != first


@pytest.mark.parametrize(
    ("define", "tag"), [("NOUPLINK", ""), ("VLAN 5 RDEV 1F00", ".30")], ids=["no uplink", "a VLAN that is not allowed"]
)
def test_where_no_server_is_reached_there_is_no_address(
    maint: System, clock: ManualClock, define: str, tag: str
) -> None:
    switch(maint, define, *grants(" VLAN 10" if tag else ""))
    assert guest(maint, clock, tag=tag) == []


def test_an_uplink_that_failed_gives_no_address_until_the_guest_asks_again(maint: System, clock: ManualClock) -> None:
    switch(maint, "RDEV 1F00", *grants())
    with maint.transaction():
        uplinks.set_osa(maint, "1F00", online=False)
    assert guest(maint, clock) == []
    with maint.transaction():
        uplinks.set_osa(maint, "1F00", online=True)
    assert run(maint, "systemctl restart NetworkManager")[0] == 0
    assert len(running(maint).addresses) == 1
