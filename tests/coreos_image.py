"""A disk image of the form of CoreOS, made without any writer of ours: the file system by mke2fs, which also places the
files; their blocks asked of debugfs; the partition table (UEFI 5.3) and, for SCSI disks, the boot record (s390-tools,
bootmap.c) packed here, number by number. An image for ECKD disks has sectors and blocks of 4096 bytes, and nothing that
starts it there. There is no kernel in it, only what a loader and this project look at.
"""

from __future__ import annotations

import gzip
import struct
import subprocess
import uuid
import zlib
from pathlib import Path

FIRST = 2048
"""First block of the boot partition."""
PARTITION = 16384
"""Its blocks: 8 MiB."""
BLOCKS = 24576
OPTIONS = "root=UUID=910678ff-f77e-4a7d-8d53-86f2ac47a823 rw ignition.platform.id=metal ostree=/ostree/boot.1/rhcos/0/0"
KERNEL = "ostree/rhcos-0/vmlinuz-5.14.0-427.s390x"
INITIAL = "ostree/rhcos-0/initramfs-5.14.0-427.s390x.img"
LABEL = "system_u:object_r:boot_t:s0"
OS_RELEASE = 'ID="rhcos"\nVERSION_ID="4.16"\nPRETTY_NAME="Red Hat Enterprise Linux CoreOS 416"\nNAME="RHCOS"\n'
_LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le


def tool(*words: str | Path) -> str:
    """The output of a program of e2fsprogs, in English."""
    path = "/usr/sbin:/sbin:/usr/bin:/bin"
    done = subprocess.run(
        [str(word) for word in words], check=True, capture_output=True, text=True, env={"PATH": path, "LC_ALL": "C"}
    )
    return done.stdout


def _cpio(files: dict[str, bytes]) -> bytes:
    out = b""
    for number, (name, data) in enumerate([*files.items(), ("TRAILER!!!", b"")], 1):
        fields = (number, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % value for value in fields) + name.encode() + b"\0"
        out += head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return out


def kernel() -> bytes:
    """The one of the image."""
    image = bytearray(b"\x07" * 0x11000)  # no zeros: mke2fs would leave holes, for which zipl has a block of its own
    image[:8] = bytes.fromhex("0008000080010000")
    image[0x10008:0x1000E] = b"S390EP"
    image[0x10428:0x10430] = (0x10900).to_bytes(8, "big")
    image[0x10430:0x10438] = (4096).to_bytes(8, "big")
    text = b"5.14.0-427.el9.s390x (mockbuild)\0"
    image[0x10900 : 0x10900 + len(text)] = text
    return bytes(image)


def gpt(image: bytearray, sector: int = 512, more: int = 0) -> None:
    """Write the table; `more`: further partitions, of one sector each."""
    factor = sector // 512
    entries = bytearray(128 * 128)
    first, blocks, behind = FIRST // factor, BLOCKS // factor, (FIRST + PARTITION) // factor
    places = [(first, behind - 1, "boot"), (behind + more, blocks - 34, "root")]
    places += [(behind + number, behind + number, "more") for number in range(more)]
    for index, (first, last, name) in enumerate(places):
        entry = _LINUX + uuid.UUID(int=index + 1).bytes_le + struct.pack("<QQQ", first, last, 0)
        entries[index * 128 : index * 128 + 128] = (entry + name.encode("utf-16-le")).ljust(128, b"\0")
    own = uuid.UUID("00000000-0000-4000-a000-000000000001").bytes_le
    numbers = (0x10000, 92, 0, 0, 1, blocks - 1, 34, blocks - 34, own, 2, 128, 128, zlib.crc32(entries))
    head = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", *numbers)
    head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
    image[sector : sector + 512] = head.ljust(512, b"\0")
    image[2 * sector : 2 * sector + len(entries)] = entries


def _pointer(block: int, count: int = 1) -> bytes:
    return struct.pack(">QHHI", block, 512, count - 1, 0)


def _blocks(partition: Path, name: str) -> list[int]:
    """Blocks of 512 bytes of a file, counted from the start of the disk, as debugfs tells the file system's (1 KiB)."""
    words = tool("debugfs", "-R", f"blocks /{name}", partition).split()
    return [FIRST + int(word) * 2 + half for word in words for half in (0, 1)]


