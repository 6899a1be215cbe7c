"""What CP makes of SYSTEM CONFIG at an IPL: virtual switches and guest LANs are those of the file.

A DEFINE statement has the operands of the command (source: CP Planning and Administration, DEFINE VSWITCH statement), a
MODIFY statement those of SET; so the commands' own code reads them. What commands and SMAPI changed in the running
system and nobody wrote into the file is lost. A statement that CP cannot use is passed over, and logged
here (judgement).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from zvmcloud.directory import Entry
from zvmcloud.simulator import guest_lans, network, system_config
from zvmcloud.simulator.cp import lans, networks
from zvmcloud.simulator.cp.language import Issuer
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.system import System

log = logging.getLogger(__name__)
_CP = Entry.parse(["USER SYSTEM NOLOG 1M 1M G"])
"""Whoever issues what the file says; LANs of nobody else are SYSTEM's."""
_STATEMENTS: dict[tuple[str, str], Callable[[Issuer, Sequence[str]], list[str]]] = {
    ("DEFINE", "VSWITCH"): lambda issuer, words: networks.define_vswitch(issuer, words, ""),
    ("MODIFY", "VSWITCH"): networks.set_vswitch,
    ("DEFINE", "LAN"): lambda issuer, words: lans.define_lan(issuer, words, ""),
    ("MODIFY", "LAN"): lans.set_lan,
}


def define_networks(system: System) -> None:
    """Virtual switches and guest LANs as SYSTEM CONFIG has them and not otherwise, while nobody is coupled to any.

    A switch that was there keeps its MAC address (judgement). Without the file everything stays as it is.
    """
    file = system_config.default(system)
    if file is None:
        return
    addresses = {switch.name: switch.mac for switch in system.vswitches.values()}
    for switch in list(system.vswitches.values()):
        network.delete(system, switch)
    for lan in list(system.guest_lans.values()):
        guest_lans.delete(system, lan)
    issuer = Issuer(system, "SYSTEM", _CP, privileged=True)
    for record in system_config.logical_records(file.lines):
        words = record.upper().split()
        if words[0] == f"{system.name}:":
            del words[0]
        run = _STATEMENTS.get((words[0], words[1])) if len(words) > 1 else None
        if run is None:
            continue
        try:
            with system.store.savepoint():
                run(issuer, words[2:])
        except CpRefused as refused:
            log.warning("%s: SYSTEM CONFIG: %s (%s)", system.name, refused, record)
    for switch in list(system.vswitches.values()):
        mac = addresses.get(switch.name, switch.mac)
        system.vswitches.put(switch.name, replace(switch, mac=mac, persistent=True))
