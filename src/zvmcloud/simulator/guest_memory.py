"""What a guest keeps in its root file system: names, addresses, files that were placed or written.

It belongs to the disk, and is forgotten when something else writes to that disk. A root file system that cannot be
written, or that is an initial file system in memory, lives until the next IPL.
"""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.images import netfiles
from zvmcloud.images.netfiles import Network
from zvmcloud.simulator import guest_loader
from zvmcloud.simulator.model import Remembered
from zvmcloud.simulator.system import System

MAX_FILES = 256
MAX_FILE = 256 * 1024


def in_memory(userid: str) -> str:
    """The key of a root file system that lives until the next IPL."""
    return f"ram/{userid}"


def get(system: System, root: str) -> Remembered:
    """What the root file system holds."""
    written = _written(system, root)
    found = system.memories.get(root)
    return found if found is not None and found.written == written else Remembered(written)


def put(system: System, root: str, remembered: Remembered) -> None:
    system.memories.put(root, remembered)


def mount(system: System, userid: str, root: str, *, writable: bool) -> str:
    """The key to use for a root file system from now on: its own, or one in memory when it cannot be written."""
    own = in_memory(userid)
    if root != own and writable:
        return root
    base = get(system, root) if root != own else Remembered(0)
    put(system, own, replace(base, written=0))
    return own


def forget(system: System, userid: str) -> None:
    """The machine is loaded anew or gone: what was in memory only is lost."""
    if in_memory(userid) in system.memories:
        system.memories.remove(in_memory(userid))


def _written(system: System, root: str) -> int:
    path = guest_loader.root_file(system, root)
    try:
        return path.stat().st_mtime_ns if path is not None else 0
    except OSError:
        return 0


def text(remembered: Remembered, name: str) -> str | None:
    """The text of a file; None when there is none of that name."""
    return next((item[1] for item in remembered.files if item[0] == name), None)


def with_file(remembered: Remembered, name: str, content: str) -> Remembered | None:
    """With a file added or replaced; None when the model's disk is full (256 files, 256 KiB each)."""
    kept = tuple(item for item in remembered.files if item[0] != name)
    if len(kept) >= MAX_FILES or len(content) > MAX_FILE:
        return None
    return replace(remembered, files=(*kept, (name, content)))


def without_file(remembered: Remembered, name: str) -> Remembered:
    return replace(remembered, files=tuple(item for item in remembered.files if item[0] != name))


def networks(remembered: Remembered) -> tuple[Network, ...]:
    """The addresses to configure: network files go before what a config drive said of the same adapter."""
    from_files = netfiles.networks({name: content.encode() for name, content in remembered.files})
    return merged(remembered.networks, from_files)


def merged(known: tuple[Network, ...], new: tuple[Network, ...]) -> tuple[Network, ...]:
    """Addresses of `known`, with those of `new` in place of the ones for the same adapter."""
    if not new:
        return known
    replaced = {(network.mac, network.name, network.address.split("/")[0]) for network in new}
    macs = {network.mac for network in new if network.mac}
    kept = tuple(
        network
        for network in known
        if (network.mac, network.name, network.address.split("/")[0]) not in replaced and network.mac not in macs
    )
    return (*kept, *new)
