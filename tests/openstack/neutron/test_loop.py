"""The agent over a manager and a z/VM in software: what it makes of adapters, and what it mends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from neutron_world import World, world
from zvmcloud.openstack.neutron.network import Network, Wanted
from zvmcloud.openstack.neutron.ports import Deed
from zvmcloud.simulator import shutdown, system_config
from zvmcloud.simulator.model_devices import TextFile


@pytest.fixture
def zvm(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as found:
        yield found


def ipl(zvm: World, configuration: TextFile | None) -> None:
    """SYSTEM CONFIG is that of a while ago, as from a backup, and the system is IPLed."""
    assert configuration is not None

    def work() -> None:
        system_config.written(zvm.system, configuration, configuration.lines)
        shutdown.ipl(zvm.system)

    zvm.edit(work)


def test_it_makes_its_vswitch_and_leaves_the_administrators_alone(zvm: World) -> None:
    loop, before = zvm.loop(), zvm.system.vswitches.get("VSW1")
    assert loop.configurations["vswitches"] == {}, "nothing is served before it was seen"
    assert loop.round()
    made = zvm.system.vswitches.get("VSW2")
    assert made.rdevs == ("1000", "1F00"), "the active device and the one for fail-over"
    assert made.vlan
    assert made.persistent
    assert zvm.system.vswitches.get("VSW1") == before
    assert loop.configurations == {
        "system": "ZVM1", "vswitches": {"physnet1": "VSW1", "physnet2": "VSW2"}, "vlan_unaware": ["physnet1"],
        "devices": 0,
    }  # fmt: skip


def test_an_administrators_vswitch_that_is_missing_is_not_made(zvm: World) -> None:
    loop = zvm.loop(physnet1=Wanted("VSW9"), physnet2=Wanted("VSW1"))
    loop.round()
    assert zvm.system.vswitches.get("VSW9") is None
    assert loop.configurations["vswitches"] == {"physnet2": "VSW1"}


def test_a_ports_adapter_is_granted_and_coupled_then_the_port_is_up(zvm: World) -> None:
    loop = zvm.loop()
    loop.round()
    zvm.guest("LINUX01", "port-1", "port-2")
    zvm.ports.add("port-1")
    zvm.ports.add("port-2", "physnet1", None)
    assert loop.round()
    assert zvm.nics("LINUX01") == {"1000": ("VSW2", "120"), "1003": ("VSW1", "")}
    assert zvm.rights("VSW2")["LINUX01"] == ("120",)
    assert "LINUX01" in zvm.rights("VSW1")
    assert sorted(zvm.ports.told) == [("up", "port-1"), ("up", "port-2")]
    zvm.bridge.asked.clear()
    assert loop.round()
    assert zvm.bridge.asked == ["GET /v1/systems/ZVM1/nics"], "a round in which nothing happened is one call"
    zvm.do("POST", "/guests/ZVM1/LINUX01/start")
    assert zvm.coupled("VSW2") == [("LINUX01", "1000")]


def test_adapters_that_are_no_ports_are_left_alone(zvm: World) -> None:
    loop = zvm.loop()
    zvm.guest("LINUX01", "not-a-port")
    zvm.do("POST", "/guests/ZVM1/LINUX01/nics", vdev="2000")
    assert loop.round()
    assert zvm.nics("LINUX01") == {"1000": ("", ""), "2000": ("", "")}
    assert zvm.ports.told == []


def test_admin_state_and_vlan_are_followed_while_the_guest_runs(zvm: World) -> None:
    loop = zvm.loop()
    zvm.guest("LINUX01", "port-1")
    zvm.ports.add("port-1")
    loop.round()
    zvm.do("POST", "/guests/ZVM1/LINUX01/start")
    zvm.ports.add("port-1", admin_state_up=False)
    loop.port_changed("port-1")
    assert loop.round()
    assert zvm.nics("LINUX01") == {"1000": ("", "")}
    assert zvm.coupled("VSW2") == []
    assert zvm.ports.told[-1] == ("down", "port-1")
    zvm.ports.add("port-1", vlan=130)
    loop.port_changed("port-1")
    assert loop.round()
    assert zvm.nics("LINUX01") == {"1000": ("VSW2", "130")}
    assert zvm.rights("VSW2")["LINUX01"] == ("130",)
    assert zvm.coupled("VSW2") == [("LINUX01", "1000")]
    assert zvm.ports.told[-1] == ("up", "port-1")


def test_after_its_own_restart_and_after_an_ipl_everything_is_as_it_should_be(zvm: World) -> None:
    zvm.guest("LINUX01", "port-1")
    zvm.ports.add("port-1")
    loop = zvm.loop()
    configuration = system_config.default(zvm.system)
    loop.round()
    again = zvm.loop()
    zvm.bridge.asked.clear()
    assert again.round()
    assert not [call for call in zvm.bridge.asked if call.startswith("POST")], "nothing was to be done"
    assert zvm.ports.told == [("up", "port-1"), ("up", "port-1")]
    ipl(zvm, configuration)
    assert again.round()
    assert "LINUX01" not in zvm.rights("VSW2"), "seen at the next look at z/VM itself"
    zvm.now += 31
    zvm.ports.told.clear()
    assert again.round()
    assert zvm.rights("VSW2")["LINUX01"] == ("120",)
    assert zvm.ports.told == [], "the port was up all the time"


def test_a_running_guest_whose_coupling_is_lost_is_coupled_again(zvm: World) -> None:
    zvm.guest("LINUX01", "port-1")
    zvm.ports.add("port-1")
    loop = zvm.loop()
    loop.round()
    zvm.do("POST", "/guests/ZVM1/LINUX01/start")
    zvm.do("POST", "/systems/ZVM1/vswitches/VSW2/revoke", userid="LINUX01")
    assert zvm.coupled("VSW2") == [], "CP uncouples whom it takes the right from"
    zvm.now += 31
    assert loop.round()
    assert zvm.coupled("VSW2") == [("LINUX01", "1000")]


def test_a_right_goes_with_the_last_adapter_and_others_rights_stay(zvm: World) -> None:
    zvm.guest("LINUX01", "port-1", "port-2")
    for port in ("port-1", "port-2"):
        zvm.ports.add(port)
    loop = zvm.loop()
    loop.round()
    zvm.do("POST", "/systems/ZVM1/vswitches/VSW2/grant", userid="TCPIP")
    zvm.do("DELETE", "/guests/ZVM1/LINUX01/nics/1003")
    zvm.now += 31
    assert loop.round()
    assert zvm.ports.told[-1] == ("down", "port-2")
    assert "LINUX01" in zvm.rights("VSW2")
    zvm.do("DELETE", "/guests/ZVM1/LINUX01/nics/1000")
    assert loop.round()
    assert "LINUX01" not in zvm.rights("VSW2")
    assert "TCPIP" in zvm.rights("VSW2")


def test_a_right_that_was_given_to_a_guest_that_was_just_deleted_is_taken_back(
    zvm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a server's build fails while its adapter is connected."""
    zvm.guest("LINUX01", "port-1")
    zvm.ports.add("port-1")
    loop = zvm.loop()
    do = Network.do

    def late(network: Network, deed: Deed) -> None:
        if deed.kind == "grant":
            zvm.do("DELETE", "/guests/ZVM1/LINUX01")
        do(network, deed)

    monkeypatch.setattr(Network, "do", late)
    assert not loop.round()
    assert "LINUX01" in zvm.rights("VSW2")
    loop.round()
    assert zvm.rights("VSW2") == {}


