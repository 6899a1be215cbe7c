"""The mechanism driver against neutron's own tests of mechanism drivers, and what they do not ask."""

from __future__ import annotations

from typing import Any

from neutron.plugins.ml2 import plugin as _plugin  # noqa: F401  the order in which neutron can be imported
from neutron.tests.unit.plugins.ml2 import _test_mech_agent as theirs
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api
from stevedore import extension

from zvmcloud.openstack.neutron.mechanism import AGENT_TYPE, ZVMMechanismDriver

PHYSNET = "fake_physical_network"


def agent(vswitches: dict[str, str], *, alive: bool = True, unaware: list[str] | None = None) -> dict[str, Any]:
    configurations = {"vswitches": vswitches, "vlan_unaware": unaware or []}
    return {"alive": alive, "configurations": configurations, "host": "host", "agent_type": AGENT_TYPE}


class Ours:
    """What neutron's tests want to know of the driver."""

    CAP_PORT_FILTER = False
    VIF_TYPE = portbindings.VIF_TYPE_OTHER
    VIF_DETAILS = None
    AGENT_TYPE = AGENT_TYPE
    AGENTS = (agent({PHYSNET: "VSW1"}),)
    AGENTS_DEAD = (agent({PHYSNET: "VSW1"}, alive=False),)
    AGENTS_BAD = (agent({PHYSNET: "VSW1"}, alive=False), agent({"other": "VSW1"}))

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.driver = ZVMMechanismDriver()
        self.driver.initialize()


class TestGeneric(Ours, theirs.AgentMechanismGenericTestCase):  # type: ignore[misc]
    pass


class TestVlan(Ours, theirs.AgentMechanismVlanTestCase):  # type: ignore[misc]
    pass


class TestFlat(Ours, theirs.AgentMechanismFlatTestCase):  # type: ignore[misc]
    pass


DRIVER = ZVMMechanismDriver()


def bound(segment: dict[str, Any], *agents: dict[str, Any]) -> tuple[Any, ...] | None:
    """How the one driver of a neutron binds a port."""
    context = theirs.FakePortContext(AGENT_TYPE, list(agents), [segment], vnic_type=portbindings.VNIC_NORMAL)
    DRIVER.bind_port(context)
    if context._bound_vif_type is None:
        return None
    return context._bound_vif_type, context._bound_vif_details


def segment(kind: str, vlan: int | None = None) -> dict[str, Any]:
    return {
        api.ID: "segment", api.NETWORK_TYPE: kind, api.PHYSICAL_NETWORK: "physnet1", api.SEGMENTATION_ID: vlan,
        "network_id": "network",
    }  # fmt: skip


def test_the_details_name_the_vswitch_and_the_vlan() -> None:
    details = {
        "connectivity": "l2", "port_filter": False, "physical_network": "physnet1", "vswitch": "VSW2", "vlan": 120,
    }  # fmt: skip
    here = agent({"physnet1": "VSW2", "physnet2": "VSW3"})
    assert bound(segment("vlan", 120), here) == ("other", details)
    assert bound(segment("flat"), here) == ("other", {**details, "vlan": 0})
    assert bound(segment("vlan", 120), here) == ("other", details), "each binding has details of its own"


def test_a_vlan_is_not_bound_to_a_vswitch_that_knows_none() -> None:
    unaware = agent({"physnet1": "VSW1"}, unaware=["physnet1"])
    assert bound(segment("vlan", 120), unaware) is None
    assert bound(segment("flat"), unaware) is not None


def test_nothing_is_bound_where_the_vswitch_is_missing_or_the_kind_is_unknown() -> None:
    assert bound(segment("flat"), agent({})) is None
    assert bound(segment("vxlan", 120), agent({"physnet1": "VSW1"})) is None
    assert bound(segment("flat"), agent({"physnet1": "VSW1"}, alive=False)) is None


def test_neutron_finds_it_by_its_name() -> None:
    found: Any = extension.ExtensionManager("neutron.ml2.mechanism_drivers", invoke_on_load=False)
    assert found["zvmcloud"].plugin is ZVMMechanismDriver
