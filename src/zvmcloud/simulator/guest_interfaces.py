"""Programs inside a guest that bring network adapters online and interfaces up and down.

    znetconf -a | -r device, -A, -R, -c     adapters (s390-tools); chzdev: see guest_programs
    ifup, ifdown, wicked, nmcli, netplan    interfaces, with what is configured for them
    systemctl, service                      restarting a network service applies the whole configuration

An interface whose adapter is offline, or for which nothing is configured, cannot be brought up: status 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zvmcloud.simulator import guest_addresses
from zvmcloud.simulator.guest_filters import joined, options
from zvmcloud.simulator.guest_shell import Program, Result, Shell
from zvmcloud.simulator.model import Nic

_DEVICE = re.compile(r"(?:0\.0\.)?([0-9a-f]{1,4})", re.IGNORECASE)
#: Services that apply the network configuration when they start.
SERVICES = frozenset({"network", "networking", "NetworkManager", "wicked", "wickedd", "systemd-networkd"})


def device(text: str) -> str:
    """The first device number in "0.0.1000,0.0.1001,0.0.1002", "0.0.1000:0.0.1001:0.0.1002" or "1000", in upper case;
    empty when there is none."""
    found = _DEVICE.fullmatch(re.split("[,:]", text)[0])
    return found[1].upper().zfill(4) if found else ""


def restart(shell: Shell) -> None:
    """Apply the whole configuration to the adapters that are online."""
    guest_addresses.bring_up(shell.files.system, shell.files.userid)


def _znetconf(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    given, names = options(arguments[1:], "ardo")
    files = shell.files
    every = [nic.vdev for nic in files.machine.nics]
    if "c" in given:
        return Result(0, joined([f"0.0.{vdev.lower()} qeth online" for vdev in files.running.qeths]))
    online = bool({"a", "A"} & set(given))
    text = given.get("a") or given.get("r") or next(iter(names), "")
    wanted = every if {"A", "R"} & set(given) else [device(text)]
    for vdev in wanted:
        if not guest_addresses.set_online(files.system, files.userid, vdev, online=online):
            return Result(1, "", f"znetconf: Error: Failed to configure {text}\n")
    return Result(0, joined([f"Successfully configured device 0.0.{vdev.lower()}" for vdev in wanted]))


def _up(shell: Shell, name: str) -> Result:
    nic = _named(shell, name)
    if nic is None or nic.vdev not in shell.files.running.qeths:
        return Result(1, "", f"Device {name} does not seem to be present\n")
    if not guest_addresses.bring_up(shell.files.system, shell.files.userid, nic.vdev):
        return Result(1, "", f"no configuration found for {name}\n")
    return Result()


def _down(shell: Shell, name: str) -> Result:
    nic = _named(shell, name)
    if nic is None:
        return Result(1, "", f"interface {name} not found\n")
    guest_addresses.take_down(shell.files.system, shell.files.userid, nic.vdev)
    return Result()


def _named(shell: Shell, name: str) -> Nic | None:
    return guest_addresses.named(shell.files.machine, name.removeprefix("System "))


def _ifup(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """ifup | ifdown | wicked ifup | wicked ifdown, and the name of an interface"""
    words = [word for word in arguments if word != "wicked" and not word.startswith("-")]
    if len(words) < 2:
        return Result(1, "", "usage: ifup <configuration>\n")
    verb = words[0].rpartition("/")[2]
    return _up(shell, words[1]) if verb == "ifup" else _down(shell, words[1])


def _nmcli(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """nmcli connection reload | load FILE | up NAME | down NAME, nmcli device connect | disconnect NAME"""
    words = [word for word in arguments[1:] if not word.startswith("-") and word not in ("ifname", "id")]
    if len(words) < 3:
        return Result()
    verb, name = words[1], words[2].rpartition("/")[2].removeprefix("ifcfg-").removesuffix(".nmconnection")
    if verb in ("up", "connect", "reapply"):
        return _up(shell, name)
    return _down(shell, name) if verb in ("down", "disconnect") else Result()


def _netplan(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    if arguments[1:2] == ["apply"]:
        restart(shell)
    return Result()


def _service(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """service NAME start | restart | reload"""
    if arguments[1:2] and arguments[1] in SERVICES and arguments[2:3] != ["status"]:
        restart(shell)
    return Result()


PROGRAMS: dict[str, Program] = {
    "znetconf": _znetconf, "ifup": _ifup, "ifdown": _ifup, "wicked": _ifup, "nmcli": _nmcli, "netplan": _netplan,
    "service": _service,
}  # fmt: skip
