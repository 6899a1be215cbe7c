"""Systems to start with. What a model file can say is in `model_file`.

`lpar` is one partition with eight 3390 volumes in POOL1, one 9336 volume in FBAPOOL, the servers of SMAPI and TCP/IP,
MAINT and the agent's ZHCP. `small` is the same with one volume of 20 cylinders and 1,016 blocks, to run out of space.
`ssi4` is an SSI cluster of four members VM1 to VM4; `fleet:NxM` are N systems ZVM1 ... that know nothing of each other,
with M guests each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zvmcloud.simulator import recorded71
from zvmcloud.simulator.equipment import Equipment
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.system import System

_LINUX_PROFILE = (
    "COMMAND SET RUN ON",
    "IPL CMS",
    "MACHINE ESA 32",
    "CONSOLE 0009 3215 T",
    "SPOOL 000C 2540 READER *",
    "SPOOL 000D 2540 PUNCH A",
    "SPOOL 000E 1403 A",
)


@dataclass(frozen=True, slots=True)
class Pool:
    """A group of equal volumes."""

    device_type: str = "3390"
    volumes: int = 1
    size: int = 30051
    prefix: str = "LX"


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that a new system starts with."""

    name: str = "ZVM1"
    lpar: str = "LP1"
    storage: str = "64G"
    cps: int = 2
    ifls: int = 4
    mac_prefix: str = "020000"
    user_prefix: str = ""
    """The VMLAN USERPREFIX; empty: as ``mac_prefix``. A cluster's members have the model's ``mac_prefix`` for it."""
    release: str = "7.2"
    """Of z/VM; see releases."""
    pools: Mapping[str, Pool] = field(
        default_factory=lambda: {"POOL1": Pool(volumes=8), "FBAPOOL": Pool("9336", 1, 8_388_608, "FB")}
    )
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    authorized: tuple[str, ...] = ()
    """Userids that may call every SMAPI function, beside those of the preset."""
    profiles: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"LNXDFLT": _LINUX_PROFILE, "OSDFLT": _LINUX_PROFILE}
    )
    osa: Mapping[str, str] = field(default_factory=lambda: {"10": "1000", "1F": "1F00", "FF": "FF00"})
    equipment: Equipment = field(default_factory=Equipment)
    """Disks, fabric, segments and files beside the pools; see equipment."""
    rows: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    """Devices, volumes and networks of a model file by section; see model_rows."""
    ssi: str = ""
    """Name of the SSI cluster; empty for none."""
    members: tuple[str, ...] = ()
    """Names of the cluster's members in the order of their slots."""
    systems: int = 1
    """How many systems that are no cluster."""
    guests: int = 0
    """How many guests each of those has."""
    directory: Path | None = None
    """A source directory (USER DIRECT) to begin with; of the preset's own entries those that it has not are added."""
    accept_extents: bool = False
    """Whether its minidisks may be over one another or beyond their volumes."""
    build: Callable[[System], None] | None = None
    """What else a preset does to a new system, at the end, inside the transaction that fills it."""


PRESETS = {
    "lpar": Model(),
    "small": Model(pools={"POOL1": Pool("3390", 1, 21, "LX"), "FBAPOOL": Pool("9336", 1, 1032, "FB")}),
    "recorded71": Model(
        name="VM1",
        release="7.1",
        storage="4G",
        cps=0,
        ifls=4,
        pools={},
        osa={},
        equipment=recorded71.EQUIPMENT,
        ssi="SSI",
        members=("VM1", "VM2"),
        build=recorded71.fill,
    ),
    "ssi4": Model(ssi="SSI", members=("VM1", "VM2", "VM3", "VM4")),
}

_FLEET = re.compile(r"fleet:([0-9]{1,2})[x\u00d7]([0-9]{1,5})", re.IGNORECASE)


def find_preset(name: str) -> Model:
    """A preset by its name; `fleet:NxM` has as many systems and guests as it says. ModelError for another name."""
    wanted = _FLEET.fullmatch(name)
    if wanted is not None and int(wanted[1]) > 0:
        return Model(systems=int(wanted[1]), guests=int(wanted[2]))
    if name not in PRESETS:
        raise ModelError("preset", f"{name!r} is not one of {', '.join(PRESETS)}, fleet:NxM")
    return PRESETS[name]
