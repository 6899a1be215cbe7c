"""Operations about the first boot of a guest: a config drive, and a network install from the reader."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.errors import HIDDEN, FieldError
from zvmcloud.zhcp.kinds import OfGuest, Operation, kind

_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_FILES = ("http", "https", "file")
_PLACES = ("http", "https", "ftp", "nfs")
PARM_BYTES = 896
"""The longest parameter line that every Linux kernel on IBM Z takes from a reader file (newer ones take 4096)."""
METHODS = ("", "autoyast", "kickstart", "nfsroot", "coreos")


@dataclass(frozen=True, slots=True)
class DriveNetwork:
    """An interface as the config drive describes it. Without an address it asks DHCP."""

    address: str = fields.limits(default="", pattern=r"[0-9A-Fa-f.:/]{0,49}", rule="such as 192.0.2.10/24")
    gateway: str = fields.limits(default="", pattern=r"[0-9A-Fa-f.:]{0,45}", rule="an IP address")
    mac: str = fields.limits(
        default="", pattern=r"(([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})?", rule="such as 02:00:00:12:34:56"
    )
    name: str = fields.limits(default="", pattern=r"[A-Za-z0-9._-]{0,15}", rule="at most 15 characters")
    mtu: int = fields.limits(default=0, low=0, high=65_535)
    dns: tuple[str, ...] = fields.limits(default=(), pattern=r"[0-9A-Fa-f.:]{1,45}", rule="IP addresses")

    def check(self, path: str) -> None:
        """Addresses are addresses. FieldError."""
        if self.address and "/" not in self.address:
            raise FieldError(f"{path}.address", self.address, "an IP address with its prefix length, such as /24")
        for member, value in (
            ("address", self.address),
            ("gateway", self.gateway),
            *(("dns", dns) for dns in self.dns),
        ):
            try:
                if value:
                    ipaddress.ip_interface(value)
            except ValueError as problem:
                raise FieldError(f"{path}.{member}", value, f"an IP address ({problem})") from problem


@kind("guest.config_drive")
@dataclass(frozen=True, slots=True)
class ConfigDrive(OfGuest):
    """Give a guest its config drive: on one of its disks (`vdev`), or as a class X file in its reader.

    The drive is made of `hostname`, `networks`, `user_data` (base64) and `uuid`; or it is `drive` (base64), an iso9660
    volume or (for the reader) a tar archive. The disk must be empty and its guest off; `overwrite` takes any disk.

    Undone: the disk is erased; a file that cannot be handed over is purged, one that the guest has stays.

    Errors: 404 `guest-unknown`, `disk-unknown`; 409 `guest-active`, `disk-not-empty`; 422 `disk-too-small`.
    """

    hostname: str = fields.limits(default="", pattern=f"({_HOST})?", rule="a host name")
    networks: tuple[DriveNetwork, ...] = fields.limits(default=(), high=16)
    user_data: str = fields.base64()
    uuid: str = fields.limits(default="", pattern=r"[0-9a-fA-F-]{0,36}", rule="a UUID")
    drive: str = fields.base64()
    vdev: str = fields.limits(
        default="", pattern=r"[0-9A-F]{0,4}", upper=True, pad=4, rule="1 to 4 hexadecimal digits, or nothing"
    )
    overwrite: bool = False

    def check(self) -> None:
        """Either a drive, or a host name of which one is made; addresses are addresses."""
        if bool(self.drive) == bool(self.hostname):
            given = "both" if self.drive else "neither"
            raise FieldError("parameters.hostname", given, "either hostname or drive is given")
        for index, network in enumerate(self.networks):
            network.check(f"parameters.networks[{index}]")


@dataclass(frozen=True, slots=True)
class BootFile:
    """A file to load: `url` (http, https, or file below a folder of the agent) with its SHA-256, or `data` (base64)."""

    url: str = fields.text(high=2000, secret=True)
    sha256: str = fields.limits(default="", pattern=r"([0-9a-fA-F]{64})?", rule="64 hexadecimal digits")
    data: str = fields.base64()
    headers: dict[str, str] = field(default_factory=dict, repr=False, metadata=fields.HEADERS)

    def check(self, path: str) -> None:
        """Either data, or a URL with a digest."""
        if bool(self.url) == bool(self.data):
            raise FieldError(f"{path}.url", HIDDEN if self.url else "", "either url or data is given")
        if self.url and not self.sha256:
            raise FieldError(f"{path}.sha256", self.sha256, "it is required with url")
        _check_url(f"{path}.url", self.url, _FILES)


def _check_url(path: str, url: str, schemes: tuple[str, ...]) -> None:
    """A URL, or none. FieldError, which does not show it: it may hold a password."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        fits = parts.scheme in schemes and " " not in url and parts.port != 0  # reading the port checks it
        fits = fits and bool(parts.path if parts.scheme == "file" else parts.hostname)
    except ValueError:
        fits = False
    if not fits:
        raise FieldError(path, HIDDEN, f"a URL of {', '.join(schemes)}, without spaces")


