"""Waiting for neutron's word that ports are up, with nova's own events."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import nova.conf
import pytest
from nova import context as nova_context
from nova import exception, objects
from nova.compute.manager import ComputeVirtAPI, InstanceEvents
from nova.network import model

from nova_world import instance, vif
from zvmcloud.openstack.nova.spawning import Spawner

CONF = nova.conf.CONF
objects.register_all()


class Waiting:
    """A server whose ports nova waits for, and neutron's side of it."""

    def __init__(self) -> None:
        self.events = InstanceEvents()
        self.server = instance(nova_context.get_admin_context())
        api = ComputeVirtAPI(SimpleNamespace(instance_events=self.events, reportclient=None))
        self.spawner = Spawner(None, None, None, api)  # type: ignore[arg-type]

    def during(self, *ports: Any, status: str = "", after: bool = False) -> None:
        """Wait for the ports; neutron says ``status`` of each meanwhile, unless it is ""."""
        with self.spawner.plugged(self.server, model.NetworkInfo(ports)):
            for port in ports if status else ():
                threading.Timer(0.2 if after else 0, self.say, (port["id"], status)).start()

    def say(self, port: str, status: str) -> None:
        told = objects.InstanceExternalEvent(
            instance_uuid=self.server.uuid, name="network-vif-plugged", tag=port, status=status, data={}
        )
        awaited = self.events.pop_instance_event(self.server, told)
        if awaited is not None:
            awaited.set(told)


@pytest.fixture
def waiting(request: pytest.FixtureRequest) -> Iterator[Waiting]:
    """Marked ``options`` for this time."""
    own = getattr(request, "param", {})
    for name, value in own.items():
        CONF.set_override(name, value)
    yield Waiting()
    for name in own:
        CONF.clear_override(name)


def options(**own: object) -> pytest.MarkDecorator:
    words = " ".join(f"{name}={value}" for name, value in own.items())
    return pytest.mark.parametrize("waiting", [pytest.param(own, id=words)], indirect=True)


@options(vif_plugging_timeout=60)
def test_a_build_goes_on_when_all_its_ports_are_up(waiting: Waiting) -> None:
    waiting.during(vif(1), vif(2), status="completed", after=True)


@options(vif_plugging_timeout=1)
def test_ports_that_are_up_already_are_not_waited_for(waiting: Waiting) -> None:
    waiting.during(vif(1, active=True))


@options(vif_plugging_timeout=1)
def test_a_port_that_neutron_does_not_report_ends_the_build(waiting: Waiting) -> None:
    with pytest.raises(exception.VirtualInterfaceCreateException):
        waiting.during(vif(1))


@options(vif_plugging_timeout=1, vif_plugging_is_fatal=False)
def test_and_does_not_where_the_operator_says_so(waiting: Waiting) -> None:
    waiting.during(vif(1))


@options(vif_plugging_timeout=60)
def test_a_port_that_failed_ends_the_build_at_once(waiting: Waiting, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(exception.VirtualInterfaceCreateException):
        waiting.during(vif(1), status="failed")
    assert "neutron failed: network-vif-plugged" in caplog.text


@options(vif_plugging_timeout=60, vif_plugging_is_fatal=False)
def test_and_is_passed_over_where_the_operator_says_so(waiting: Waiting, caplog: pytest.LogCaptureFixture) -> None:
    waiting.during(vif(1), status="failed")
    assert "neutron failed: network-vif-plugged" in caplog.text
    assert "did not report all" not in caplog.text


@options(vif_plugging_timeout=0)
def test_nothing_is_waited_for_without_a_time(waiting: Waiting) -> None:
    waiting.during(vif(1))
