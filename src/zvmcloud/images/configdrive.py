"""The config drive: what a new guest learns about itself, as an iso9660 file system or a tar archive.

    openstack/latest/meta_data.json     hostname, uuid, keys, files
    openstack/latest/network_data.json  links (MAC addresses), networks (addresses), services (name servers)
    openstack/latest/user_data          text for cloud-init
    openstack/content/0000 ...          files that meta_data.json names
    network-config                      in any folder: cloud-init's own form, used when there is no network_data.json
    meta-data, user-data                at the top, in place of openstack/: the NoCloud form of cloud-init (YAML)

The iso9660 volume is labelled config-2 (NoCloud: cidata). Names come from Rock Ridge, Joliet or the plain directory,
whichever is there. A tar archive (plain or gzip) of the same tree is read as well. Limits: 64 MiB for the whole, 8 MiB
for one file and 2000 files: it crosses a virtual card reader. Source: reference/connector/formats.md 2.
"""

from __future__ import annotations

import io
import ipaddress
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException

from zvmcloud.images import netfiles
from zvmcloud.images.netfiles import Network as Network  # noqa: PLC0414 (part of this module's interface)

MAX_BYTES = 64 * 1024 * 1024
MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_FILES = 2000
LABEL = "config-2"
_META = "openstack/latest/meta_data.json"
_NETWORK = "openstack/latest/network_data.json"
_USER_DATA = "openstack/latest/user_data"


class ConfigDriveError(ValueError):
    """Not a config drive, or damaged. `member` is the file inside it, or empty."""

    def __init__(self, message: str, member: str = "") -> None:
        self.member = member
        super().__init__(f"config drive, {member}: {message}" if member else f"config drive: {message}")


@dataclass(frozen=True, slots=True)
class ConfigDrive:
    """What is on the drive. `files` has every file by its path inside the drive."""

    hostname: str = ""
    uuid: str = ""
    networks: tuple[Network, ...] = ()
    user_data: bytes = b""
    public_keys: dict[str, str] = field(default_factory=dict)
    injected: dict[str, bytes] = field(default_factory=dict)
    """Files to place in the guest, by absolute path (`files` of meta_data.json)."""
    label: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


def is_iso(data: bytes) -> bool:
    """Whether the bytes carry an iso9660 volume descriptor."""
    return data[32769:32774] == b"CD001"


def read(data: bytes) -> ConfigDrive:
    """Read a config drive of either form. ConfigDriveError when it is none."""
    if len(data) > MAX_BYTES:
        raise ConfigDriveError(f"{len(data)} bytes, limit {MAX_BYTES}")
    if is_iso(data):
        label, files = _read_iso(data)
    else:
        label, files = "", read_tar(data)
    return _assemble(label, files)


