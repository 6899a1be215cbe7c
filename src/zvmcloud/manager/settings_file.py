"""Settings of one manager, from a TOML file, the environment, and the command line, in this order (the last one wins).

::

    state = "/var/lib/zvmcloud"          # this manager's own folder                 ZVMCLOUD_STATE
    database = ""                        # SQLAlchemy URL; "" = SQLite in the folder  ZVMCLOUD_DATABASE
    host = "127.0.0.1"                   #                                            ZVMCLOUD_HOST
    port = 8080                          #                                            ZVMCLOUD_PORT
    base_url = ""                        # how a zHCP reaches this manager            ZVMCLOUD_BASE_URL
    node = "manager"                     # name of this manager among several                  ZVMCLOUD_NODE
    shared = ""                          # folder of images, files of jobs and keys that all managers of a database
                                         # reach (decision 12); "" = the state folder           ZVMCLOUD_SHARED
    heartbeat_seconds = 3                # a manager that misses four is replaced by another one of its database
    import_folders = ["/srv/images"]     # file:// images and config drives may be read from below these; "/" allows all
    export_folders = []                  # images may be written below these too, besides <state>/files
    import_hosts = []                    # http(s) images may come from these hosts even if not public
    webhook_hosts = []                   # webhooks may call these hosts even if not public
    import_limit = 1099511627776         # bytes of an http(s) image
    protected = []                       # userids, with * and ?, that no job changes, besides z/VM's service machines
    job_days = 30                        # how long jobs that are over are kept; 0: for ever
    import_seconds = 7200                # for a whole http(s) image
    reservation_seconds = 3600           # until FCP devices that nobody attaches are free again; 0: never
    [images]  limit = 0                  # bytes of all images; the least recently used go first; 0: no limit
              upload_seconds = 86400     # after which an upload that nobody continues, or a file of PUT /files, goes
    [tls]  certificate = "" , key = ""
    [defaults]  profile = "LNXDFLT", disk_pool = "ECKD:POOL1", root_vdev = "0100", nic_vdev = "1000"
    [connector]  mode = "token", role = "operator", project = "default", open_from = ["127.0.0.1"],
                 token_seconds = 3600, deploys = 20, console_kb = 100,
                 capture_stopped = false, socket_port = 2000
                 file_limit = 68719476736    # bytes of one file of PUT /files
                 files_limit = 68719476736   # bytes of all such files of a project that wait to be imported
    [inventory]  seconds = 300           # between two looks at a system; 0: none
                 events = true           # look at once where z/VM says that something happened
                 ignore = ["TCPIP*"]     # userids that are not reported as foreign
                 history_days = 730      # how long versions of directory entries are kept; 0: for ever
    [limits]  directory_writers = 8      # jobs that change the directory of one system at once
              image_copies = 4           # jobs that copy an image or a disk there at once
    [metrics]  open_from = []            # addresses and networks that read /v1/metrics without a token
    [[systems]]  name = "ZVM1", url = "http://127.0.0.1:8081"
                 # or "unix:/run/zhcp.sock"; for https also ca, certificate, key
                 connector_port = 8081   # whoever comes to this port means this system
                 directory_writers = 0, image_copies = 0   # of this system; 0: as [limits] says
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zvmcloud.manager.settings import (
    MOST_AT_ONCE,
    ConnectorSettings,
    Defaults,
    ImageSettings,
    InventorySettings,
    Limits,
    Settings,
    SettingsError,
    SystemSettings,
    checked_system,
)

_POOL = re.compile(r"(ECKD|FBA):\w+", re.IGNORECASE)


def load(path: Path | None = None, environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read settings. ``overrides`` are fields of :class:`Settings` that are not None. Raises :class:`SettingsError`."""
    source = dict(os.environ if environment is None else environment)
    document: dict[str, object] = {}
    if path is not None:
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"cannot read {path}: {error.strerror}") from error
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{path}: {error}") from error
    for name in ("state", "database", "host", "port", "base_url", "node", "shared"):
        value = source.get(f"ZVMCLOUD_{name.upper()}")
        if value:
            document[name] = value
    document["admin_token"] = source.get("ZVMCLOUD_ADMIN_TOKEN", "")
    document.update({name: value for name, value in overrides.items() if value is not None})
    return build(document)


