"""The kernel's command line of a guest: what it says of its name, its addresses, its root and how it is installed.

    ip=192.0.2.5::192.0.2.1:255.255.255.0:web01:enc1000:none:9.9.9.9   dracut, Debian, CoreOS
    nameserver=9.9.9.9  hostname=web01                                 dracut, cloud images
    HostIP=192.0.2.5/24 Gateway=192.0.2.1 Hostname=web01 Nameserver=.. SLES (linuxrc)
    vlan=enc1000.10:enc1000                                            dracut
    rd.znet=qeth,0.0.1000,0.0.1001,0.0.1002,layer2=0  Layer2=0         dracut, SLES
    root=/dev/dasda1  root=/dev/nfs nfsroot=server:/dir  root=nfs:..   the root file system
    ignition.config.url= coreos.inst.ignition_url=  inst.ks= ks=  autoyast=  autoinstall ds=nocloud;s=   configuration

Sources: man pages dracut.cmdline(7) and Linux' nfsroot.rst; SLES' linuxrc reference.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from zvmcloud.images.netfiles import Network, layer_of

#: Parameters that name a configuration for an installer, by its kind.
_CONFIGURATIONS = {
    "ignition": ("ignition.config.url", "coreos.inst.ignition_url", "ignition.url"),
    "kickstart": ("inst.ks", "ks"),
    "autoyast": ("autoyast", "autoyast2", "agama.auto", "inst.auto"),
    "preseed": ("url", "preseed/url", "preseed/file", "file"),
}
_BY_PATH = re.compile(r"ccw-0\.0\.([0-9a-f]{4})", re.IGNORECASE)
_DASD = re.compile(r"/dev/dasd([a-z])\d*")


@dataclass(frozen=True, slots=True)
class Parms:
    """What a command line says. `configurations` are pairs of kind and where the configuration is."""

    hostname: str = ""
    networks: tuple[Network, ...] = ()
    root: str = ""
    nfs: str = ""
    configurations: tuple[tuple[str, str], ...] = ()
    source: str = ""
    """Where an installer takes its packages or images from."""


def words(line: str) -> dict[str, list[str]]:
    """The parameters by name; those without a value have an empty one. Later ones come later."""
    try:
        items = shlex.split(line)
    except ValueError:
        items = line.split()
    found: dict[str, list[str]] = {}
    for item in items:
        key, _, value = item.partition("=")
        found.setdefault(key, []).append(value)
    return found


def read(line: str) -> Parms:
    """Everything that is understood of a command line; what is not is no error, as for a kernel."""
    given = words(line)
    lower = {key.lower(): values[-1] for key, values in given.items()}
    dns = tuple(
        server for text in given.get("nameserver", []) + given.get("Nameserver", []) for server in text.split(",")
    )
    hostname = lower.get("hostname", "")
    networks: list[Network] = []
    for text in given.get("ip", []):
        name, network = _ip(text, dns)
        hostname = hostname or name
        networks += [network] if network is not None else []
    if lower.get("hostip"):
        ip, _, mask = lower["hostip"].partition("/")
        full = address(ip, mask or lower.get("netmask", ""))
        networks += [Network(full, lower.get("gateway", ""), "", _channel(lower), dns=dns)] if full else []
    vlans = {parts[1]: parts[0] for text in given.get("vlan", []) if len(parts := text.split(":")) == 2}
    layer = layer_of(" ".join([*given.get("rd.znet", []), f"layer2={lower.get('layer2', '')}"]))
    networks = [
        Network(item.address, item.gateway, item.mac, *_on_vlan(item.name, vlans), dns=item.dns, layer=layer)
        for item in networks
    ]
    root = lower.get("root", "")
    nfs = lower.get("nfsroot", "") or (root.partition(":")[2] if root.startswith(("nfs:", "nfs4:")) else "")
    configurations = tuple(
        (kind, lower[name]) for kind, names in _CONFIGURATIONS.items() for name in names if lower.get(name)
    )
    if lower.get("ds", "").startswith("nocloud") and "s=" in lower["ds"]:
        configurations = (*configurations, ("autoinstall", lower["ds"].partition("s=")[2]))
    source = next((lower[name] for name in ("inst.repo", "install", "coreos.live.rootfs_url") if lower.get(name)), "")
    return Parms(hostname, tuple(networks), root, nfs, configurations, source)


def _on_vlan(name: str, vlans: dict[str, str]) -> tuple[str, int, int]:
    """Interface, MTU (not given here) and VLAN of an interface that may be one of a VLAN: enc1000.10."""
    parent, dot, tag = name.rpartition(".")
    if dot and tag.isdecimal() and (parent in vlans or int(tag) <= 4094):
        return parent, 0, int(tag)
    return name, 0, 0


def _channel(lower: dict[str, str]) -> str:
    """The interface of linuxrc's ReadChannel=0.0.1000, or of ifcfg-like names."""
    return "enc" + lower.get("readchannel", "").rpartition(".")[2] if lower.get("readchannel") else ""


def address(ip: str, mask: str) -> str:
    """ "192.0.2.5/24" of an address and a mask or prefix length; empty when they are none."""
    if not ip:
        return ""
    try:
        return str(ipaddress.ip_interface(f"{ip}/{mask}" if mask else ip))
    except ValueError:
        return ""


def _ip(text: str, dns: tuple[str, ...]) -> tuple[str, Network | None]:
    """Host name and network of an ip= parameter: dhcp, interface:dhcp, or
    client:server:gateway:mask:host:interface:method:dns1:dns2."""
    # The colons of an IPv6 address are inside brackets.
    parts = [part.strip("[]") for part in re.split(r":(?![^\[]*\])", text)]
    if len(parts) <= 2:
        method = parts[-1] if parts else ""
        dynamic = method in ("dhcp", "on", "any", "dhcp6", "auto6")
        return "", Network("", "", "", parts[0] if len(parts) == 2 else "", dns=dns) if dynamic else None
    parts += [""] * (9 - len(parts))
    client, _, gateway, mask, host, interface, method, *servers = parts
    full = address(client, mask)
    own = tuple(server for server in servers if re.fullmatch(r"[0-9a-fA-F.:]+", server) and not server.isdecimal())
    if not full and method not in ("dhcp", "on", "any"):
        return host, None
    return host, Network(full, gateway, "", interface, dns=own or dns)


def disk_of(root: str, disks: Sequence[str]) -> str:
    """The address of the DASD that a root= names, by path or by Linux' name; empty when it names none."""
    by_path = _BY_PATH.search(root)
    if by_path:
        return by_path[1].upper()
    by_name = _DASD.fullmatch(root)
    number = ord(by_name[1]) - ord("a") if by_name else len(disks)
    return disks[number] if number < len(disks) else ""
