"""Network configuration as Linux distributions keep it: read from the files, by their names.

    /etc/sysconfig/.../ifcfg-NAME             RHEL up to 9, SLES
    /etc/netplan/*.yaml                       Ubuntu (versions 2), also JSON
    /etc/NetworkManager/.../*.nmconnection    keyfiles of NetworkManager
    /etc/network/interfaces, interfaces.d/*   Debian, Ubuntu 16
    network-config                            cloud-init, versions 1 and 2 (the latter is netplan's form)

What cannot be understood is left out, as a network service skips a file with an error. Files are at most 256 KiB.
"""

from __future__ import annotations

import configparser
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

MAX_FILE_BYTES = 256 * 1024
_VLAN_NAME = re.compile(r"(?P<parent>enccw\w\.\w\.\w{4}|[^.]+)\.(?P<id>\d{1,4})")
"""The dots in RHEL 7's enccw0.0.1000 are none of a VLAN."""


@dataclass(frozen=True, slots=True)
class Network:
    """One address of the guest. `address` has the prefix length (192.0.2.10/24), or is empty for DHCP.

    `layer` is 2 or 3 when the file says how the qeth device is to work (layer2=1 or 0), and 0 when it finds out itself.
    """

    address: str = ""
    gateway: str = ""
    mac: str = ""
    name: str = ""
    mtu: int = 0
    vlan: int = 0
    dns: tuple[str, ...] = ()
    layer: int = 0


def layer_of(options: str) -> int:
    """2 or 3 of options of a qeth device ("layer2=1 portno=0", a udev rule's layer2}="1"); 0 when they say neither."""
    found = re.search(r"layer2\}?\s*=\s*['\"]?([01])", options, re.IGNORECASE)
    return 0 if found is None else 2 if found[1] == "1" else 3


def networks(files: Mapping[str, bytes]) -> tuple[Network, ...]:
    """The addresses that the network files among `files` (name to content) configure, in the order of the files."""
    found: list[Network] = []
    for target, content in files.items():
        if len(content) > MAX_FILE_BYTES:
            continue
        text = content.decode("utf-8", "replace")
        folder, _, name = target.rpartition("/")
        if name.startswith("ifcfg-"):
            found += _ifcfg(name.removeprefix("ifcfg-"), text)
        elif name.endswith(".nmconnection") or folder.endswith("system-connections"):
            found += _keyfile(text)
        elif (folder.endswith("/netplan") and name.endswith((".yaml", ".yml"))) or name == "network-config":
            found += cloud_config(text)
        elif target == "/etc/network/interfaces" or folder.endswith("/interfaces.d"):
            found += _interfaces(text)
    return tuple(found)


def _interface(address: str, mask: str = "") -> str:
    """ "192.0.2.1/24", or empty when the texts are no address with a mask; without a mask it is the whole address."""
    text = f"{address}/{mask}" if mask and "/" not in address else address
    try:
        return str(ipaddress.ip_interface(text)) if address else ""
    except ValueError:
        return ""


def _number(text: object) -> int:
    value = str(text)
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 6 else 0


def _mac(text: object) -> str:
    return str(text or "").lower().replace("-", ":")


def _ifcfg(name: str, text: str) -> Iterator[Network]:
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.strip().partition("=")
        if separator and not key.startswith("#"):
            values[key.upper()] = value.strip().strip("'\"")
    if values.get("ONBOOT", "yes").lower() == "no" or values.get("STARTMODE", "auto").lower() == "off":
        return
    dns = tuple(value for key, value in sorted(values.items()) if re.fullmatch(r"DNS\d*", key))
    as_vlan = _VLAN_NAME.fullmatch(name)
    vlan = _number(values.get("VLAN_ID") or (as_vlan["id"] if as_vlan else ""))
    device = values.get("PHYSDEV") or values.get("ETHERDEVICE") or (as_vlan["parent"] if as_vlan else name)
    mac = _mac(values.get("MACADDR") or values.get("LLADDR") or values.get("HWADDR"))
    mtu, gateway = _number(values.get("MTU")), values.get("GATEWAY", "")
    addresses = [
        full
        for key, value in sorted(values.items())
        if (suffix := key.removeprefix("IPADDR")) != key
        and (
            full := _interface(
                value,
                values.get(f"NETMASK{suffix}") or values.get(f"PREFIX{suffix}") or values.get(f"PREFIXLEN{suffix}", ""),
            )
        )
    ]
    ipv6 = values.get("IPV6ADDR", "")
    addresses += [full] if (full := _interface(ipv6)) else []
    if not addresses and values.get("BOOTPROTO", "").lower().startswith("dhcp"):
        addresses = [""]
    for address in addresses:
        own = gateway if ":" not in address else values.get("IPV6_DEFAULTGW", "")
        yield Network(address, own, mac, device, mtu, vlan, dns, layer_of(values.get("OPTIONS", "")))