def _checked(files: dict[str, bytes], name: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise ConfigDriveError(f"{size} bytes, limit {MAX_FILE_BYTES}", name)
    if len(files) >= MAX_FILES:
        raise ConfigDriveError(f"more than {MAX_FILES} files")
    if sum(map(len, files.values())) + size > MAX_BYTES:
        raise ConfigDriveError(f"the files have more than {MAX_BYTES} bytes")


def read_tar(data: bytes) -> dict[str, bytes]:
    """Regular files of a tar archive, plain or gzip, by normalised name. ConfigDriveError on damage or size."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                name = _normal(member.name)
                _checked(files, name, member.size)
                content = archive.extractfile(member)
                files[name] = content.read() if content else b""
    except (tarfile.TarError, EOFError, OSError, ValueError) as problem:
        if isinstance(problem, ConfigDriveError):
            raise
        raise ConfigDriveError(f"neither an iso9660 volume nor a tar archive ({problem})") from problem
    return files


def _normal(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _read_iso(data: bytes) -> tuple[str, dict[str, bytes]]:
    iso = pycdlib.PyCdlib()
    files: dict[str, bytes] = {}
    try:
        iso.open_fp(io.BytesIO(data))
    except Exception as problem:  # a damaged volume makes pycdlib fail in any of its parsers' ways
        raise ConfigDriveError(f"damaged iso9660 volume ({problem})") from problem
    try:
        kind = "rr_path" if iso.has_rock_ridge() else "joliet_path" if iso.has_joliet() else "iso_path"
        label = iso.pvd.volume_identifier.decode("ascii", "replace").strip()
        for folder, _, names in iso.walk(**{kind: "/"}):
            for found in names:
                path = f"{folder.rstrip('/')}/{found}"
                name = _normal(path)
                if kind == "iso_path":
                    name = name.split(";")[0].rstrip(".").lower()
                record = iso.get_record(**{kind: path})
                if not record.is_file():
                    continue
                _checked(files, name, record.get_data_length())
                out = io.BytesIO()
                iso.get_file_from_iso_fp(out, **{kind: path})
                files[name] = out.getvalue()
    except ConfigDriveError:
        raise
    except Exception as problem:  # as above: directory records are read only now
        raise ConfigDriveError(f"damaged iso9660 volume ({problem})") from problem
    finally:
        iso.close()
    return label, files


def _json(files: Mapping[str, bytes], name: str) -> dict[str, object]:
    if name not in files:
        return {}
    try:
        value = json.loads(files[name])
    except (ValueError, RecursionError) as problem:
        raise ConfigDriveError(f"not JSON ({problem})", name) from problem
    if not isinstance(value, dict):
        raise ConfigDriveError("not a JSON object", name)
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _dicts(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _assemble(label: str, files: dict[str, bytes]) -> ConfigDrive:
    # mkisofs without extensions shortens names; terraform users keep meta_data.json at the top.
    root = ""
    if _META not in files:
        if "meta-data" in files:
            return _assemble_no_cloud(label, files)
        for candidate in files:
            if candidate.endswith("meta_data.json"):
                root = candidate
                break
        else:
            raise ConfigDriveError(f"no {_META}")
    folder = (root or _META).rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    meta = _json(files, f"{prefix}meta_data.json")
    top = folder.rpartition("/")[0]
    injected: dict[str, bytes] = {}
    for item in _dicts(meta.get("files")):
        content = _normal(f"{top}/{_text(item.get('content_path'))}")
        if _text(item.get("path")) and content in files:
            injected[_text(item.get("path"))] = files[content]
    keys = meta.get("public_keys")
    return ConfigDrive(
        hostname=_text(meta.get("hostname")) or _text(meta.get("local-hostname")) or _text(meta.get("name")),
        uuid=_text(meta.get("uuid")),
        networks=parse_network_data(_json(files, f"{prefix}network_data.json")) or _network_config(files),
        user_data=files.get(f"{prefix}user_data", b""),
        public_keys={str(k): v for k, v in keys.items() if isinstance(v, str)} if isinstance(keys, dict) else {},
        injected=injected,
        label=label,
        files=files,
    )


def _network_config(files: Mapping[str, bytes]) -> tuple[Network, ...]:
    return netfiles.networks(
        {name: data for name, data in files.items() if name.rpartition("/")[2] == "network-config"}
    )


def _assemble_no_cloud(label: str, files: dict[str, bytes]) -> ConfigDrive:
    meta = netfiles.load(files["meta-data"].decode("utf-8", "replace"))
    return ConfigDrive(
        hostname=_text(meta.get("local-hostname")) or _text(meta.get("hostname")),
        uuid=_text(meta.get("instance-id")),
        networks=_network_config(files),
        user_data=files.get("user-data", b""),
        label=label,
        files=files,
    )


def parse_network_data(data: Mapping[str, object]) -> tuple[Network, ...]:
    """Addresses of a network_data.json. ConfigDriveError when an address is none."""
    links = {_text(link.get("id")): link for link in _dicts(data.get("links"))}
    dns = tuple(_text(s.get("address")) for s in _dicts(data.get("services")) if s.get("type") == "dns")
    found: list[Network] = []
    for network in _dicts(data.get("networks")):
        link = links.get(_text(network.get("link")), {})
        address, mask = _text(network.get("ip_address")), _text(network.get("netmask"))
        routes = _dicts(network.get("routes"))
        default = [r for r in routes if r.get("network") in ("0.0.0.0", "::") and r.get("gateway")]  # noqa: S104
        own_dns = tuple(_text(s.get("address")) for s in _dicts(network.get("services")) if s.get("type") == "dns")
        mtu = link.get("mtu")
        vlan = link.get("vlan_id")
        found.append(
            Network(
                address=_with_prefix(address, mask),
                gateway=_text(network.get("gateway")) or (_text(default[0]["gateway"]) if default else ""),
                mac=_text(link.get("ethernet_mac_address")).lower(),
                name=_text(link.get("name")) or _text(link.get("id")),
                mtu=mtu if isinstance(mtu, int) else 0,
                vlan=vlan if isinstance(vlan, int) else 0,
                dns=own_dns or dns,
            )
        )
    return tuple(found)


def _with_prefix(address: str, mask: str) -> str:
    if not address:
        return ""
    text = address if "/" in address else f"{address}/{mask}" if mask else address
    try:
        if ":" in mask:  # ipaddress reads no IPv6 masks: count their bits
            bits = int(ipaddress.IPv6Address(mask))
            length = bits.bit_count()
            if bits != ((1 << length) - 1) << (128 - length):
                raise ValueError("the mask has gaps")
            text = f"{address}/{length}"
        return str(ipaddress.ip_interface(text))
    except ValueError as problem:
        raise ConfigDriveError(f"{text!r} is not an IP address with a mask", _NETWORK) from problem


def _network_data(networks: tuple[Network, ...]) -> dict[str, object]:
    links, entries = [], []
    for number, network in enumerate(networks):
        identifier = network.name or f"tap{number}"
        link = {"id": identifier, "type": "phy", "mtu": network.mtu or 1500}
        if network.mac:
            link["ethernet_mac_address"] = network.mac
        links.append(link)
        entry: dict[str, object] = {"id": f"network{number}", "link": identifier, "type": "ipv4_dhcp"}
        if network.address:
            interface = ipaddress.ip_interface(network.address)
            entry |= {"type": f"ipv{interface.version}", "ip_address": str(interface.ip)}
            entry["netmask"] = str(interface.netmask)
            anywhere = "0.0.0.0" if interface.version == 4 else "::"  # noqa: S104
            entry["routes"] = (
                [{"network": anywhere, "netmask": anywhere, "gateway": network.gateway}] if network.gateway else []
            )
        entries.append(entry)
    servers = dict.fromkeys(server for network in networks for server in network.dns)
    return {
        "links": links,
        "networks": entries,
        "services": [{"type": "dns", "address": server} for server in servers],
    }


def tree(
    hostname: str, networks: tuple[Network, ...] = (), *, user_data: bytes = b"", uuid: str = ""
) -> dict[str, bytes]:
    """The files of a config drive, by path."""
    meta = {"hostname": hostname, "name": hostname.split(".", maxsplit=1)[0], "uuid": uuid, "availability_zone": "zvm"}
    files = {
        _META: json.dumps(meta, indent=1).encode(),
        _NETWORK: json.dumps(_network_data(networks), indent=1).encode(),
    }
    if user_data:
        files[_USER_DATA] = user_data
    return files


def write_iso(files: Mapping[str, bytes], label: str = LABEL) -> bytes:
    """An iso9660 volume (Rock Ridge and Joliet) with these files."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=label, rock_ridge="1.09", joliet=3)
    folders: dict[str, str] = {"": ""}
    try:
        for number, (name, data) in enumerate(sorted(files.items())):
            parts = _normal(name).split("/")
            for depth in range(1, len(parts)):
                path, parent = "/".join(parts[:depth]), "/".join(parts[: depth - 1])
                if path not in folders:
                    folders[path] = f"{folders[parent]}/D{len(folders):04d}"
                    iso.add_directory(folders[path], rr_name=parts[depth - 1], joliet_path=f"/{path}")
            place = folders["/".join(parts[:-1])]
            iso.add_fp(
                io.BytesIO(data),
                len(data),
                f"{place}/F{number:04d}.;1",
                rr_name=parts[-1],
                joliet_path="/" + "/".join(parts),
            )
        out = io.BytesIO()
        iso.write_fp(out)
        return out.getvalue()
    except PyCdlibException as problem:
        raise ConfigDriveError(f"cannot be written ({problem})") from problem
    finally:
        iso.close()


def write_tar(files: Mapping[str, bytes], *, gzip: bool = False) -> bytes:
    """A tar archive (gzip on wish) with these files; the same files give the same bytes when not compressed."""
    out = io.BytesIO()
    archive = tarfile.open(fileobj=out, mode="w:gz") if gzip else tarfile.open(fileobj=out, mode="w")  # noqa: SIM115
    with archive:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(_normal(name))
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