def test_a_right_that_stayed_while_the_agent_was_away_is_taken_later(zvm: World) -> None:
    zvm.guest("LINUX01")
    zvm.do("POST", "/systems/ZVM1/vswitches/VSW1/grant", userid="LINUX01")
    zvm.do("POST", "/systems/ZVM1/vswitches/VSW1/grant", userid="TCPIP")
    assert zvm.loop().round()
    assert set(zvm.rights("VSW1")) == {"TCPIP"}


def test_an_adapter_that_is_made_anew_between_two_looks_is_noticed(zvm: World) -> None:
    zvm.guest("LINUX01", "port-1")
    zvm.ports.add("port-1")
    loop = zvm.loop()
    loop.round()
    zvm.do("DELETE", "/guests/ZVM1/LINUX01/nics/1000")
    zvm.nic("LINUX01", "1000", "port-1")
    assert loop.round()
    assert zvm.nics("LINUX01") == {"1000": ("VSW2", "120")}
    assert zvm.ports.told == [("up", "port-1"), ("up", "port-1")]


def test_a_manager_that_is_gone_is_asked_again(zvm: World) -> None:
    zvm.guest("LINUX01", "port-1")
    zvm.ports.add("port-1")
    loop = zvm.loop()
    zvm.bridge.down = True
    assert not loop.round()
    assert zvm.ports.told == []
    zvm.bridge.down = False
    assert loop.round()
    assert zvm.ports.told == [("up", "port-1")]


@pytest.mark.parametrize("lost", ["/nics", "/vswitches", "/guests/ZVM1/LINUX01"])
def test_a_change_outlasts_a_manager_that_is_lost_while_it_is_made(zvm: World, lost: str) -> None:
    zvm.guest("LINUX01", "port-1")
    zvm.ports.add("port-1")
    loop = zvm.loop()
    loop.round()
    zvm.ports.add("port-1", vlan=130)
    loop.port_changed("port-1")
    zvm.bridge.lost = lost
    assert not loop.round()
    assert zvm.nics("LINUX01") == {"1000": ("VSW2", "120")}
    zvm.bridge.lost = ""
    assert loop.round(), "at once, not at the next repair"
    assert zvm.nics("LINUX01") == {"1000": ("VSW2", "130")}
    assert zvm.ports.told[-1] == ("up", "port-1")
    loop.port_changed("port-of-another-host")
    zvm.bridge.asked.clear()
    assert loop.round()
    assert loop.round()
    assert len(zvm.bridge.asked) == 2, "and then there is nothing to be done"


def test_what_cannot_be_connected_is_down_and_tried_again(zvm: World, caplog: pytest.LogCaptureFixture) -> None:
    zvm.guest("LINUX01", "port-1", "port-2")
    zvm.ports.add("port-1", "physnet7")
    zvm.ports.add("port-2", "physnet1", 120)
    loop = zvm.loop()
    assert not loop.round()
    assert sorted(zvm.ports.told) == [("down", "port-1"), ("down", "port-2")]
    assert "no VSWITCH of physical network 'physnet7'" in caplog.text
    assert "VSW1 is not VLAN aware" in caplog.text
    zvm.ports.add("port-1")
    zvm.ports.add("port-2", "physnet1", None)
    for port in ("port-1", "port-2"):
        loop.port_changed(port)
    assert loop.round()
    assert zvm.ports.told[-2:] == [("up", "port-1"), ("up", "port-2")]


def test_a_guest_on_its_way_here_is_told_to_nova_and_not_touched(zvm: World) -> None:
    zvm.guest("LINUX01", "port-1")
    zvm.ports.known["port-1"] = {"device": "port-1", "no_active_binding": True}
    assert zvm.loop().round()
    assert zvm.ports.told == [("up", "port-1")]
    assert zvm.nics("LINUX01") == {"1000": ("", "")}
