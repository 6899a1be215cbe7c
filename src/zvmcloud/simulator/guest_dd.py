"""dd inside a guest: bytes of a SCSI disk to standard output, and of standard input to a SCSI disk.

Text is a byte for each character, as far as the shell's streams go. With ``of=`` another file than a SCSI disk, and for
DASD, it is a load of input and output (`guest_commands`). Source of the operands: POSIX dd; of the words: coreutils.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zvmcloud.simulator import guest_disks, luns
from zvmcloud.simulator.guest_shell import Result, Shell
from zvmcloud.simulator.model_devices import Lun

_UNITS = {"": 1, "c": 1, "b": 512, "k": 2**10, "K": 2**10, "M": 2**20}
_NUMBER = re.compile(r"(\d{1,12})([cbkKM]?)")
_NUMBERS = ("bs", "count", "skip", "seek")
_LARGEST = 16 * 2**20


def dd(shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    """dd if=DISK [bs= count= skip=], or dd of=DISK [bs= seek=] with what is written on its standard input."""
    words: dict[str, str] = {"bs": "512", "count": "", "skip": "0", "seek": "0"}
    for word in arguments[1:]:
        name, equals, value = word.partition("=")
        if not equals or name not in {*words, "if", "of", "conv", "oflag", "iflag", "status"}:
            return Result(1, err=f"dd: unrecognized operand '{word}'\n")
        words[name] = value
    numbers: dict[str, int] = {}
    for name in _NUMBERS:
        found = _NUMBER.fullmatch(words[name] or "0")
        if found is None:
            return Result(1, err=f"dd: invalid number: '{words[name]}'\n")
        numbers[name] = int(found[1]) * _UNITS[found[2]]
    path = words.get("of") or words.get("if") or ""
    system = shell.files.system
    lun = guest_disks.by_path(system, shell.files.machine, path)
    if lun is None or ("if" in words and "of" in words):
        return Result(1, err=f"dd: failed to open '{path}': No such file or directory\n")
    if "of" in words:
        return _written(shell, lun, stdin.encode("latin-1", "replace"), numbers["seek"] * numbers["bs"], path)
    size = lun.blocks * lun.block_size
    first = min(numbers["skip"] * numbers["bs"], size)
    wanted = numbers["count"] * numbers["bs"] if words["count"] else size
    if min(wanted, size - first) > _LARGEST:
        return Result(1, err=f"dd: memory exhausted by input buffer of size {wanted} bytes\n")
    with luns.file(system, lun).open("rb") as file:
        file.seek(first)
        data = file.read(min(wanted, size - first))
    return Result(0, data.decode("latin-1"), _said(len(data), numbers["bs"]))


def _written(shell: Shell, lun: Lun, data: bytes, first: int, path: str) -> Result:
    if first + len(data) > lun.blocks * lun.block_size:
        return Result(1, err=f"dd: error writing '{path}': No space left on device\n")
    with luns.file(shell.files.system, lun).open("r+b") as file:
        file.seek(first)
        file.write(data)
    return Result(0, err=_said(len(data), 512))


def _said(size: int, block: int) -> str:
    whole, part = divmod(size, max(block, 1))
    count = f"{whole}+{int(part > 0)} records"
    return f"{count} in\n{count} out\n{size} bytes copied\n"
