"""The agent's settings, from one TOML file.

    dmssicnf = "path"             (a copy of DMSSICNF COPY; what it says stands where this file says nothing)
    [smapi]
    transport = "tcp"             or "iucv": server = "VSMREQIU" of this z/VM, without host, userid and password
    host = "127.0.0.1"            port = 44444
    userid = "ZHCP"               password = "..." or password_file = "path"
    tls = false                   ca = "path"            verify = true
    short_calls = 8               long_calls = 2          (limits of concurrent calls)
    [machine]
    kind = "simulated"            or "linux": this Linux guest's own kernel, without the members below
    host = "127.0.0.1"            port = 44445            (the machine port of a simulator)
    userid = "ZHCP"               password / password_file (those of [smapi] when missing)
    [listen]
    host = "127.0.0.1"            port = 8091             or: unix = "path"
    certificate = "path"          key = "path"            client_ca = "path" (asks clients for a certificate; when
                                  these are missing, those that `zvm zhcp enroll` put into the state folder)
    [storage]
    state = "path"                image_folders = ["path"]  pools = ["POOL1"] (empty: every pool)
    cache_mb = 20480              (images kept in the state folder, in MiB; 0: none)
    image_ca = "path"             (authorities of servers that images come from, besides those of this machine)
    fcps = ["1A00", "1B00"]       (FCP devices of the agent's own machine, through which it writes SCSI volumes)
    bootmap_program = "path"      (writes the boot map of a SCSI volume; operations/bootmap.py says how it is called)

Relative paths are relative to the file. Unknown members are errors, so a misspelt one is noticed.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from zvmcloud.zhcp import dmssicnf, fields
from zvmcloud.zhcp.errors import FieldError


class SettingsError(ValueError):
    """The settings file cannot be used; the text names the member and its limit."""


@dataclass(frozen=True, slots=True)
class SmapiSettings:
    """Where SMAPI is and who asks."""

    transport: str = fields.limits(default="tcp", pattern="tcp|iucv", rule="tcp or iucv")
    server: str = fields.userid(default="VSMREQIU")
    host: str = "127.0.0.1"
    port: int = fields.limits(default=44444, low=1, high=65535)
    userid: str = fields.userid(default="ZHCP")
    password: str = field(default="", repr=False)
    password_file: str = ""
    tls: bool = False
    ca: str = ""
    verify: bool = True
    timeout: int = fields.limits(default=240, low=1, high=3600)
    short_calls: int = fields.limits(default=8, low=1, high=64)
    long_calls: int = fields.limits(default=2, low=1, high=16)


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """The virtual machine the agent runs in."""

    kind: str = fields.limits(default="simulated", pattern="simulated|linux", rule="simulated or linux")
    host: str = "127.0.0.1"
    port: int = fields.limits(default=44445, low=1, high=65535)
    userid: str = fields.limits(default="", pattern=f"({fields.USERID})?", upper=True, rule="a userid")
    password: str = field(default="", repr=False)
    password_file: str = ""


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where the HTTP door is."""

    host: str = "127.0.0.1"
    port: int = fields.limits(default=8091, low=0, high=65535)
    unix: str = ""
    certificate: str = ""
    key: str = ""
    client_ca: str = ""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Folders and pools."""

    state: str = "state"
    image_folders: tuple[str, ...] = ()
    pools: tuple[str, ...] = fields.limits(default=(), pattern=fields.NAME8, upper=True, rule="1 to 8 characters")
    cache_mb: int = fields.limits(default=20_480, low=0, high=2**30)
    fcps: tuple[str, ...] = fields.limits(
        default=(), pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )
    bootmap_program: str = ""
    image_ca: str = ""


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate and key of the HTTP door; with ``client_ca``, clients must have a certificate of it."""

    certificate: Path
    key: Path
    client_ca: Path | None


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it; paths are absolute after `load`."""

    smapi: SmapiSettings = field(default_factory=SmapiSettings)
    machine: MachineSettings = field(default_factory=MachineSettings)
    listen: ListenSettings = field(default_factory=ListenSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    dmssicnf: str = ""
    folder: Path = field(default_factory=Path, metadata={"internal": True})

    def path(self, value: str) -> Path:
        """A path of the file, made absolute."""
        return (self.folder / value).absolute()

    @property
    def site(self) -> dict[str, str]:
        """The properties of DMSSICNF COPY, if the settings name one. SettingsError when it cannot be read."""
        return _site(self.folder, self.dmssicnf) if self.dmssicnf else {}

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.path(self.storage.state)

    @property
    def tls_folder(self) -> Path:
        """What `zvm zhcp enroll` keeps: the agent's key and certificate, and the authority of its clients."""
        return self.state / "tls"

    @property
    def tls(self) -> Tls | None:
        """How the HTTP door is secured; None for a plain one. Blocking."""
        listen = self.listen
        if listen.certificate:
            client_ca = self.path(listen.client_ca) if listen.client_ca else None
            return Tls(self.path(listen.certificate), self.path(listen.key), client_ca)
        folder = self.tls_folder
        if listen.unix or not (folder / "agent.pem").exists():
            return None
        return Tls(folder / "agent.pem", folder / "agent.key", folder / "clients.pem")

    @property
    def image_folders(self) -> tuple[Path, ...]:
        """Folders that file: sources may be in, resolved."""
        return tuple(self.path(folder).resolve() for folder in self.storage.image_folders)

    def password(self, section: SmapiSettings | MachineSettings) -> str:
        """The password of a section, from the file when one is named. SettingsError when that cannot be read."""
        if section.password_file:
            try:
                return self.path(section.password_file).read_text().strip()
            except OSError as problem:
                raise SettingsError(f"password_file: {problem}") from problem
        return section.password

    @property
    def machine_login(self) -> tuple[str, str]:
        """Userid and password of the agent's virtual machine."""
        machine = self.machine
        password = self.password(machine) or self.password(self.smapi)
        return machine.userid or self.smapi.userid, password