def _keyfile(text: str) -> Iterator[Network]:
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    data = {section: dict(parser[section]) for section in parser.sections()}
    connection, ethernet, vlan = data.get("connection", {}), data.get("ethernet", {}), data.get("vlan", {})
    if connection.get("autoconnect", "true").lower() == "false":
        return
    name = vlan.get("parent") or connection.get("interface-name") or connection.get("id", "")
    mac = _mac(ethernet.get("mac-address") or ethernet.get("cloned-mac-address"))
    layer = layer_of(f"layer2={data.get('ethernet-s390-options', {}).get('layer2', '')}")
    mtu, tag = _number(ethernet.get("mtu")), _number(vlan.get("id"))
    for family in ("ipv4", "ipv6"):
        values = data.get(family, {})
        dns = tuple(server for server in re.split(r"[;,]", values.get("dns", "")) if server)
        method = values.get("method", "auto" if family == "ipv4" else "ignore")
        found = False
        for key in sorted(values):
            if not re.fullmatch(r"address\d*|addresses", key):
                continue
            for item in values[key].split(";") if key == "addresses" else [values[key]]:
                address, _, gateway = item.partition(",")
                if full := _interface(address.strip()):
                    found = True
                    gateway = gateway.strip() or values.get("gateway", "")
                    yield Network(full, gateway, mac, name, mtu, tag, dns, layer)
        if not found and method == "auto" and family == "ipv4":
            yield Network("", "", mac, name, mtu, tag, dns, layer)


def _interfaces(text: str) -> Iterator[Network]:
    name, method, values = "", "", dict[str, str]()

    def made() -> Iterator[Network]:
        address = _interface(values.get("address", ""), values.get("netmask", ""))
        if name and name != "lo" and (address or method == "dhcp"):
            as_vlan = _VLAN_NAME.fullmatch(name)
            dns = tuple(values.get("dns-nameservers", "").split())
            yield Network(
                address, values.get("gateway", ""), _mac(values.get("hwaddress", "").removeprefix("ether ")),
                as_vlan["parent"] if as_vlan else name, _number(values.get("mtu")),
                _number(as_vlan["id"]) if as_vlan else 0, dns,
            )  # fmt: skip

    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("iface", "auto", "allow-hotplug", "mapping", "source"):
            yield from made()
            name, method, values = "", "", {}
            if words[0] == "iface" and len(words) > 3:
                name, method = words[1], words[3]
        else:
            values[words[0]] = " ".join(words[1:])
    yield from made()


def load(text: str) -> Mapping[str, object]:
    """A YAML (or JSON) document that is a mapping; an empty one when it is not."""
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def cloud_config(text: str) -> tuple[Network, ...]:
    """The addresses of cloud-init's network-config or of a netplan file."""
    data = load(text)
    inner = _mapping(data.get("network")) or data
    if str(inner.get("version", "2")) == "1":
        return tuple(_version_1(inner))
    return tuple(_version_2(inner))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _version_2(data: Mapping[str, object]) -> Iterator[Network]:
    for kind in ("ethernets", "vlans", "bonds", "bridges"):
        for name, value in _mapping(data.get(kind)).items():
            item = _mapping(value)
            mac = _mac(_mapping(item.get("match")).get("macaddress") or item.get("macaddress"))
            dns = tuple(str(server) for server in _list(_mapping(item.get("nameservers")).get("addresses")))
            device = str(item.get("link") or item.get("set-name") or name)
            rest = (mac, device, _number(item.get("mtu")), _number(item.get("id")) if kind == "vlans" else 0, dns)
            gateways = {4: str(item.get("gateway4") or ""), 6: str(item.get("gateway6") or "")}
            for route in map(_mapping, _list(item.get("routes"))):
                via = str(route.get("via") or "")
                if str(route.get("to")) in ("default", "0.0.0.0/0", "::/0") and via:
                    gateways[6 if ":" in via else 4] = via
            found = False
            for entry in _list(item.get("addresses")):
                address = next(iter(entry)) if isinstance(entry, dict) and entry else entry
                if full := _interface(str(address)):
                    found = True
                    yield Network(full, gateways[6 if ":" in full else 4], *rest)
            if not found and item.get("dhcp4") in (True, "true", "yes"):
                yield Network("", "", *rest)


def _version_1(data: Mapping[str, object]) -> Iterator[Network]:
    items = [_mapping(item) for item in _list(data.get("config"))]
    servers = tuple(
        str(server) for item in items if item.get("type") == "nameserver" for server in _list(item.get("address"))
    )
    for item in items:
        if item.get("type") not in ("physical", "vlan"):
            continue
        name = str(item.get("vlan_link") or item.get("name") or "")
        rest = (_mac(item.get("mac_address")), name, _number(item.get("mtu")), _number(item.get("vlan_id")))
        for subnet in map(_mapping, _list(item.get("subnets"))):
            dns = tuple(str(server) for server in _list(subnet.get("dns_nameservers"))) or servers
            if str(subnet.get("type", "")).startswith("dhcp"):
                yield Network("", "", *rest, dns)
            elif full := _interface(str(subnet.get("address") or ""), str(subnet.get("netmask") or "")):
                yield Network(full, str(subnet.get("gateway") or ""), *rest, dns)
