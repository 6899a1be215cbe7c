"""Whatever a client asks of whatever function: an answer, never a failure inside, and the parts still agree."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.checks import consistent
from simulator.support import linux
from smapi.strategies import request as any_request
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guests, network
from zvmcloud.simulator.journal import Journal
from zvmcloud.simulator.model import Grant, Vswitch
from zvmcloud.simulator.smapi.dispatch import Dispatcher
from zvmcloud.simulator.smapi.registry import HANDLERS
from zvmcloud.simulator.system import System
from zvmcloud.smapi.connection import RequestFrame
from zvmcloud.smapi.declare import Request
from zvmcloud.smapi.errors import WireError
from zvmcloud.smapi.registry import REGISTRY

FUNCTIONS = sorted(function.name for function in REGISTRY if function.name.upper() in HANDLERS)

#: Values that mean something on the system under test, by a part of the field's name.
KNOWN: tuple[tuple[str, st.SearchStrategy[Any]], ...] = (
    ("device_number", st.sampled_from(["0100", "0101", "1000", "2000", "*"])),
    ("disk_number", st.sampled_from(["0100", "0101", "0200"])),
    ("vdasd_id", st.sampled_from(["ALL", "0100", "zz"])),
    ("device_address", st.sampled_from(["", "0100"])),
    ("switch_name", st.sampled_from(["VSW1", "VSW2", "*"])),
    ("image_name", st.sampled_from(["LINUX01", "LINUX02"])),
    ("userid", st.sampled_from(["LINUX01", "LINUX02"])),
    ("allocation_type", st.sampled_from(["AUTOG", "AUTOV", "5", "V-DISK"])),
    ("area_name", st.sampled_from(["POOL1", "LX0001", "FBAPOOL"])),
    ("device_type", st.sampled_from(["3390", "9336", "FB-512"])),
    ("group_name", st.sampled_from(["POOL1", "NEW"])),
    ("region_name", st.sampled_from(["LX0001", "NEW"])),
    ("vol_id", st.sampled_from(["LX0001", "NEW"])),
    ("entry_names", st.sampled_from(["*", "POOL1", "LX0001"])),
    ("disk_size", st.integers(0, 12)),
)
TARGETS = st.sampled_from(["LINUX01", "LINUX02", "NOBODY", "LIST", "LNXDFLT", "*", "TCPIP", "ü"])


@st.composite
def likely(draw: st.DrawFn) -> Request[Any]:
    """A request of any function, with values that are often meaningful."""
    function = REGISTRY[draw(st.sampled_from(FUNCTIONS))]
    made = draw(any_request(function, keep_limits=draw(st.booleans())))
    values: dict[str, Any] = {"target": draw(TARGETS)}
    for field in dataclasses.fields(made):
        current = getattr(made, field.name)
        for part, strategy in KNOWN:
            if part in field.name and draw(st.integers(0, 3)):
                value = draw(strategy)
                if isinstance(value, type(current)) and (isinstance(value, str) or isinstance(current, int)):
                    values[field.name] = value
                break
    return dataclasses.replace(made, **values)


@pytest.fixture
def vm(system: System) -> System:
    """LINUX01 on, LINUX02 off, each with a disk; VSW1 for both; a list of the two."""
    with system.transaction():
        system.vswitches.put("VSW1", Vswitch("VSW1", network.new_mac(system), grants=(Grant("LINUX01"),)))
        for name in ("LINUX01", "LINUX02"):
            dm.create(system, name, linux(name))
            dm.add_disk(system, name, Mdisk("0100", "3390", "AUTOG", None, 2, "POOL1", "MR"))
        guests.log_on(system, "LINUX01")
    return system


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(likely())
def test_every_request_gets_an_answer_and_leaves_a_whole_system(
    vm: System, caplog: pytest.LogCaptureFixture, made: Request[Any]
) -> None:
    caplog.set_level(logging.ERROR)
    try:
        parameters = made.spec.encode_parameters(made)
        target = made.target.encode("latin-1").decode("latin-1")
    except (WireError, ValueError):
        return
    dispatcher = Dispatcher(vm, Journal(None))
    dispatcher.answer(RequestFrame(made.spec.name, "MAINT", "MAINT", target, parameters), 1)
    assert not caplog.records, caplog.text
    consistent(vm)