def build(document: Mapping[str, object]) -> Settings:
    """Settings from a parsed document; checks every value. Raises :class:`SettingsError` naming the setting."""
    rest = dict(document)
    state = rest.pop("state", None)
    if not state:
        raise SettingsError("state: the folder for the manager's database and images must be given")
    tls = _table(rest.pop("tls", {}), "tls")
    metrics = _table(rest.pop("metrics", {}), "metrics")
    settings = Settings(
        state=Path(str(state)).absolute(),
        database=_text(rest.pop("database", ""), "database"),
        host=_text(rest.pop("host", "127.0.0.1"), "host"),
        port=_number(rest.pop("port", 8080), "port", 0, 65535),
        base_url=_text(rest.pop("base_url", ""), "base_url"),
        node=_text(rest.pop("node", "manager"), "node"),
        shared=_text(rest.pop("shared", ""), "shared"),
        heartbeat_seconds=_number(rest.pop("heartbeat_seconds", 3), "heartbeat_seconds", 1, 5),
        default_system=_text(rest.pop("default_system", ""), "default_system"),
        import_folders=_texts(rest.pop("import_folders", ()), "import_folders"),
        export_folders=_texts(rest.pop("export_folders", ()), "export_folders"),
        import_hosts=_texts(rest.pop("import_hosts", ()), "import_hosts"),
        webhook_hosts=_texts(rest.pop("webhook_hosts", ()), "webhook_hosts"),
        protected=tuple(name.upper() for name in _texts(rest.pop("protected", ()), "protected")),
        job_days=_number(rest.pop("job_days", 30), "job_days", 0, 36500),
        import_limit=_number(rest.pop("import_limit", 2**40), "import_limit", 1, 2**50),
        reservation_seconds=_number(rest.pop("reservation_seconds", 3600), "reservation_seconds", 0, 366 * 86400),
        import_seconds=_number(rest.pop("import_seconds", 7200), "import_seconds", 1, 7 * 86400),
        remote_hosts=_texts(rest.pop("remote_hosts", ("127.0.0.1", "localhost.localdomain")), "remote_hosts"),
        tls_certificate=_text(tls.pop("certificate", ""), "tls.certificate"),
        tls_key=_text(tls.pop("key", ""), "tls.key"),
        defaults=_defaults(_table(rest.pop("defaults", {}), "defaults")),
        connector=_connector(_table(rest.pop("connector", {}), "connector")),
        images=_images(_table(rest.pop("images", {}), "images")),
        inventory=_inventory(_table(rest.pop("inventory", {}), "inventory")),
        limits=_limits(_table(rest.pop("limits", {}), "limits")),
        metrics_open_from=_networks(metrics.pop("open_from", ()), "metrics.open_from"),
        systems=_systems(rest.pop("systems", ())),
        admin_token=_text(rest.pop("admin_token", ""), "admin_token"),
    )
    _nothing_left(tls, "tls.")
    _nothing_left(metrics, "metrics.")
    _nothing_left(rest, "")
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise SettingsError("tls: certificate and key must be given together")
    if settings.default_system and settings.system() is None:
        raise SettingsError(f"default_system: no system is named {settings.default_system!r}")
    return settings


def _defaults(table: dict[str, object]) -> Defaults:
    values = Defaults(
        profile=_text(table.pop("profile", "LNXDFLT"), "defaults.profile").upper(),
        disk_pool=_text(table.pop("disk_pool", "ECKD:POOL1"), "defaults.disk_pool").upper(),
        root_vdev=_vdev(table.pop("root_vdev", "0100"), "defaults.root_vdev"),
        nic_vdev=_vdev(table.pop("nic_vdev", "1000"), "defaults.nic_vdev"),
        max_cpus=_number(table.pop("max_cpus", 32), "defaults.max_cpus", 1, 64),
        max_memory_mb=_number(table.pop("max_memory_mb", 65536), "defaults.max_memory_mb", 1, 16 * 2**20),
        boot_timeout=_number(table.pop("boot_timeout", 120), "defaults.boot_timeout", 1, 3600),
    )
    _nothing_left(table, "defaults.")
    if values.disk_pool and not _POOL.fullmatch(values.disk_pool):
        raise SettingsError(f"defaults.disk_pool: {values.disk_pool!r} is not ECKD:name or FBA:name")
    return values


def _connector(table: dict[str, object]) -> ConnectorSettings:
    base = ConnectorSettings()
    values = ConnectorSettings(
        mode=_text(table.pop("mode", base.mode), "connector.mode"),
        role=_text(table.pop("role", base.role), "connector.role"),
        project=_text(table.pop("project", base.project), "connector.project"),
        open_from=_texts(table.pop("open_from", base.open_from), "connector.open_from"),
        token_seconds=_number(table.pop("token_seconds", base.token_seconds), "connector.token_seconds", 1, 31 * 86400),
        deploys=_number(table.pop("deploys", base.deploys), "connector.deploys", 1, 10000),
        console_kb=_number(table.pop("console_kb", base.console_kb), "connector.console_kb", 1, 100_000),
        softstop_seconds=_number(
            table.pop("softstop_seconds", base.softstop_seconds), "connector.softstop_seconds", 1, 86400
        ),
        softstop_poll=_number(table.pop("softstop_poll", base.softstop_poll), "connector.softstop_poll", 1, 3600),
        socket_port=_number(table.pop("socket_port", base.socket_port), "connector.socket_port", -1, 65535),
        capture_stopped=_flag(table.pop("capture_stopped", base.capture_stopped), "connector.capture_stopped"),
        file_limit=_number(table.pop("file_limit", base.file_limit), "connector.file_limit", 1, 2**50),
        files_limit=_number(table.pop("files_limit", base.files_limit), "connector.files_limit", 1, 2**50),
    )
    _nothing_left(table, "connector.")
    if values.role not in {"member", "operator", "admin"}:
        raise SettingsError(f"connector.role: {values.role!r} is not member, operator or admin")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", values.project):
        raise SettingsError(f"connector.project: {values.project!r} is not 1 to 64 letters, digits, '_', '.' or '-'")
    if values.mode not in {"token", "open"}:
        raise SettingsError(f"connector.mode: {values.mode!r} is neither 'token' nor 'open'")
    _networks(values.open_from, "connector.open_from")
    return values


