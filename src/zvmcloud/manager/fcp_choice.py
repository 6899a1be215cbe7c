"""Which FCP devices a guest gets: pure functions over values, so that their promises can be tested with any pool.

A template has paths; each path has devices, of one or more channel paths (CHPID). A guest gets one device of each
path, on channel paths that differ as far as the pool allows, and the busiest channels are spared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_ITEM = re.compile(r"([0-9a-f]{4})(?:-([0-9a-f]{4}))?")
_LARGEST = 4096


class FcpListError(ValueError):
    """The text of a template's devices cannot be used; it says where."""


@dataclass(frozen=True, slots=True)
class Device:
    """An FCP device as the table has it. ``state``: free, active, offline or notfound, as z/VM said last."""

    fcp: str
    assigner: str = ""
    reserved: bool = False
    connections: int = 0
    template: str = ""
    npiv: str = ""
    physical: str = ""
    chpid: str = ""
    pchid: str = ""
    state: str = "free"
    owner: str = ""
    expires: float | None = None
    """When its reservation ends, in seconds since 1970 (UTC); None for never."""
    vdev: str = ""
    """The virtual device number at which the assigner has it; "" for its own."""

    @property
    def at(self) -> str:
        """Its number in the guest."""
        return self.vdev or self.fcp

    @property
    def allocated(self) -> bool:
        """Whether somebody has it, or will have it."""
        return self.reserved or self.connections > 0 or bool(self.assigner)

    @property
    def available(self) -> bool:
        """Whether it can be given to somebody."""
        return not self.allocated and self.state == "free"


def parse_devices(text: str) -> tuple[tuple[str, ...], ...]:
    """The devices of each path: paths are divided by ";", devices by ",", a range is "1a00-1a0f". FcpListError."""
    paths: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for number, part in enumerate(item.strip() for item in text.lower().strip().strip(";").split(";")):
        if not part:
            continue
        devices: dict[str, None] = {}
        for item in (word.strip() for word in part.split(",")):
            found = _ITEM.fullmatch(item.replace(" ", ""))
            if not found:
                raise FcpListError(f"path {number}: {item!r} is neither a device number nor a range of them")
            first, last = int(found[1], 16), int(found[2] or found[1], 16)
            if last < first or last - first >= _LARGEST:
                raise FcpListError(f"path {number}: {item!r} ends before it begins, or has over {_LARGEST} devices")
            devices.update((f"{value:04x}", None) for value in range(first, last + 1))
        double = seen & set(devices)
        if double:
            raise FcpListError(f"device {min(double)} is in more than one path")
        seen |= set(devices)
        paths.append(tuple(sorted(devices)))
    return tuple(paths)


def choose(
    paths: Sequence[Sequence[Device]],
    *,
    least: int,
    busy: Iterable[str] = (),
    capacity: Mapping[str, int] | None = None,
) -> tuple[Device, ...]:
    """One available device of each path, or () when fewer than ``least`` paths have one.

    ``least`` below 1 means all paths. ``busy`` names the channel path of each device in use, to spread fairly.
    ``capacity``: how many more devices a physical channel (PCHID) takes; one that is not named takes any number.
    """
    wanted = least if least > 0 else len(paths)
    load = Counter(busy)
    left = dict(capacity or {})
    taken: Counter[str] = Counter()
    chosen: list[Device] = []
    # Paths with few channels choose first, so that the others can keep out of their way.
    order = sorted(range(len(paths)), key=lambda at: (len({device.chpid for device in paths[at]}), at))
    picked: dict[int, Device] = {}
    for at in order:
        free = [device for device in paths[at] if device.available and left.get(device.pchid, 1) > 0]
        if not free:
            continue
        device = min(free, key=lambda item: (taken[item.chpid], load[item.chpid], item.fcp))
        picked[at] = device
        taken[device.chpid] += 1
        if device.pchid in left:
            left[device.pchid] -= 1
    chosen = [picked[at] for at in sorted(picked)]
    return tuple(chosen) if chosen and len(chosen) >= wanted else ()


def ranges(devices: Iterable[str]) -> tuple[str, str, str]:
    """Device numbers as people read them: all of it, single numbers, ranges; upper case, with ", " between."""
    numbers = sorted({int(device, 16) for device in devices})
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    whole = [f"{low:04X}" if low == high else f"{low:04X} - {high:04X}" for low, high in runs]
    single = [text for text, (low, high) in zip(whole, runs, strict=True) if low == high]
    spans = [text for text, (low, high) in zip(whole, runs, strict=True) if low != high]
    return ", ".join(whole), ", ".join(single), ", ".join(spans)
