"""The network configuration a new guest reads at its first boot: which files, for which distribution.

The archive (a "doscript", :mod:`zvmcloud.images.doscript`) goes into the guest's reader as class X. File names per
distribution are from reference/connector/formats.md section 2; where that lists ifcfg files for RHEL 10, which
reads them no more, a NetworkManager keyfile is written instead, and Ubuntu gets a file for each NIC.
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

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.ip


def archive(os_version: str, addresses: Sequence[Address]) -> bytes | None:
    """The doscript for these NICs, or None when there is nothing to configure. Raises BadInput (cidr, gateway_addr)."""
    useful = [address for address in addresses if address.ip or address.method == "dhcp"]
    if not useful:
        return None
    for address in useful:
        if address.ip and address.gateway and (":" in address.gateway) != address.is_ipv6:
            raise BadInput("gateway_addr", address.gateway, f"an address of the same kind as {address.ip}")
    found = _DISTRO.match(os_version)
    family, release = (found[1].lower(), int(found[2])) if found else ("rhel", 8)
    files: dict[str, bytes] = {}
    for address in useful:
        device = _device(family, release, address.vdev)
        if family == "ubuntu" and release < 18:
            files[f"/etc/network/interfaces.d/{device}"] = _interfaces(address, device)
        elif family == "ubuntu":
            files[netplan_file(address.vdev)] = _netplan(address, device)
        elif family in {"sles", "suse"}:
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
        lines += _static(address, suse=suse)
    if address.mac:
        lines.append(f'{"LLADDR" if suse else "MACADDR"}="{address.mac}"')
    lines += [f'DNS{number}="{server}"' for number, server in enumerate(address.dns, 1)]
    if address.mtu:
        lines.append(f'MTU="{address.mtu}"')
    return ("\n".join(lines) + "\n").encode()


def _static(address: Address, *, suse: bool) -> list[str]:
    """The address in an ifcfg file. SUSE has one name for both kinds, and the gateway in a file of its own."""
    interface, gateway = address.interface, address.gateway
    if not address.is_ipv6:
        lines = [f'IPADDR="{interface.ip}"', f'NETMASK="{interface.netmask}"']
        return [*lines, f'GATEWAY="{gateway}"'] if gateway else lines
    if suse:
        return [f'IPADDR="{interface}"']
    lines = ['IPV6INIT="yes"', 'IPV6_AUTOCONF="no"', f'IPV6ADDR="{interface}"']
    return [*lines, f'IPV6_DEFAULTGW="{gateway}"'] if gateway else lines


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
    lines += ["s390-nettype=qeth", "s390-subchannels=" + _subchannels(address.vdev).replace(",", ";")]
    for six in (False, True):
        servers = [server for server in address.dns if (":" in server) == six]
        here = bool(address.ip) and address.is_ipv6 == six
        if six and not here and not servers:
            continue
        lines += ["", "[ipv6]" if six else "[ipv4]"]
        if here:
            gateway = f",{address.gateway}" if address.gateway else ""
            lines += ["method=manual", f"address1={address.interface}{gateway}"]
        else:
            lines.append("method=disabled" if address.ip and not six else "method=auto")
        lines += ["dns=" + ";".join(servers) + ";"] if servers else []
    return ("\n".join(lines) + "\n").encode()


def _interfaces(address: Address, device: str) -> bytes:
    """Ubuntu 16, which reads no netplan."""
    kind = "inet6" if address.is_ipv6 else "inet"
    lines = [f"auto {device}", f"iface {device} {kind} {'static' if address.ip else 'dhcp'}"]
    if address.ip:
        lines.append(f"  address {address.interface}")
        lines += [f"  gateway {address.gateway}"] if address.gateway else []
    lines += [f"  hwaddress ether {address.mac}"] if address.mac else []
    lines += [f"  mtu {address.mtu}"] if address.mtu else []
    lines += [f"  dns-nameservers {' '.join(address.dns)}"] if address.dns else []
    return ("\n".join(lines) + "\n").encode()


def netplan_file(vdev: str) -> str:
    """A file for each NIC, so that a second one, or one that goes, leaves the others alone."""
    return f"/etc/netplan/00-zvmguestconfigure-{vdev.lower()}.yaml"


def _netplan(address: Address, device: str) -> bytes:
    """JSON is YAML, so no YAML writer is needed."""
    entry: dict[str, object] = {"dhcp4": not address.ip}
    if address.ip:
        entry["addresses"] = [str(address.interface)]
        if address.gateway:
            entry["routes"] = [{"to": "default", "via": address.gateway}]
    if address.dns:
        entry["nameservers"] = {"addresses": list(address.dns)}
    if address.mtu:
        entry["mtu"] = address.mtu
    return (json.dumps({"network": {"version": 2, "ethernets": {device: entry}}}, indent=2) + "\n").encode()