def _inventory(table: dict[str, object]) -> InventorySettings:
    base = InventorySettings()
    values = InventorySettings(
        seconds=_number(table.pop("seconds", base.seconds), "inventory.seconds", 0, 86400),
        events=_flag(table.pop("events", base.events), "inventory.events"),
        ignore=_texts(table.pop("ignore", base.ignore), "inventory.ignore"),
        history_days=_number(table.pop("history_days", base.history_days), "inventory.history_days", 0, 36500),
    )
    _nothing_left(table, "inventory.")
    return values


def _limits(table: dict[str, object]) -> Limits:
    base = Limits()
    values = Limits(
        _number(table.pop("directory_writers", base.directory_writers), "limits.directory_writers", 1, MOST_AT_ONCE),
        _number(table.pop("image_copies", base.image_copies), "limits.image_copies", 1, MOST_AT_ONCE),
    )
    _nothing_left(table, "limits.")
    return values


def _networks(value: object, name: str) -> tuple[str, ...]:
    """Addresses and networks, as they were written."""
    found = _texts(value, name)
    for address in found:
        try:
            ipaddress.ip_network(address, strict=False)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from error
    return found


def _images(table: dict[str, object]) -> ImageSettings:
    base = ImageSettings()
    values = ImageSettings(
        limit=_number(table.pop("limit", base.limit), "images.limit", 0, 2**60),
        upload_seconds=_number(
            table.pop("upload_seconds", base.upload_seconds), "images.upload_seconds", 1, 31 * 86400
        ),
    )
    _nothing_left(table, "images.")
    return values


def _systems(value: object) -> tuple[SystemSettings, ...]:
    if isinstance(value, tuple) and all(isinstance(item, SystemSettings) for item in value):
        return value
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise SettingsError("systems: must be an array of tables")
    systems: list[SystemSettings] = []
    for position, item in enumerate(value):
        table = _table(item, f"systems[{position}]")
        where = f"systems[{position}]."
        name = _text(table.pop("name", ""), f"{where}name")
        system = replace(
            checked_system(name, _text(table.pop("url", ""), f"{where}url"), where),
            ca=_text(table.pop("ca", ""), "ca"),
            certificate=_text(table.pop("certificate", ""), "certificate"),
            key=_text(table.pop("key", ""), "key"),
            connector_port=_number(table.pop("connector_port", 0), f"{where}connector_port", 0, 65535),
            directory_writers=_number(table.pop("directory_writers", 0), f"{where}directory_writers", 0, MOST_AT_ONCE),
            image_copies=_number(table.pop("image_copies", 0), f"{where}image_copies", 0, MOST_AT_ONCE),
        )
        _nothing_left(table, where)
        if any(system.name == other.name for other in systems):
            raise SettingsError(f"systems: the name {system.name} is given twice")
        if system.connector_port and any(system.connector_port == other.connector_port for other in systems):
            raise SettingsError(f"systems: connector_port {system.connector_port} is given twice")
        systems.append(system)
    return tuple(systems)


def _nothing_left(table: Mapping[str, object], where: str) -> None:
    if table:
        raise SettingsError(f"{where}{min(table)}: no such setting")


def _table(value: object, name: str) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{name}: must be a table")
    return {str(key): item for key, item in value.items()}


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{name}: must be text")
    return value


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{name}: must be true or false")
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise SettingsError(f"{name}: must be a list of texts")
    return tuple(_text(item, name) for item in value)


def _number(value: object, name: str, low: int, high: int) -> int:
    try:
        number = int(str(value))
    except ValueError:
        raise SettingsError(f"{name}: {value!r} is not a whole number") from None
    if not low <= number <= high:
        raise SettingsError(f"{name}: {number} is not between {low} and {high}")
    return number


def _vdev(value: object, name: str) -> str:
    text = _text(value, name).upper().zfill(4)
    if not re.fullmatch(r"[0-9A-F]{4}", text):
        raise SettingsError(f"{name}: {value!r} is not a virtual device number of up to four hexadecimal digits")
    return text
