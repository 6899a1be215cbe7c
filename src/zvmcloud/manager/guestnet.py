"""The network configuration that a guest reads at its first boot, or while it runs: which files, for which
distribution, and the commands behind them (:mod:`zvmcloud.manager.distributions`).

The archive (a "doscript", :mod:`zvmcloud.images.doscript`) goes into the guest's reader as class X. File names per
distribution are from reference/connector/formats.md section 2; where that lists ifcfg files for RHEL 10, which
reads them no more, a NetworkManager keyfile is written instead, and Ubuntu gets a file for each NIC.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass

from zvmcloud.images import doscript
from zvmcloud.manager.distributions import Distribution, name_rule_file, netplan_file, subchannels
from zvmcloud.manager.errors import BadInput

_PRIVATE = ("/etc/NetworkManager/", "/etc/netplan/")
"""Where files that others can read are not taken, or warned of."""


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
    """The doscript for these NICs, or None when there is nothing to configure. Raises BadInput (cidr, gateway)."""
    useful = [address for address in addresses if address.ip or address.method == "dhcp"]
    if not useful:
        return None
    for address in useful:
        if address.ip and address.gateway and (":" in address.gateway) != address.is_ipv6:
            raise BadInput("gateway", address.gateway, f"an address of the same kind as {address.ip}")
    distribution = Distribution.of(os_version)
    if distribution.is_coreos:
        return None
    files: dict[str, bytes] = {}
    for address in useful:
        files |= _files(distribution, address)
    private = tuple(f"chmod 600 {name}" for name in files if name.startswith(_PRIVATE))
    names = next((address.hostname for address in useful if address.hostname), "")
    if names:
        files["/etc/hostname"] = f"{names}\n".encode()
    vdevs = tuple(address.vdev for address in useful)
    return doscript.write(files, (*private, *distribution.bring_up(vdevs)))


def _files(distribution: Distribution, address: Address) -> dict[str, bytes]:
    """The files of one adapter, by their names in the guest."""
    device, vdev = distribution.interface(address.vdev), address.vdev
    if distribution.has_netplan:
        return {netplan_file(vdev): _netplan(address, device)}
    if distribution.family == "ubuntu":
        return {f"/etc/network/interfaces.d/{device}": _interfaces(address, device)}
    if distribution.has_keyfiles:
        return {f"/etc/NetworkManager/system-connections/{device}.nmconnection": _keyfile(address, device)}
    if distribution.family == "rhel":
        return {f"/etc/sysconfig/network-scripts/ifcfg-{device}": _ifcfg(address, device, suse=False)}
    files = {
        f"/etc/sysconfig/network/ifcfg-{device}": _ifcfg(address, device, suse=True),
        f"/etc/udev/rules.d/51-qeth-0.0.{vdev.lower()}.rules": _udev(vdev),
        name_rule_file(vdev): _name_rule(vdev, device),
    }
    if address.gateway:
        files[f"/etc/sysconfig/network/ifroute-{device}"] = f"default {address.gateway} - {device}\n".encode()
    return files


def _ifcfg(address: Address, device: str, *, suse: bool) -> bytes:
    lines = [f'DEVICE="{device}"', f'BOOTPROTO="{"static" if address.ip else "dhcp"}"']
    lines.append('STARTMODE="auto"' if suse else 'ONBOOT="yes"')
    if not suse:
        lines += [
            'NETTYPE="qeth"',
            f'SUBCHANNELS="{",".join(subchannels(address.vdev))}"',
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
    first = subchannels(vdev)[0]
    return (
        f'ACTION=="add", SUBSYSTEM=="ccwgroup", KERNEL=="{first}", ATTR{{layer2}}="1"\n'
        f'ACTION=="add", SUBSYSTEM=="ccwgroup", KERNEL=="{first}", ATTR{{online}}="1"\n'
    ).encode()


def _name_rule(vdev: str, device: str) -> bytes:
    first = subchannels(vdev)[0]
    return (
        f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="qeth", KERNELS=="{first}", ATTR{{type}}=="1", NAME="{device}"\n'
    ).encode()


def _keyfile(address: Address, device: str) -> bytes:
    lines = ["[connection]", f"id={device}", "type=ethernet", f"interface-name={device}", "", "[ethernet]"]
    lines += [f"mac-address={address.mac}"] if address.mac else []
    lines += [f"mtu={address.mtu}"] if address.mtu else []
    lines += ["s390-nettype=qeth", "s390-subchannels=" + ";".join(subchannels(address.vdev))]
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