def _runs(blocks: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for block in blocks:
        if runs and sum(runs[-1]) == block:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((block, 1))
    return runs


def initial_file_system() -> bytes:
    """The one of the image."""
    return gzip.compress(_cpio({"etc/os-release": OS_RELEASE.encode(), "etc/hostname": b"localhost\n"}), mtime=0)


def build(
    path: Path, *, options: str = OPTIONS, label: str = "boot", firstboot: bool = True, eckd: bool = False
) -> Path:
    """Write the image, for SCSI disks or for ECKD disks."""
    tree = path.parent / f"{path.name}.tree"
    initial = initial_file_system()
    entry = f"title RHCOS 416 (ostree:0)\nversion 1\noptions {options}\nlinux /{KERNEL}\ninitrd /{INITIAL}\n"
    files = {KERNEL: kernel(), INITIAL: initial, "bootmap": bytes([1]) * 24576}
    files["loader.1/entries/ostree-1-rhcos.conf"] = entry.encode()
    files |= {"ignition.firstboot": b""} if firstboot else {}
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "loader").symlink_to("loader.1")
    partition = path.parent / f"{path.name}.boot"
    size = "4096" if eckd else "1024"
    tool("mke2fs", "-q", "-t", "ext4", "-b", size, "-L", label, "-d", tree, partition, f"{PARTITION // 2}k")
    tool("debugfs", "-w", "-R", f"ea_set /loader.1/entries/ostree-1-rhcos.conf security.selinux {LABEL}", partition)
    image = bytearray(BLOCKS * 512)
    image[FIRST * 512 : (FIRST + PARTITION) * 512] = partition.read_bytes()
    gpt(image, 4096 if eckd else 512)
    if eckd:
        root = (FIRST + PARTITION) * 512
        image[root : root + 8192] = b"a root file system".ljust(8192, b"\x11")
    else:
        _boot_record(image, partition, f"{options} ignition.firstboot", len(initial))
    path.write_bytes(image)
    return path


def _boot_record(image: bytearray, partition: Path, line: str, initial: int) -> None:
    """What zipl writes into the file bootmap: each part's data, the list of its blocks, then the tables."""
    free = iter(_blocks(partition, "bootmap"))

    def put(data: bytes) -> list[int]:
        blocks = [next(free) for _ in range(-(-len(data) // 512))]
        for index, block in enumerate(blocks):
            image[block * 512 : block * 512 + 512] = data[index * 512 : index * 512 + 512].ljust(512, b"\0")
        return blocks

    def listed(blocks: list[int]) -> int:
        pointers = [_pointer(*run) for run in _runs(blocks)]
        following = b""
        for start in reversed(range(0, len(pointers), 31)):
            data = b"".join(pointers[start : start + 31]).ljust(31 * 16, b"\0") + following
            following = _pointer(put(data)[0])
        return int.from_bytes(following[:8], "big")

    parameters = struct.pack(">QQQQQ", 0x1000, 0x800000, initial, 0x0008000080010000, 0)
    parts = [
        (2, listed(put(bytes(0x1000))), 0xF000),
        (3, listed(put(b"signature of the loader")), 0x0100000000000017),
        (2, listed(put(b"stage 3".ljust(4096, b"\x07"))), 0xA000),
        (2, listed(put(parameters)), 0x9000),
        (2, listed(_blocks(partition, KERNEL)), 0x10000),
        (2, listed(put(line.encode() + b"\0")), 0x1000),
        (2, listed(_blocks(partition, INITIAL)), 0x800000),
    ]
    table = b"zIPL".ljust(32, b"\0")
    for kind, block, address in parts:
        table += _pointer(block) + bytes(7) + bytes([kind]) + address.to_bytes(8, "big")
    table += bytes(23) + b"\x01" + bytes.fromhex("000800008000a000")
    program = _pointer(put(table)[0])
    start = put(b"zIPL".ljust(16, b"\0") + program + program)[0]
    image[:32] = b"zIPL" + (1).to_bytes(4, "big") + bytes(8) + _pointer(start)
