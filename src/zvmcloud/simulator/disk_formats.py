"""What the directory manager writes on a new minidisk: nothing, or a CMS format with its label."""

from __future__ import annotations

import time

from zvmcloud.images import cms
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.simulator import storage
from zvmcloud.simulator.model import Disk
from zvmcloud.simulator.system import System

#: image_disk_formatting: the block size. 6 is the device's default; 0 and 1 leave the disk as it is.
BLOCK_SIZES = {2: 512, 3: 1024, 4: 2048, 5: 4096, 6: 4096}
#: Tracks with other blocks than those of CP take 64 KiB of the host's disk each, so that larger minidisks get their
#: block size on the first cylinder only; the rest stays as CP formats it (judgement, to spare the host).
WHOLE_CYLINDERS = 50


def format_cms(system: System, disk: Disk, label: str, block_size: int) -> None:
    """Format the file of a minidisk that was just made; it goes with the transaction. Disks without a file stay."""
    if not disk.file:
        return
    path = storage.new_file_of(system, disk)
    moment = time.gmtime(system.now())
    date = cms.packed_date(*moment[:6])
    if disk.kind == "FBA":
        with FbaDisk(path, writable=True) as fba:
            cms.format_fba(fba, label, block_size, date)
        return
    with EckdDisk(path, writable=True) as eckd:
        whole = block_size != 4096 and eckd.cylinders <= WHOLE_CYLINDERS
        cms.format_eckd(eckd, label, block_size, date, None if whole else 1)