def read(data: object, folder: Path) -> Settings:
    """Settings from a parsed TOML document. SettingsError names the member."""
    try:
        if isinstance(data, dict) and "folder" in data:
            raise FieldError(
                "folder", data["folder"], "unknown; expected are smapi, machine, listen, storage, dmssicnf"
            )
        loaded = fields.read(Settings, _with_site(data, folder))
    except FieldError as problem:
        raise SettingsError(problem.problem.detail) from problem
    listen = loaded.listen
    if bool(listen.certificate) != bool(listen.key):
        raise SettingsError("listen.certificate and listen.key go together")
    if listen.client_ca and not listen.certificate:
        raise SettingsError("listen.client_ca needs listen.certificate and listen.key")
    if loaded.smapi.transport == "iucv" and loaded.smapi.tls:
        raise SettingsError("smapi.tls: true given, IUCV does not leave the z/VM system and has no TLS")
    return Settings(loaded.smapi, loaded.machine, listen, loaded.storage, loaded.dmssicnf, folder.absolute())


def _with_site(data: object, folder: Path) -> object:
    """The document with what DMSSICNF COPY says in the places that it leaves empty. SettingsError."""
    if not isinstance(data, dict) or not isinstance(name := data.get("dmssicnf", ""), str) or not name:
        return data
    merged = dict(data)
    for section, members in dmssicnf.settings(_site(folder, name)).items():
        mine = merged.get(section, {})
        if isinstance(mine, dict):
            merged[section] = {**members, **mine}
    return merged


def _site(folder: Path, name: str) -> dict[str, str]:
    try:
        return dmssicnf.parse((folder / name).read_text("latin-1"))
    except (OSError, dmssicnf.SiteError) as problem:
        raise SettingsError(f"dmssicnf: {name}: {problem}") from problem


def load(path: Path | str) -> Settings:
    """Settings from a file. SettingsError says what is wrong and where."""
    file = Path(path)
    try:
        return read(tomllib.loads(file.read_text()), file.parent)
    except OSError as problem:
        raise SettingsError(f"{file}: {problem.strerror or problem}") from problem
    except tomllib.TOMLDecodeError as problem:
        raise SettingsError(f"{file}: {problem}") from problem
    except SettingsError as problem:
        raise SettingsError(f"{file}: {problem}") from problem
