"""The model file: a system of one's own in TOML, read for a new system, written from one that runs.

Every key may be left out; values not given are those of the preset::

    name = "ZVM1"             # system name, 1-8 characters
    release = "7.2"           # of z/VM: 6.4, 7.1 to 7.5
    lpar = "LP1"
    storage = "64G"           # real storage
    cps = 2                   # general processors, 0-64
    ifls = 4                  # IFL processors, 0-64 (one processor at least)
    mac_prefix = "020000"     # first six digits of MAC addresses

    ssi = "SSI"               # an SSI cluster of that name, whose members are
    members = ["VM1", "VM2"]  # one to eight systems
    systems = 1               # without ssi: how many systems that know nothing of each other (ZVM1, ZVM2 ...)
    guests = 0                # without ssi: how many guests each of them begins with

    [pool.POOL1]              # a group of volumes; as many as wanted; replaces the preset's
    type = "3390"             # 3390 or 9336
    volumes = 8               # number of volumes
    size = 30051              # cylinders, or 512-byte blocks, of each volume
    prefix = "LX"             # volume labels: prefix and number, six characters

    authorized = ["MYAPP"]    # userids that AUTHLIST lets call every function, besides MAINT and ZHCP

    [users]                   # further userids of the system with their passwords, class G
    MYAPP = "SECRET"

    [passwords]               # other passwords for userids of the preset
    MAINT = "SECRET"

    [profiles]                # PROFILE entries by name
    LNXDFLT = ["IPL CMS", "CONSOLE 0009 3215 T"]

    [osa]                     # OSA devices: CHPID to the first device number; 16 devices each
    "1F" = "1F00"

Devices, volumes and networks one by one are tables [[channel_path]], [[osa_device]], [[fcp_device]], [[disk]],
[[space_volume]], [[lun]], [[edev]], [[eqid]], [[segment]], [[interface]], [[vswitch]], [[lan]], [[volume]],
[[region]], [[group]], [[file]]: see `model_rows` and docs/reference/model-file.md.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

from zvmcloud.directory.extents import LARGEST_3390
from zvmcloud.simulator import model_rows, releases
from zvmcloud.simulator.cp.language import size
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.presets import Model, Pool
from zvmcloud.simulator.system import System

_KEYS = (
    "name", "release", "lpar", "storage", "cps", "ifls", "mac_prefix", "pool", "users", "passwords", "profiles", "osa",
    "authorized", "ssi", "members", "systems", "guests", *(section.name for section in model_rows.SECTIONS),
)  # fmt: skip


def written(system: System) -> str:
    """A model file of a running system: what it is and what devices, volumes and networks it has.

    The directory is not in it (`zvm simulator directory export` writes that), nor what runs. Of a cluster it is what
    this member has.
    """
    facts = system.facts
    kinds = [item.kind for item in facts.processors]
    head = {
        "name": facts.name,
        "release": releases.of_level(facts.level).name,
        "lpar": facts.lpar,
        "storage": size(facts.storage_kib),
        "cps": kinds.count("CP"),
        "ifls": kinds.count("IFL"),
        "mac_prefix": facts.mac_prefix,
    }
    if system.cluster is not None:
        head |= {"ssi": system.cluster.facts.name, "members": tuple(system.cluster.facts.members)}
    lines = [f"{name} = {model_rows.toml(value)}" for name, value in head.items()]
    return "\n".join(lines) + "\n" + model_rows.write(system) + "\n[pool]\n\n[osa]\n"


def load_model(path: Path, base: Model) -> Model:
    """Read a model file on top of a preset. ModelError names the key that is wrong."""
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(str(path), str(error)) from error
    for key in data:
        if key not in _KEYS:
            raise ModelError(key, "unknown key; known: " + ", ".join(sorted(_KEYS)))
    values: dict[str, object] = {}
    for key in ("name", "release", "lpar", "storage", "mac_prefix", "ssi"):
        if key in data:
            values[key] = _text(key, data[key])
    for key in ("cps", "ifls"):
        if key in data:
            values[key] = _number(key, data[key], 0, 64)
    for key in ("users", "passwords", "osa"):
        if key in data:
            values[key] = {name.upper(): _text(f"{key}.{name}", item) for name, item in _table(key, data[key]).items()}
    for key, low, high in (("systems", 1, 64), ("guests", 0, 99_999)):
        if key in data:
            values[key] = _number(key, data[key], low, high)
    if "members" in data:
        values["members"] = tuple(_text("members", name).upper() for name in _list("members", data["members"]))
    if "authorized" in data:
        values["authorized"] = tuple(
            _text("authorized", name).upper() for name in _list("authorized", data["authorized"])
        )
    if "profiles" in data:
        values["profiles"] = {
            name.upper(): tuple(_text(f"profiles.{name}", line) for line in _list(f"profiles.{name}", lines))
            for name, lines in _table("profiles", data["profiles"]).items()
        }
    if "pool" in data:
        values["pools"] = {name.upper(): _pool(name, item) for name, item in _table("pool", data["pool"]).items()}
    given = [section for section in model_rows.SECTIONS if section.name in data]
    rows = {section.name: model_rows.read(section, data[section.name]) for section in given}
    return replace(base, rows={**base.rows, **rows}, **values)  # type: ignore[arg-type]


def _pool(name: str, item: object) -> Pool:
    table = _table(f"pool.{name}", item)
    for key in table:
        if key not in ("type", "volumes", "size", "prefix"):
            raise ModelError(f"pool.{name}.{key}", "unknown key; known: prefix, size, type, volumes")
    kind = _text(f"pool.{name}.type", table.get("type", "3390"))
    if kind not in ("3390", "9336"):
        raise ModelError(f"pool.{name}.type", f"{kind!r} is neither 3390 nor 9336")
    largest = LARGEST_3390 if kind == "3390" else 2_147_483_640
    return Pool(
        kind,
        _number(f"pool.{name}.volumes", table.get("volumes", 1), 1, 9999),
        _number(f"pool.{name}.size", table.get("size", 30051), 20, largest),
        _text(f"pool.{name}.prefix", table.get("prefix", "LX" if kind == "3390" else "FB")).upper(),
    )


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ModelError(key, f"{value!r} is not a text")
    return value


def _number(key: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ModelError(key, f"{value!r} is not a number from {low} to {high}")
    return value


def _table(key: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ModelError(key, "is not a table")
    return value


def _list(key: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise ModelError(key, "is not a list of records")
    return value