@kind("guest.netboot")
@dataclass(frozen=True, slots=True)
class NetBoot(Operation):
    """Start an installation from the reader: kernel, parameter line and initrd punched, put first, and loaded.

    `method` adds its own words to `parm`: autoyast (repository, profile), kickstart (repository, profile), nfsroot
    (repository as nfs://server/path), coreos (repository: the rootfs; profile: the ignition's URL, or `ignition`: its
    base64, appended to the initrd). `devices` are the three of the adapter, for `rd.znet`. `start` logs the guest on
    and loads from its reader; it must be off.

    Undone: the three files are purged, and the guest is logged off.

    Errors: 404 `guest-unknown`, `image-missing`; 409 `guest-active`; 422 `digest-mismatch`; 403 `send-not-authorized`;
    502 `source-lost`, `source-refused`.
    """

    kernel: BootFile
    initrd: BootFile
    userid: str = fields.userid()
    parm: str = fields.text(high=PARM_BYTES, secret=True)
    method: str = fields.limits(default="", choices=METHODS)
    repository: str = fields.text(high=1000, secret=True)
    profile: str = fields.text(high=1000, secret=True)
    ignition: str = fields.base64()
    install_device: str = fields.limits(default="", pattern=r"([a-z][a-z0-9/._-]{0,63})?", rule="such as dasda or sda")
    nic: str = fields.limits(
        default="", pattern=r"[0-9A-F]{0,4}", upper=True, pad=4, rule="1 to 4 hexadecimal digits, or nothing"
    )
    dasds: tuple[str, ...] = fields.limits(
        default=(), pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )
    start: bool = True

    def check(self) -> None:
        """Files as BootFile says; what the method needs; a line that the kernel takes."""
        self.kernel.check("parameters.kernel")
        self.initrd.check("parameters.initrd")
        _check_url("parameters.repository", self.repository, _PLACES)
        _check_url("parameters.profile", self.profile, _PLACES)
        if self.method and not self.repository:
            raise FieldError("parameters.repository", "", f"it is required for {self.method}")
        if self.method == "nfsroot" and not re.fullmatch(r"nfs://[^/]+/.+", self.repository):
            raise FieldError("parameters.repository", HIDDEN, "nfs://server/path for nfsroot")
        if self.method == "coreos" and bool(self.profile) == bool(self.ignition):
            raise FieldError("parameters.ignition", "", "coreos needs either ignition or profile, its URL")
        if self.method != "coreos" and self.ignition:
            raise FieldError("parameters.ignition", "", "only coreos has an ignition")
        if self.method in ("autoyast", "kickstart") and not self.profile:
            raise FieldError("parameters.profile", "", f"it is required for {self.method}")
        size = len(self.parameter_line)
        if size > PARM_BYTES:
            raise FieldError(
                "parameters.parm", f"{size} characters with the words of the method", f"at most {PARM_BYTES}"
            )

    @property
    def parameter_line(self) -> str:
        """The kernel's parameter line: the method's words, the devices, then `parm`."""
        words: list[str] = []
        if self.method == "autoyast":
            words = [f"install={self.repository}", f"autoyast={self.profile}"]
        elif self.method == "kickstart":
            words = [f"inst.repo={self.repository}", f"inst.ks={self.profile}"]
        elif self.method == "nfsroot":
            server, _, path = self.repository.removeprefix("nfs://").partition("/")
            words = ["root=/dev/nfs", f"nfsroot={server}:/{path}"]
        elif self.method == "coreos":
            words = ["rd.neednet=1", f"coreos.live.rootfs_url={self.repository}"]
            if self.install_device:
                words.append(f"coreos.inst.install_dev=/dev/{self.install_device.removeprefix('/dev/')}")
            if self.profile:
                word = "coreos.inst.ignition_url" if self.install_device else "ignition.config.url"
                words.append(f"{word}={self.profile}")
            words += ["ignition.firstboot", "ignition.platform.id=metal"]
        if self.nic:
            first = int(self.nic, 16)
            numbers = ",".join(f"0.0.{first + offset:04x}" for offset in range(3))
            words.append(f"rd.znet=qeth,{numbers},layer2=1")
        words += [f"rd.dasd=0.0.{vdev.lower()}" for vdev in self.dasds]
        return " ".join((*words, self.parm)).strip()
