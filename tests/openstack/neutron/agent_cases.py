"""The agent's program on neutron's own RPC, over a message bus in this process; z/VM is a table of adapters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import neutron  # noqa: F401  chooses oslo.service's backend; has to come before neutron_lib
import oslo_messaging
import pytest
from neutron.common import config as neutron_config
from neutron.conf.agent import common as agent_config
from neutron.plugins.ml2 import rpc as server_rpc
from neutron_lib import constants, context, exceptions
from neutron_lib import rpc as lib_rpc
from neutron_lib.agent import constants as agent_constants
from neutron_lib.agent import topics
from oslo_config import cfg

from zvmcloud.openstack.neutron import options
from zvmcloud.openstack.neutron.loop import Loop
from zvmcloud.openstack.neutron.mechanism import AGENT_TYPE
from zvmcloud.openstack.neutron.network import Wanted
from zvmcloud.openstack.neutron.ports import Adapter, Deed, Switch
from zvmcloud.openstack.neutron.program import Agent, Server

ADMIN = context.get_admin_context_without_session


class Neutron:
    """Neutron's server at the other end of the bus: what it wants of ports, and what the agent told it."""

    target = oslo_messaging.Target(version="1.9")

    def __init__(self) -> None:
        self.vlans = {"port-1": 120}
        self.asked: list[list[str]] = []
        self.told: list[tuple[str, str, str]] = []
        self.refuse = False
        self.refused = 0

    def get_devices_details_list(self, _context: object, devices: list[str], agent_id: str, host: str) -> Any:
        if self.refuse:
            self.refused += 1
            raise exceptions.ServiceUnavailable()
        self.asked.append(devices)
        assert (agent_id, host) == ("zvm-zvm1", "zvm1")
        return [
            {"device": port, "port_id": port, "admin_state_up": True, "physical_network": "physnet1",
             "segmentation_id": self.vlans[port]}
            for port in devices
        ]  # fmt: skip

    def update_device_up(self, _context: object, device: str, agent_id: str, host: str) -> None:
        self.told.append(("up", device, host))

    def update_device_down(self, _context: object, device: str, agent_id: str, host: str) -> None:
        self.told.append(("down", device, host))


class Reports:
    """Where neutron's server hears that agents are alive."""

    target = oslo_messaging.Target(version="1.4", namespace=constants.RPC_NAMESPACE_STATE)

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []
        self.answers = [agent_constants.AGENT_NEW]
        self.refuse = 0

    def report_state(self, _context: object, agent_state: Any, time: str) -> str:
        if self.refuse:
            self.refuse -= 1
            raise exceptions.ServiceUnavailable()
        self.states.append(agent_state["agent_state"])
        return str(self.answers.pop() if self.answers else agent_constants.AGENT_ALIVE)


class Table:
    """What the agent sees of z/VM: the adapters of one guest that is off, and the VSWITCH VSW1."""

    system = "ZVM1"

    def __init__(self) -> None:
        self.known = {"port-1": Adapter("LINUX01", "1000", "port-1", "", 0)}
        self.deeds: list[Deed] = []
        self.there = {"VSW1": Switch("VSW1", True, {}, frozenset())}

    def adapters(self) -> list[Adapter]:
        return list(self.known.values())

    def switches(self) -> dict[str, Switch]:
        return self.there

    def servers(self) -> Collection[str]:
        return {"LINUX01"}

    def is_on(self, _userid: str) -> bool:
        return False

    def do(self, deed: Deed) -> None:
        self.deeds.append(deed)
        if deed.kind == "couple":
            self.known["port-1"] = replace(self.known["port-1"], vswitch=deed.vswitch, vlan=deed.vlan)


@pytest.fixture(scope="module", autouse=True)
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    conf = cfg.CONF
    neutron_config.register_common_config_options()
    agent_config.register_agent_state_opts_helper(conf)
    options.register(conf)
    file = tmp_path_factory.mktemp("neutron") / "neutron.conf"
    file.write_text(
        "[DEFAULT]\nhost = zvm1\ntransport_url = fake:///\n"
        "[AGENT]\nreport_interval = 1\n[zvmcloud]\npolling_interval = 0.1\n"
    )
    conf([], default_config_files=[str(file)])
    lib_rpc.init(conf)
    yield
    lib_rpc.cleanup()
    conf.reset()


@pytest.fixture
def server() -> Iterator[tuple[Neutron, Reports]]:
    found = Neutron(), Reports()
    connection = lib_rpc.Connection()
    connection.create_consumer(topics.PLUGIN, [found[0]], fanout=False)
    connection.create_consumer(topics.REPORTS, [found[1]], fanout=False)
    connection.consume_in_threads()
    yield found
    connection.close()


@pytest.fixture
def zvm() -> Table:
    return Table()


@pytest.fixture
def rarely() -> Iterator[None]:
    """The agent looks at z/VM once an hour by itself."""
    cfg.CONF.set_override("polling_interval", 3600, group="zvmcloud")
    yield
    cfg.CONF.clear_override("polling_interval", group="zvmcloud")


