"""What is done about an adapter, from what its port should be and what z/VM has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zvmcloud.openstack.neutron.ports import Adapter, Deed, NotServed, Port, Switch, deeds, leftovers, port_of

BARE = Adapter("LINUX01", "1000", "port-1", "", 0)
PORT = Port("port-1", up=True, physical_network="physnet1", vlan=120, here=True)
FLAT = replace(PORT, vlan=0)
NEW = Switch("VSW2", True, {}, frozenset())
GRANT = Deed("grant", "LINUX01", "1000", "VSW2", 120)
COUPLE = Deed("couple", "LINUX01", "1000", "VSW2", 120)
GRANTED = replace(NEW, rights={"LINUX01": frozenset({120})})
COUPLED = replace(BARE, vswitch="VSW2", vlan=120)
LIVE = replace(GRANTED, coupled=frozenset({("LINUX01", "1000")}))


@pytest.mark.parametrize(
    ("adapter", "port", "switch", "on", "done"),
    [
        pytest.param(BARE, PORT, NEW, False, [GRANT, COUPLE], id="a new adapter is granted and coupled"),
        pytest.param(BARE, PORT, GRANTED, False, [COUPLE], id="a right that is there stays"),
        pytest.param(COUPLED, PORT, GRANTED, False, [], id="of a guest that is off the directory counts"),
        pytest.param(COUPLED, PORT, LIVE, True, [], id="all is well"),
        pytest.param(COUPLED, PORT, GRANTED, True, [COUPLE], id="a running guest has lost its coupling"),
        pytest.param(COUPLED, PORT, NEW, False, [GRANT], id="an IPL takes rights away"),
        pytest.param(COUPLED, PORT, NEW, True, [GRANT, COUPLE], id="and then couplings"),
        pytest.param(
            COUPLED, replace(PORT, vlan=130), LIVE, True,
            [replace(GRANT, vlan=130), replace(COUPLE, vlan=130)], id="another VLAN",
        ),
        pytest.param(
            COUPLED, FLAT, LIVE, True, [replace(GRANT, vlan=0), replace(COUPLE, vlan=0)], id="no VLAN any more",
        ),
        pytest.param(COUPLED, replace(PORT, up=False), LIVE, True, [Deed("uncouple", "LINUX01", "1000")], id="down"),
        pytest.param(BARE, replace(PORT, up=False), None, True, [], id="down already, and no VSWITCH needed for it"),
    ],
)  # fmt: skip
def test_what_is_done(adapter: Adapter, port: Port, switch: Switch | None, on: bool, done: list[Deed]) -> None:
    assert deeds(adapter, port, switch, on=on) == done


def test_a_port_that_cannot_be_connected_says_why() -> None:
    with pytest.raises(NotServed, match="no VSWITCH of physical network 'physnet1'"):
        deeds(BARE, PORT, None, on=False)
    with pytest.raises(NotServed, match="VSW2 is not VLAN aware, and the port has VLAN 120"):
        deeds(BARE, PORT, replace(NEW, vlan_aware=False), on=False)
    other = Adapter("LINUX01", "1003", "port-2", "VSW2", 130)
    with pytest.raises(NotServed, match="LINUX01 has VLAN 130 on VSWITCH VSW2 already"):
        deeds(BARE, PORT, NEW, on=False, others=[BARE, other])
    assert deeds(BARE, PORT, NEW, on=False, others=[replace(other, vlan=120), replace(other, userid="LINUX02")])
    assert deeds(BARE, FLAT, replace(NEW, vlan_aware=False), on=False)[1].kind == "couple"


def test_rights_of_servers_without_an_adapter_are_taken_away_and_no_others() -> None:
    rights = {
        "LINUX01": frozenset({120}),
        "LINUX02": frozenset[int](),
        "LINUX03": frozenset({1}),
        "TCPIP": frozenset({1}),
    }
    switch = replace(NEW, rights=rights)
    adapters = [COUPLED, replace(BARE, userid="LINUX03"), replace(COUPLED, userid="LINUX02", vswitch="VSW9")]
    servers = {"LINUX01", "LINUX02", "LINUX03"}
    assert leftovers(adapters, [switch], servers) == [Deed("revoke", "LINUX02", vswitch="VSW2")]
    assert leftovers([], [switch], set()) == []


def test_what_neutron_answers() -> None:
    known = {
        "device": "port-1", "port_id": "port-1", "admin_state_up": True, "physical_network": "physnet1",
        "segmentation_id": 120,
    }  # fmt: skip
    assert port_of(known) == PORT
    assert port_of({**known, "segmentation_id": None}) == FLAT
    assert port_of({"device": "port-1"}) is None, "neutron does not know it"
    coming = port_of({"device": "port-1", "no_active_binding": True})
    assert coming is not None
    assert not coming.here
