"""The mechanism driver ``zvmcloud``: a port is bound where a live agent has a VSWITCH of its physical network."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import neutron  # noqa: F401  chooses oslo.service's backend; has to come before neutron_lib
from neutron.plugins.ml2.drivers import mech_agent
from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api

AGENT_TYPE = "z/VM agent"

Agent = Mapping[str, Any]
Segment = Mapping[str, Any]


class ZVMMechanismDriver(mech_agent.SimpleAgentMechanismDriverBase):
    """Agent-based binding. ``binding:vif_details`` name the VSWITCH and the VLAN (0 for none); the Nova driver defines
    the adapter, the agent couples it. Security groups are not enforced on a VSWITCH: ``port_filter`` is false."""

    def __init__(self) -> None:
        super().__init__(AGENT_TYPE, portbindings.VIF_TYPE_OTHER, {portbindings.CAP_PORT_FILTER: False})

    @property
    def connectivity(self) -> str:
        """Layer 2: a guest has IPv4, IPv6 and whatever else it likes."""
        return str(portbindings.CONNECTIVITY_L2)

    def get_allowed_network_types(self, agent: Agent | None = None) -> Collection[str]:
        """Flat and VLAN."""
        return [constants.TYPE_FLAT, constants.TYPE_VLAN]

    def get_mappings(self, agent: Agent) -> Mapping[str, str]:
        """The VSWITCHes that the agent has found or made."""
        found: Mapping[str, str] = agent["configurations"].get("vswitches", {})
        return found

    def check_segment_for_agent(self, segment: Segment, agent: Agent) -> bool:
        """A VLAN is for a VSWITCH that knows VLANs only."""
        if not super().check_segment_for_agent(segment, agent):
            return False
        if segment[api.NETWORK_TYPE] != constants.TYPE_VLAN:
            return True
        return segment[api.PHYSICAL_NETWORK] not in agent["configurations"].get("vlan_unaware", [])

    def get_vif_details(self, context: Any, agent: Agent, segment: Segment) -> dict[str, object]:
        """New ones for each binding: neutron keeps what it gets."""
        physnet = segment[api.PHYSICAL_NETWORK]
        return {
            **self.vif_details,
            "physical_network": physnet,
            "vswitch": self.get_mappings(agent)[physnet],
            "vlan": segment.get(api.SEGMENTATION_ID) or 0,
        }