@pytest.fixture
def running(server: tuple[Neutron, Reports], zvm: Table) -> Iterator[None]:
    loop = Loop(zvm, Server("zvm1"), {"physnet1": Wanted("VSW1")}, repair_interval=3600)  # type: ignore[arg-type]
    agent = Agent(cfg.CONF, loop)
    thread = threading.Thread(target=agent.run)
    thread.start()
    yield
    agent.stop()
    thread.join(60)
    assert not thread.is_alive(), "it ends when it is told to"


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.usefixtures("running")
def test_a_port_is_asked_for_coupled_and_told(server: tuple[Neutron, Reports], zvm: Table) -> None:
    neutron_server, reports = server
    until(lambda: neutron_server.told, "the port is up")
    assert neutron_server.told == [("up", "port-1", "zvm1")]
    assert zvm.deeds == [
        Deed("grant", "LINUX01", "1000", "VSW1", 120), Deed("couple", "LINUX01", "1000", "VSW1", 120),
    ]  # fmt: skip
    until(lambda: len(reports.states) > 3 and reports.states[-1]["configurations"]["devices"], "its state is told")
    state = reports.states[-1]
    assert (state["binary"], state["host"], state["agent_type"]) == ("neutron-zvm-agent", "zvm1", AGENT_TYPE)
    assert state["configurations"]["vswitches"] == {"physnet1": "VSW1"}
    assert reports.states[0]["start_flag"] is True
    assert "start_flag" not in state


@pytest.mark.usefixtures("rarely", "running")
def test_neutrons_notice_of_a_change_is_followed_at_once(server: tuple[Neutron, Reports], zvm: Table) -> None:
    neutron_server, _ = server
    until(lambda: neutron_server.told, "the port is up")
    neutron_server.vlans["port-1"] = 130
    notices = server_rpc.AgentNotifierApi(topics.AGENT)
    notices.port_update(ADMIN(), {"id": "port-1"}, "vlan", 130, "physnet1")
    until(lambda: zvm.known["port-1"].vlan == 130, "the adapter has the new VLAN")
    until(lambda: len(neutron_server.told) == 2, "the port is up again")


@pytest.mark.usefixtures("running")
def test_an_agent_that_neutron_had_given_up_looks_at_everything_again(server: tuple[Neutron, Reports]) -> None:
    neutron_server, reports = server
    until(lambda: neutron_server.told, "the port is up")
    reports.answers.append(agent_constants.AGENT_REVIVED)
    until(lambda: len(neutron_server.told) == 2, "the port is told again")


def test_a_server_that_fails_is_asked_again(
    server: tuple[Neutron, Reports], zvm: Table, request: pytest.FixtureRequest
) -> None:
    neutron_server, _ = server
    neutron_server.refuse = True
    request.getfixturevalue("running")
    until(lambda: neutron_server.refused >= 2, "it is asked again")
    assert zvm.deeds == []
    neutron_server.refuse = False
    until(lambda: neutron_server.told, "the port is up")


def test_it_says_that_it_has_started_until_it_has_a_vswitch(
    server: tuple[Neutron, Reports], zvm: Table, request: pytest.FixtureRequest
) -> None:
    """Neutron takes from such a state which segments a host reaches (services/segments/db.py of neutron 29)."""
    _, reports = server
    there, zvm.there = zvm.there, {}
    request.getfixturevalue("running")
    until(lambda: len(reports.states) >= 2, "its state is told")
    assert all(state["start_flag"] and not state["configurations"]["vswitches"] for state in reports.states)
    zvm.there = there
    notices = server_rpc.AgentNotifierApi(topics.AGENT)
    notices.port_update(ADMIN(), {"id": "port-1"}, "vlan", 120, "physnet1")
    until(lambda: "start_flag" not in reports.states[-1], "it has begun")
    assert reports.states[-1]["configurations"]["vswitches"] == {"physnet1": "VSW1"}


def test_a_state_that_could_not_be_told_is_told_again(
    server: tuple[Neutron, Reports], request: pytest.FixtureRequest
) -> None:
    _, reports = server
    reports.refuse = 1
    request.getfixturevalue("running")
    until(lambda: reports.states, "its state is told")
    assert not reports.refuse


def test_a_change_that_neutron_told_of_and_then_would_not_explain_is_asked_for_again(
    server: tuple[Neutron, Reports], zvm: Table, request: pytest.FixtureRequest
) -> None:
    neutron_server, _ = server
    request.getfixturevalue("running")
    until(lambda: neutron_server.told, "the port is up")
    neutron_server.refuse = True
    neutron_server.vlans["port-1"] = 130
    server_rpc.AgentNotifierApi(topics.AGENT).port_update(ADMIN(), {"id": "port-1"}, "vlan", 130, "physnet1")
    until(lambda: neutron_server.refused, "it asks what the port should be")
    neutron_server.refuse = False
    until(lambda: zvm.known["port-1"].vlan == 130, "the adapter has the new VLAN")
