"""The agent's options, beside those of ``zvmcloud.openstack.connection`` in the same group ``[zvmcloud]``."""

from __future__ import annotations

import re

from oslo_config import cfg

from zvmcloud.openstack import connection
from zvmcloud.openstack.connection import GROUP, ConfigurationError
from zvmcloud.openstack.neutron.network import Wanted

OPTIONS = [
    cfg.DictOpt(
        "physical_networks",
        default={},
        help="The VSWITCH of each physical network: physnet1:VSW1,physnet2:VSW2. A VSWITCH that is there is used as "
        "it is and never changed.",
    ),
    cfg.DictOpt(
        "vswitch_devices",
        default={},
        help="Real OSA devices of VSWITCHes that the agent makes when they are missing, the active one first and up to "
        "two for fail-over behind it: VSW1:1000+1F00,VSW2:2000. A VSWITCH that is not here is an administrator's: "
        "while it is missing its physical network is not served.",
    ),
    cfg.ListOpt(
        "vlan_unaware",
        default=[],
        help="Those of vswitch_devices that are made without VLANs, for flat networks only; the others know VLANs.",
    ),
    cfg.FloatOpt("polling_interval", default=2, min=0.1, help="Seconds between two looks at the adapters."),
    cfg.FloatOpt(
        "repair_interval",
        default=30,
        min=1,
        help="Seconds between two looks at VSWITCHes, rights and couplings in z/VM itself.",
    ),
]

_NAME = re.compile(r"[A-Z0-9@#$_]{1,8}")
_DEVICE = re.compile(r"[0-9A-F]{1,4}")


def register(conf: cfg.ConfigOpts) -> None:
    """Make all options of the agent known; doing it twice is fine."""
    connection.register(conf)
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator: ``namespace = zvmcloud.neutron``."""
    return [(GROUP, [*connection.OPTIONS, *OPTIONS])]


def wanted(conf: cfg.ConfigOpts) -> dict[str, Wanted]:
    """The VSWITCH of each physical network. Raises ConfigurationError."""
    devices = {name.upper(): _devices(name, text) for name, text in conf[GROUP].vswitch_devices.items()}
    unaware = {name.upper() for name in conf[GROUP].vlan_unaware}
    found: dict[str, Wanted] = {}
    for physnet, given in conf[GROUP].physical_networks.items():
        name = given.upper()
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"[{GROUP}] physical_networks: {given!r} of {physnet} is no name of a VSWITCH; "
                "write 1 to 8 letters, digits or @ # $ _"
            )
        found[physnet] = Wanted(name, devices.get(name, ()), vlan_aware=name not in unaware)
    for name in {*devices, *unaware} - {item.name for item in found.values()}:
        raise ConfigurationError(f"[{GROUP}] {name} is the VSWITCH of no physical network; add it to physical_networks")
    return found


def _devices(name: str, text: str) -> tuple[str, ...]:
    found = tuple(part.strip().upper() for part in text.split("+"))
    if not 1 <= len(found) <= 3 or not all(_DEVICE.fullmatch(part) for part in found):
        raise ConfigurationError(
            f"[{GROUP}] vswitch_devices: {text!r} of {name}; write 1 to 3 device numbers with +: 1000+1F00"
        )
    return tuple(part.zfill(4) for part in found)
