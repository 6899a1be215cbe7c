"""The Linux distributions of guests: how each names a network interface, and what brings one up and down.

    RHEL 6, 7, SLES 11, 12    znetconf groups the three devices of an adapter
    later ones, Ubuntu        chzdev does, and keeps it for the next boot
    then                      ifup (RHEL to 7, SLES), NetworkManager (RHEL from 8 on), netplan (Ubuntu from 18 on)

The connector's original tears down and makes anew all adapters with ``znetconf -R`` and ``-A``; here only the adapter
concerned is touched, so that a second interface does not interrupt the first. While a guest boots, its network service
has not started yet and reads the files by itself; so interfaces are brought up only where that service runs.
File and interface names: reference/connector/formats.md section 2; the commands are those of s390-tools and of each
distribution's network service (their manual pages).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"(rhel|redhat|sles|suse|ubuntu|rhcos)(\d+)", re.IGNORECASE)
_VERSIONS = re.compile(r"((\.|sp)\d+)*", re.IGNORECASE)
_FAMILIES = {"redhat": "rhel", "suse": "sles"}


@dataclass(frozen=True, slots=True)
class Distribution:
    """``family`` is rhel, sles, ubuntu or rhcos."""

    family: str
    release: int

    @staticmethod
    def is_named(os_version: str) -> bool:
        """Whether the text is a distribution that is known here, and its release: rhel8.6, sles15sp5."""
        found = _NAME.match(os_version)
        return found is not None and _VERSIONS.fullmatch(os_version, found.end()) is not None

    @property
    def is_coreos(self) -> bool:
        """Whether it is configured by Ignition alone: nothing in it reads the files of its reader."""
        return self.family == "rhcos"

    @classmethod
    def of(cls, os_version: str) -> Distribution:
        """The distribution of "rhel8.6"; what is not known counts as RHEL 8."""
        found = _NAME.match(os_version)
        if found is None:
            return cls("rhel", 8)
        family = found[1].lower()
        return cls(_FAMILIES.get(family, family), int(found[2]))

    def interface(self, vdev: str) -> str:
        """The name of the interface of an adapter with this virtual device number."""
        number = vdev.lower()
        if self.family == "sles" or (self.family == "rhel" and self.release <= 6):
            return f"eth{number}"
        if self.family == "rhel" and self.release == 7:
            return f"enccw0.0.{number}"
        return f"enc{number.lstrip('0') or '0'}"

    @property
    def has_netplan(self) -> bool:
        return self.family == "ubuntu" and self.release >= 18

    @property
    def has_keyfiles(self) -> bool:
        """Whether it reads keyfiles of NetworkManager and no ifcfg files any more."""
        return self.family == "rhel" and self.release >= 10

    @property
    def _has_chzdev(self) -> bool:
        return {"rhel": self.release >= 8, "sles": self.release >= 15}.get(self.family, True)

    def bring_up(self, vdevs: tuple[str, ...]) -> tuple[str, ...]:
        """Shell commands that bring adapters online and, where the network service runs, their interfaces up."""
        commands = ["udevadm control --reload-rules"] if self.family == "sles" else []
        for vdev in vdevs:
            device = f"0.0.{vdev.lower()}"
            if self._has_chzdev:
                commands.append(f"chzdev -e qeth {device} --yes --no-root-update")
            else:
                commands.append(f"cio_ignore -r {','.join(subchannels(vdev))}")
                commands.append(f"[ -e /sys/bus/ccwgroup/devices/{device} ] || znetconf -a {device} -d qeth")
        commands += ["udevadm settle"]
        service, before, each = self._network()
        names = [self.interface(vdev) for vdev in vdevs]
        start = [*before, *([f"{each} {name}" for name in names] if each else [])]
        if not service:
            return (*commands, *start)
        return (*commands, f"if systemctl is-active --quiet {service}; then", *(f"  {line}" for line in start), "fi")

    def _network(self) -> tuple[str, tuple[str, ...], str]:
        """The network service ("" where systemd is not there yet), what it is told first, and the command for each
        interface."""
        if self.has_netplan:
            return "systemd-networkd", ("netplan apply",), ""
        if self.family == "ubuntu":
            return "networking", (), "ifup"
        if self.family == "sles":
            return ("wicked" if self.release >= 12 else ""), (), "ifup"
        if self.release >= 8:
            return "NetworkManager", ("nmcli connection reload",), "nmcli connection up ifname"
        return ("network" if self.release == 7 else ""), (), "ifup"


def subchannels(vdev: str) -> tuple[str, ...]:
    """The bus ids of the three devices of an adapter: 0.0.1000, 0.0.1001, 0.0.1002."""
    base = int(vdev, 16)
    return tuple(f"0.0.{base + offset:04x}" for offset in range(3))


def netplan_file(vdev: str) -> str:
    """A file for each NIC, so that a second one, or one that goes, leaves the others alone."""
    return f"/etc/netplan/00-zvmguestconfigure-{vdev.lower()}.yaml"


def name_rule_file(vdev: str) -> str:
    """The udev rule that gives an interface of SLES its name: without one it would be eth0, eth1, ..."""
    return f"/etc/udev/rules.d/70-persistent-net-0.0.{vdev.lower()}.rules"


def forget_script(vdev: str) -> bytes:
    """A script that drops an adapter's configuration, whatever the distribution is, and takes the adapter offline."""
    low = vdev.lower()
    short = low.lstrip("0") or "0"
    return (
        "#!/bin/bash\n"
        f"rm -f /etc/sysconfig/network-scripts/ifcfg-{{eth{low},enccw0.0.{low},enc{short}}} "
        f"/etc/sysconfig/network/if{{cfg,route}}-eth{low} /etc/udev/rules.d/51-qeth-0.0.{low}.rules "
        f"{name_rule_file(vdev)} /etc/NetworkManager/system-connections/enc{short}.nmconnection "
        f"/etc/network/interfaces.d/enc{short} {netplan_file(vdev)}\n"
        f"chzdev -d qeth 0.0.{low} --yes --no-root-update 2>/dev/null || znetconf -r {low} -n 2>/dev/null\n"
        "nmcli connection reload 2>/dev/null\n"
        "exit 0\n"
    ).encode()
