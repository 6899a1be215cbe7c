"""The network configuration a new guest reads at its first boot: which files, for which distribution.

The archive (a "doscript", :mod:`zvmcloud.images.doscript`) goes into the guest's reader as class X. File names per
distribution are from reference/connector/formats.md section 2; where that lists ifcfg files for RHEL 10, which
reads them no more, a NetworkManager keyfile is written instead.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from zvmcloud.images import doscript
from zvmcloud.manager.errors import BadInput

_DISTRO = re.compile(r"(rhel|redhat|sles|suse|ubuntu|rhcos)(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """One NIC's configuration inside the guest. ``ip`` "" means: no static address (DHCP when ``method`` says so)."""

    vdev: str
    mac: str = ""
    method: str = ""
    ip: str = ""
    cidr: str = ""
    gateway: str = ""
    dns: tuple[str, ...] = ()
    mtu: int = 0
    hostname: str = ""

    @property
    def interface(self) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
        """Address and prefix length. Raises BadInput when the cidr does not fit the address."""
        try:
            prefix = ipaddress.ip_network(self.cidr, strict=False).prefixlen
            return ipaddress.ip_interface(f"{self.ip}/{prefix}")
        except ValueError as error:
            raise BadInput("cidr", self.cidr, f"a network like 192.168.0.0/24 ({error})") from error


def archive(os_version: str, addresses: Sequence[Address]) -> bytes | None:
    """The doscript for these NICs, or None when there is nothing to configure."""
    useful = [address for address in addresses if address.ip or address.method == "dhcp"]
    if not useful:
        return None
    found = _DISTRO.match(os_version)
    family, release = (found[1].lower(), int(found[2])) if found else ("rhel", 8)
    files: dict[str, bytes] = {}
    if family == "ubuntu":
        files["/etc/netplan/00-zvmguestconfigure-config.yaml"] = _netplan(useful)
    for address in useful:
        device = _device(family, release, address.vdev)
        if family in {"sles", "suse"}:
            files[f"/etc/sysconfig/network/ifcfg-{device}"] = _ifcfg(address, device, suse=True)
            files[f"/etc/udev/rules.d/51-qeth-0.0.{address.vdev.lower()}.rules"] = _udev(address.vdev)
            if address.gateway:
                files[f"/etc/sysconfig/network/ifroute-{device}"] = f"default {address.gateway} - {device}\n".encode()
        elif family in {"rhel", "redhat"} and release >= 10:
            files[f"/etc/NetworkManager/system-connections/{device}.nmconnection"] = _keyfile(address, device)
        elif family in {"rhel", "redhat"}:
            files[f"/etc/sysconfig/network-scripts/ifcfg-{device}"] = _ifcfg(address, device, suse=False)
    names = next((address.hostname for address in useful if address.hostname), "")
    if names:
        files["/etc/hostname"] = f"{names}\n".encode()
    return doscript.write(files) if files else None


def _device(family: str, release: int, vdev: str) -> str:
    number = vdev.lower()
    if family in {"sles", "suse"} or (family in {"rhel", "redhat"} and release <= 6):
        return f"eth{number}"
    if family in {"rhel", "redhat"} and release == 7:
        return f"enccw0.0.{number}"
    return f"enc{number.lstrip('0') or '0'}"


def _subchannels(vdev: str) -> str:
    base = int(vdev, 16)
    return ",".join(f"0.0.{base + offset:04x}" for offset in range(3))


def _ifcfg(address: Address, device: str, *, suse: bool) -> bytes:
    lines = [f'DEVICE="{device}"', f'BOOTPROTO="{"static" if address.ip else "dhcp"}"']
    lines.append('STARTMODE="auto"' if suse else 'ONBOOT="yes"')
    if not suse:
        lines += [
            'NETTYPE="qeth"',
            f'SUBCHANNELS="{_subchannels(address.vdev)}"',
            'OPTIONS="layer2=1"',
            'TYPE="Ethernet"',
        ]
    if address.ip:
        interface = address.interface
        lines += [f'IPADDR="{interface.ip}"', f'NETMASK="{interface.netmask}"']
        if address.gateway:
            lines.append(f'GATEWAY="{address.gateway}"')
    if address.mac:
        lines.append(f'{"LLADDR" if suse else "MACADDR"}="{address.mac}"')
    lines += [f'DNS{number}="{server}"' for number, server in enumerate(address.dns, 1)]
    if address.mtu:
        lines.append(f'MTU="{address.mtu}"')
    return ("\n".join(lines) + "\n").encode()


def _udev(vdev: str) -> bytes:
    first = _subchannels(vdev).split(",", maxsplit=1)[0]
    return (
        f'ACTION=="add", SUBSYSTEM=="ccwgroup", KERNEL=="{first}", ATTR{{layer2}}="1"\n'
        f'ACTION=="add", SUBSYSTEM=="ccwgroup", KERNEL=="{first}", ATTR{{online}}="1"\n'
    ).encode()


def _keyfile(address: Address, device: str) -> bytes:
    lines = ["[connection]", f"id={device}", "type=ethernet", f"interface-name={device}", "", "[ethernet]"]
    lines += [f"mac-address={address.mac}"] if address.mac else []
    lines += [f"mtu={address.mtu}"] if address.mtu else []
    lines += ["s390-nettype=qeth", "s390-subchannels=" + _subchannels(address.vdev).replace(",", ";"), "", "[ipv4]"]
    if address.ip:
        lines += ["method=manual", f"address1={address.interface}{',' + address.gateway if address.gateway else ''}"]
    else:
        lines.append("method=auto")
    lines += ["dns=" + ";".join(address.dns) + ";"] if address.dns else []
    return ("\n".join(lines) + "\n").encode()


def _netplan(addresses: Sequence[Address]) -> bytes:
    """JSON is YAML, so no YAML writer is needed."""
    ethernets: dict[str, dict[str, object]] = {}
    for address in addresses:
        entry: dict[str, object] = {"dhcp4": not address.ip}
        if address.ip:
            entry["addresses"] = [str(address.interface)]
            if address.gateway:
                entry["routes"] = [{"to": "default", "via": address.gateway}]
        if address.dns:
            entry["nameservers"] = {"addresses": list(address.dns)}
        if address.mtu:
            entry["mtu"] = address.mtu
        ethernets[_device("ubuntu", 20, address.vdev)] = entry
    return (json.dumps({"network": {"version": 2, "ethernets": ethernets}}, indent=2) + "\n").encode()
