"""Settings of one manager, as values; :mod:`zvmcloud.manager.settings_file` reads them and tells their form."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

_SYSTEM_NAME = re.compile(r"[A-Za-z0-9_-]{1,16}")
_URL = 512


class SettingsError(ValueError):
    """A setting is missing, unknown or out of range; the text names it and the limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many jobs work on one z/VM system at once: those that change its directory, those that copy an image or a
    disk. The defaults are a judgement: a directory manager does one update after the other, and the agent has limits of
    its own for what it asks at once (zhcp/smapi_port.py); the other jobs read the entry, or write down their ends, so
    that z/VM need not wait for them. Each copy takes a channel path for itself."""

    directory_writers: int = 8
    image_copies: int = 4


MOST_AT_ONCE = 64
"""The highest limit of either kind."""


@dataclass(frozen=True, slots=True)
class SystemSettings:
    """One z/VM system: its name and how its zHCP is reached (``http://``, ``https://`` or ``unix:/path``).
    ``fingerprint``: of the certificate that an enrolled agent got last; no other one is believed."""

    name: str
    url: str
    ca: str = ""
    certificate: str = ""
    key: str = ""
    fingerprint: str = ""
    connector_port: int = 0
    """A port whose connector clients mean this system; 0 for none."""
    directory_writers: int = 0
    image_copies: int = 0
    """Limits of this system; 0 for those that all have."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a request that does not say gets. Virtual device numbers are four hexadecimal digits."""

    profile: str = "LNXDFLT"
    disk_pool: str = "ECKD:POOL1"
    root_vdev: str = "0100"
    nic_vdev: str = "1000"
    max_cpus: int = 32
    max_memory_mb: int = 64 * 1024
    boot_timeout: int = 120


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """The door for cloud connector clients. ``mode`` "open" lets the addresses of ``open_from`` in without a token,
    nobody else."""

    mode: str = "token"
    role: str = "operator"
    """The role of those who come through this door, in the audit and in what they may do."""
    project: str = "default"
    """The project that their guests and images belong to; made when it is not there."""
    open_from: tuple[str, ...] = ("127.0.0.1", "::1")
    token_seconds: int = 3600
    deploys: int = 20
    console_kb: int = 100
    softstop_seconds: int = 120
    softstop_poll: int = 10
    socket_port: int = -1
    """Port of the socket protocol on loopback; -1 for no such listener, 0 for any free port."""
    capture_stopped: bool = False
    """Whether a guest that is off may be captured; its clients expect a conflict then."""
    file_limit: int = 64 * 2**30
    """Bytes of one file of ``PUT /files``."""
    files_limit: int = 64 * 2**30
    """Bytes of all such files of a project that wait to be imported."""


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """``limit``: bytes of all images together, 0 for no limit; ``upload_seconds``: how long an upload waits for its
    next bytes, and a file of the connector's ``PUT /files`` for what is done with it."""

    limit: int = 0
    upload_seconds: int = 86400


@dataclass(frozen=True, slots=True)
class InventorySettings:
    """Looking at systems. ``seconds`` between two looks at one, 0 for none but those that are asked for; ``events``:
    look at once where z/VM says that something happened; ``ignore``: userids, with * and ?, that the drift report does
    not call foreign; ``history_days``: how long versions of directory entries are kept, 0 for ever."""

    seconds: int = 300
    events: bool = True
    ignore: tuple[str, ...] = ()
    history_days: int = 730


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a manager; immutable. ``systems[0]`` is the default system unless ``default_system`` names
    another."""

    state: Path
    database: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    base_url: str = ""
    node: str = "manager"
    shared: str = ""
    heartbeat_seconds: int = 3
    default_system: str = ""
    import_folders: tuple[str, ...] = ()
    export_folders: tuple[str, ...] = ()
    import_hosts: tuple[str, ...] = ()
    webhook_hosts: tuple[str, ...] = ()
    import_limit: int = 2**40
    job_days: int = 30
    """For how many days jobs that are over are kept, 0 for ever."""
    protected: tuple[str, ...] = ()
    """Userids, with * and ?, that no job changes, besides the service machines of :mod:`zvmcloud.manager.protected`."""
    import_seconds: int = 7200
    reservation_seconds: int = 3600
    remote_hosts: tuple[str, ...] = ("127.0.0.1", "localhost.localdomain")
    tls_certificate: str = ""
    tls_key: str = ""
    defaults: Defaults = field(default_factory=Defaults)
    connector: ConnectorSettings = field(default_factory=ConnectorSettings)
    images: ImageSettings = field(default_factory=ImageSettings)
    inventory: InventorySettings = field(default_factory=InventorySettings)
    limits: Limits = field(default_factory=Limits)
    metrics_open_from: tuple[str, ...] = ()
    """Addresses and networks that read the metrics without a token."""
    systems: tuple[SystemSettings, ...] = ()
    admin_token: str = field(default="", repr=False)
    """A /v1 admin token to accept besides those in the database; only from the environment (ZVMCLOUD_ADMIN_TOKEN)."""

    def reserved_until(self) -> float | None:
        """When a reservation that is made now ends, in seconds since 1970; None for never."""
        return time.time() + self.reservation_seconds if self.reservation_seconds else None

    @property
    def folder(self) -> Path:
        """What all managers of a database share: images, files of jobs, keys."""
        return Path(self.shared).absolute() if self.shared else self.state

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.state / 'manager.sqlite'}"

    @property
    def url(self) -> str:
        """The address a zHCP uses to fetch image bytes from this manager, without a trailing slash."""
        if self.base_url:
            return self.base_url.rstrip("/")
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104  recognised, not bound
        scheme = "https" if self.tls_certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def system(self, name: str = "") -> SystemSettings | None:
        """The system of that name (any case), or the default one when ``name`` is empty."""
        wanted = (name or self.default_system).upper()
        if not wanted:
            return self.systems[0] if self.systems else None
        return next((system for system in self.systems if system.name.upper() == wanted), None)

    def limits_of(self, name: str) -> Limits:
        """The limits of a system, as the settings say."""
        found, base = self.system(name), self.limits
        if found is None:
            return base
        return Limits(found.directory_writers or base.directory_writers, found.image_copies or base.image_copies)

    def listening(self, host: str, port: int) -> Settings:
        """These settings for a server that really listens on ``host`` and ``port`` (known late when port 0 was
        asked)."""
        return replace(self, host=host, port=port)


def checked_system(name: str, url: str, where: str = "") -> SystemSettings:
    """A system of that name at that URL. Raises :class:`SettingsError` naming ``where``, the limit and the value."""
    if not _SYSTEM_NAME.fullmatch(name):
        raise SettingsError(f"{where}name: {name!r} is not 1 to 16 letters, digits, '-' or '_'")
    if not url.startswith(("http://", "https://", "unix:/")) or len(url) > _URL or not url.isprintable():
        raise SettingsError(f"{where}url: {url!r} is not http://..., https://... or unix:/path")
    return SystemSettings(name.upper(), url)
