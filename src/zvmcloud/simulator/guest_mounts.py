"""What a guest has mounted and swaps on: mount, umount, swapon, swapoff, and /etc/fstab at its boot.

Whether a file system is on the disk is not looked at; that the disk is there is. File systems without a disk behind
them (proc, tmpfs, NFS) are taken and not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zvmcloud.simulator import guest_disks, guest_filters
from zvmcloud.simulator.guest_files import FSTAB, Files
from zvmcloud.simulator.guest_filters import options
from zvmcloud.simulator.guest_shell import Result, Shell

SWAP = "[SWAP]"
"""Where swap space is mounted, in the words of lsblk."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of /etc/fstab: device, mount point (SWAP for swap space), and whether a boot goes without it."""

    device: str
    target: str
    automatic: bool


def entries(files: Files) -> list[Entry]:
    """What /etc/fstab says of disks."""
    found = []
    for line in guest_filters.lines(files.read(FSTAB) or ""):
        words = line.split()
        if len(words) >= 3 and words[0].startswith("/dev/"):
            wanted = words[3].split(",") if len(words) > 3 else []
            found.append(Entry(words[0], SWAP if words[2] == "swap" else words[1], "noauto" not in wanted))
    return found


def at_boot(files: Files) -> list[str]:
    """Mount what /etc/fstab says; gives lines for the console."""
    lines = []
    for entry in entries(files):
        if entry.automatic:
            problem = add(files, entry.device, entry.target)
            done = "Activated swap" if entry.target == SWAP else "Mounted"
            what = entry.device if entry.target == SWAP else entry.target
            lines.append(f"[FAILED] {what}: {problem}" if problem else f"[  OK  ] {done} {what}.")
    return lines


def add(files: Files, device: str, target: str) -> str:
    """Mount a disk; gives what went wrong."""
    node = guest_disks.resolve(files.system, files.machine, device)
    if not node:
        return "no such device"
    if (node, target) in files.mounts():
        return "already mounted" if target != SWAP else "Device or resource busy"
    _put(files, (*files.running.mounts, f"{device} {target}"))
    return ""


def remove(files: Files, name: str) -> bool:
    """Unmount by device or mount point; False when it was not mounted."""
    node = guest_disks.resolve(files.system, files.machine, name)
    kept = []
    for row in files.running.mounts:
        device, _, target = row.partition(" ")
        same = guest_disks.resolve(files.system, files.machine, device) == node if node else target == name
        kept += [] if same else [row]
    gone = len(kept) < len(files.running.mounts)
    _put(files, tuple(kept))
    return gone


def _put(files: Files, mounts: tuple[str, ...]) -> None:
    running = replace(files.running, mounts=mounts)
    files.system.machines.put(files.userid, replace(files.machine, system=running))


def mount(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """mount | mount -a | mount [-t type] [-o options] [device] mount-point"""
    given, names = options(arguments[1:], "to")
    if "a" in given:
        for entry in entries(shell.files):
            if entry.automatic and entry.target != SWAP:
                add(shell.files, entry.device, entry.target)
        return Result()
    if not names:
        return Result(0, shell.files.read("/proc/mounts") or "")
    if "remount" in given.get("o", "") or (len(names) > 1 and not names[0].startswith("/dev/")):
        return Result()
    device, target = names[0], names[-1]
    if len(names) == 1:
        found = next((entry for entry in entries(shell.files) if target in (entry.device, entry.target)), None)
        if found is None:
            return Result(1, "", f"mount: {target}: can't find in {FSTAB}.\n")
        device, target = found.device, found.target
    problem = add(shell.files, device, target)
    return Result(32, "", f"mount: {target}: {device}: {problem}.\n") if problem else Result()


def umount(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """umount device or mount-point"""
    _, names = options(arguments[1:])
    absent = [name for name in names if not remove(shell.files, name)]
    return Result(32, "", f"umount: {absent[0]}: not mounted.\n") if absent else Result()


def swapon(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """swapon [-a] [device]; without either: what is on"""
    given, names = options(arguments[1:])
    if "a" in given:
        names = [entry.device for entry in entries(shell.files) if entry.target == SWAP]
    elif not names:
        return Result(0, shell.files.read("/proc/swaps") or "")
    for name in names:
        problem = add(shell.files, name, SWAP)
        if problem and "a" not in given:
            return Result(255, "", f"swapon: {name}: {problem}\n")
    return Result()


def swapoff(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """swapoff device"""
    _, names = options(arguments[1:])
    absent = [name for name in names if not remove(shell.files, name)]
    return Result(255, "", f"swapoff: {absent[0]}: Invalid argument\n") if absent else Result()
