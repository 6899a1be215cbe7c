"""Guests reach each other in one VLAN, and the outside while an uplink works; nothing else passes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.boot_support import console, punch, run, start
from simulator.support import write_image
from zvmcloud.directory.devices import Mdisk
from zvmcloud.images import doscript
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guest_lans, guests, network, storage, traffic, uplinks
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model_devices import GuestLan
from zvmcloud.simulator.system import System

GATEWAY = "192.0.2.1"
ENTRY = ("USER LINUX01 LBYONLY 2G 4G G", "INCLUDE LNXDFLT", "IPL 0100")
IP = {"LINUX01": "192.0.2.11", "LINUX02": "192.0.2.12"}


def address(name: str, vlan: int = 0) -> dict[str, bytes]:
    device = f"enc1000.{vlan}" if vlan else "enc1000"
    text = f"IPADDR={IP[name]}\nPREFIX=24\nGATEWAY={GATEWAY}\n"
    return {f"/etc/sysconfig/network-scripts/ifcfg-{device}": text.encode()}


def configure(system: System, name: str, vlan: int = 0) -> None:
    data = doscript.write(address(name, vlan), ("rm -f /etc/sysconfig/network-scripts/ifcfg-old",))
    punch(system, "NETWORK", data, kind="DOSCRIPT", spool_class="X", to=name)


def prepare(system: System, clock: ManualClock, switch: str, *grants: str, vlans: tuple[int, int] = (0, 0)) -> None:
    """LINUX01 and LINUX02 run, coupled to VSW1 after the CP commands."""
    for command in (f"DEFINE VSWITCH VSW1 ETHERNET {switch}", *grants):
        assert execute(system, "MAINT", command).rc == 0, command
    for (name, mac), vlan in zip((("LINUX01", "000101"), ("LINUX02", "000102")), vlans, strict=True):
        with system.transaction():
            dm.create(
                system,
                name,
                (
                    ENTRY[0].replace("LINUX01", name),
                    *ENTRY[1:],
                    f"NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 DEVICES 3 MACID {mac}",
                ),
            )
            dm.add_disk(system, name, Mdisk("0100", "3390", "AUTOG", None, 5, "POOL1", "MR"))
        write_image(storage.file_of(system, system.disks[f"{name}.0100"]))
        configure(system, name, vlan)
        assert start(system, clock, name).phase == "up"


@pytest.fixture
def maint(system: System) -> System:
    with system.transaction():
        for name in ("MAINT", "OPERATOR"):
            if name not in system.machines and system.entry(name) is not None:
                guests.log_on(system, name, ipl=False)
    return system


def reaches(system: System, one: str = "LINUX01", other: str = "LINUX02") -> bool:
    rc, text = run(system, f"ping -c 3 {IP[other]}", one)
    assert ("3 received" in text) == (rc == 0)
    return rc == 0


BOTH = ("SET VSWITCH VSW1 GRANT LINUX01{}", "SET VSWITCH VSW1 GRANT LINUX02{}")


@pytest.mark.parametrize(
    ("first", "second", "vlans", "passes"),
    [
        (" VLAN 10", " VLAN 10", (0, 0), True),
        (" VLAN 10", " VLAN 20", (0, 0), False),
        ("", "", (0, 0), True),
        (" PORTTYPE TRUNK VLAN 10 20", " PORTTYPE TRUNK VLAN 20-30", (20, 20), True),
        (" PORTTYPE TRUNK VLAN 10 20", " PORTTYPE TRUNK VLAN 20-30", (10, 10), False),
        (" PORTTYPE TRUNK VLAN 20-30", " VLAN 25", (25, 0), True),
        (" PORTTYPE TRUNK VLAN 20-30", " VLAN 25", (0, 0), False),
        (" VLAN 10", " VLAN 10", (10, 10), False),
    ],
    ids=[
        "same",
        "different",
        "default",
        "trunk",
        "trunk not allowed",
        "trunk to access",
        "untagged",
        "tagged on access",
    ],
)
def test_frames_pass_only_inside_a_vlan(
    maint: System, clock: ManualClock, first: str, second: str, vlans: tuple[int, int], passes: bool
) -> None:
    grants = (BOTH[0].format(first), BOTH[1].format(second))
    prepare(maint, clock, "VLAN 5 PORTTYPE ACCESS", *grants, vlans=vlans)
    assert reaches(maint) == passes
    assert reaches(maint, "LINUX02", "LINUX01") == passes


def test_an_unaware_switch_passes_frames_as_they_are(maint: System, clock: ManualClock) -> None:
    prepare(maint, clock, "VLAN UNAWARE", *(text.format("") for text in BOTH), vlans=(30, 30))
    assert reaches(maint)
    configure(maint, "LINUX02", 31)
    run(maint, "rm -f /etc/sysconfig/network-scripts/ifcfg-enc1000.30", "LINUX02")
    run(maint, "systemctl restart NetworkManager", "LINUX02")
    assert not reaches(maint)


def test_ports_of_a_portbased_switch_have_their_own_vlans(maint: System, clock: ManualClock) -> None:
    commands = (
        "SET VSWITCH VSW1 PORTNUMBER 1 USERID LINUX01 PORTTYPE ACCESS",
        "SET VSWITCH VSW1 PORTNUMBER 2 USERID LINUX02 PORTTYPE ACCESS",
        "SET VSWITCH VSW1 VLANID 40 ADD 1 2",
    )
    prepare(maint, clock, "VLAN 5 PORTBASED", *commands)
    assert reaches(maint)
    assert execute(maint, "MAINT", "SET VSWITCH VSW1 VLANID 40 REMOVE 2").rc == 0
    assert not reaches(maint)
    assert execute(maint, "MAINT", "SET VSWITCH VSW1 VLANID 41 ADD 2").rc == 0
    assert not reaches(maint)


def test_isolation_stops_ports_from_talking_and_revoke_uncouples(maint: System, clock: ManualClock) -> None:
    prepare(maint, clock, "VLAN 5 RDEV 1F00 1F03", *(text.format("") for text in BOTH))
    assert reaches(maint)
    assert execute(maint, "MAINT", "SET VSWITCH VSW1 ISOLATION ON").rc == 0
    assert not reaches(maint)
    assert run(maint, f"ping -c 1 {GATEWAY}")[0] == 0
    assert execute(maint, "MAINT", "SET VSWITCH VSW1 ISOLATION OFF").rc == 0
    assert execute(maint, "MAINT", "SET VSWITCH VSW1 REVOKE LINUX02").rc == 0
    assert not reaches(maint)


def test_an_uplink_that_fails_is_replaced_and_the_operator_is_told(maint: System, clock: ManualClock) -> None:
    prepare(maint, clock, "VLAN 5 RDEV 1F00 1F03", *(text.format("") for text in BOTH))
    switch = maint.vswitches["VSW1"]
    assert network.uplink(maint, switch) == "1F00"
    assert run(maint, f"ping -c 100 {GATEWAY}")[0] == 0
    before = uplinks.carried(maint, switch, "1F00")
    with maint.transaction():
        uplinks.set_osa(maint, "1F00", online=False)
    assert network.uplink(maint, switch) == "1F03"
    assert run(maint, f"ping -c 50 {GATEWAY}")[0] == 0
    assert uplinks.carried(maint, switch, "1F00") == before
    assert uplinks.carried(maint, switch, "1F03").frames_out >= 50
    said = console(maint, "OPERATOR")
    assert "HCPSWU2832E Connection 1F00.P00 for VSWITCH SYSTEM VSW1 is not active." in said
    assert "HCPSWU2830I VSWITCH SYSTEM VSW1 status is ready." in said
    assert "HCPSWU2830I DTCVSW1 is VSWITCH controller for device 1F03.P00." in said
    with maint.transaction():
        uplinks.set_osa(maint, "1F03", online=False)
    assert run(maint, f"ping -c 1 {GATEWAY}")[0] == 1
    assert reaches(maint)
    assert "VSWITCH SYSTEM VSW1 status is waiting for devices" in console(maint, "OPERATOR")
    with maint.transaction():
        uplinks.set_osa(maint, "1F00", online=True)
    assert run(maint, f"ping -c 1 {GATEWAY}")[0] == 0


@pytest.mark.parametrize(("kind", "adapter"), [("QDIO", "QDIO"), ("HIPERS", "HIPERS")])
def test_a_guest_lan_carries_frames_between_its_guests(
    maint: System, clock: ManualClock, kind: str, adapter: str
) -> None:
    prepare(maint, clock, "VLAN UNAWARE", *(text.format("") for text in BOTH))
    with maint.transaction():
        guest_lans.create(maint, GuestLan("SYSTEM", "LAN9", kind))
        for name in IP:
            nic = network.nic(maint, name, "1000")
            network.replace_nic(maint, name, replace(nic, adapter_type=adapter, lan_owner="", lan_name=""))
            if name == "LINUX01":
                guest_lans.couple(maint, name, "1000", "SYSTEM", "LAN9")
    assert not reaches(maint)
    with maint.transaction():
        guest_lans.couple(maint, "LINUX02", "1000", "SYSTEM", "LAN9")
    assert reaches(maint)


def test_nicdef_says_the_vlan_of_an_adapter(maint: System, clock: ManualClock) -> None:
    prepare(maint, clock, "VLAN 5", *(text.format("") for text in BOTH))
    assert reaches(maint)
    with maint.transaction():
        guests.log_off(maint, "LINUX02")
        entry = [line for line in dm.find(maint, "LINUX02").entry.render() if not line.startswith("NICDEF")]
        nicdefs = ("NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 MACID 000102", "NICDEF 1000 VLAN 6 PORTTYPE ACCESS")
        dm.lock(maint, "LINUX02", "MAINT")
        dm.replace_entry(maint, "LINUX02", (*entry, *nicdefs), "MAINT")
    start(maint, clock, "LINUX02")
    assert not reaches(maint)


def test_load_between_guests_moves_the_counters_of_both(maint: System, clock: ManualClock) -> None:
    prepare(maint, clock, "VLAN 5", *(text.format("") for text in BOTH))
    assert run(maint, f"iperf3 -c {IP['LINUX02']} -t 10")[0] == 0
    clock.advance(10)
    for name in IP:
        nic = network.nic(maint, name, "1000")
        assert traffic.adapter_traffic(maint, maint.machines[name], nic).frames_in >= 800_000
    assert run(maint, "iperf3 -c 192.0.2.99 -t 10")[0] == 1


def layered(name: str, layer2: str) -> dict[str, bytes]:
    path, text = next(iter(address(name).items()))
    return {path: text + f'OPTIONS="layer2={layer2} portno=0"\n'.encode()}


@pytest.mark.parametrize(("transport", "layer2", "passes"), [
    ("ETHERNET", "1", True), ("ETHERNET", "0", False), ("IP", "1", False), ("IP", "0", True),
])  # fmt: skip
def test_an_adapter_in_another_layer_than_its_switch_exchanges_no_frames(
    maint: System, clock: ManualClock, transport: str, layer2: str, passes: bool
) -> None:
    prepare(maint, clock, "VLAN UNAWARE RDEV 1F00", *(text.format("") for text in BOTH))
    with maint.transaction():
        maint.vswitches.put("VSW1", replace(maint.vswitches["VSW1"], transport=transport))
    assert reaches(maint), "drivers that are told nothing ask CP"
    punch(maint, "NETWORK", doscript.write(layered("LINUX01", layer2), ()), kind="DOSCRIPT", spool_class="X")
    with maint.transaction():
        guests.log_off(maint, "LINUX01")
    start(maint, clock, "LINUX01")
    assert reaches(maint) is reaches(maint, "LINUX02", "LINUX01") is passes
    assert (run(maint, f"ping -c 1 {GATEWAY}")[0] == 0) is passes
    nic = network.nic(maint, "LINUX01", "1000")
    assert (traffic.adapter_traffic(maint, maint.machines["LINUX01"], nic).frames_in > 0) is passes
    assert ("(no carrier: VSW1 is not of layer" in console(maint)) is not passes


def test_an_uplink_does_not_see_what_stays_inside_the_switch(maint: System, clock: ManualClock) -> None:
    prepare(maint, clock, "VLAN 5 RDEV 1F00", *(text.format("") for text in BOTH))
    switch = maint.vswitches["VSW1"]
    before = uplinks.carried(maint, switch, "1F00")
    assert reaches(maint)
    run(maint, f"iperf3 -c {IP['LINUX02']} -t 10")
    clock.advance(10)
    between = uplinks.carried(maint, switch, "1F00")
    # Ten seconds of two idle guests.
    assert between.frames_in - before.frames_in == 10
    run(maint, f"ping -c 200 {GATEWAY}")
    run(maint, f"iperf3 -c {GATEWAY} -t 10")
    clock.advance(10)
    assert uplinks.carried(maint, switch, "1F00").frames_in - between.frames_in == 10 + 200 + 800_000


@pytest.mark.parametrize(("grant", "vlan", "command", "dropped"), [
    (" VLAN 10", 10, "", 3),
    (" PORTTYPE TRUNK VLAN 20-30", 40, "", 3),
    (" VLAN 5", 0, "SET VSWITCH VSW1 ISOLATION ON", 3),
    (" VLAN 10", 0, "", 0),
], ids=["tagged on access", "VLAN not allowed", "isolated", "sent to nobody"])  # fmt: skip
def test_frames_that_a_switch_discards_are_counted(
    maint: System, clock: ManualClock, grant: str, vlan: int, command: str, dropped: int
) -> None:
    prepare(maint, clock, "VLAN 5", BOTH[0].format(grant), BOTH[1].format(""), vlans=(vlan, 0))
    if command:
        assert execute(maint, "MAINT", command).rc == 0
    nic = network.nic(maint, "LINUX01", "1000")
    sent = traffic.adapter_traffic(maint, maint.machines["LINUX01"], nic).frames_out
    assert not reaches(maint)
    counted = traffic.adapter_traffic(maint, maint.machines["LINUX01"], nic)
    assert (counted.dropped, counted.frames_out) == (dropped, sent)
    shown = "\n".join(execute(maint, "MAINT", "QUERY VSWITCH VSW1 DETAILS").lines)
    assert f"TX Packets: {sent:<10} Discarded: {dropped}" in shown
