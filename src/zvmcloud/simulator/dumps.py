"""CP dumps: spool files in the reader of the dump-processing userid, then, once it has loaded them, files in SFS.

A dump comes from an abend of CP or from the SNAPDUMP command. Its name in the spool says which: SNP001 is the first
snap dump (recorded as distribution code); loaded dumps are called PRB00000 and on (recorded).
"""

from __future__ import annotations

import time
from dataclasses import replace

from zvmcloud.simulator import spool
from zvmcloud.simulator.model import SpoolFile
from zvmcloud.simulator.model_devices import ProcessedDump
from zvmcloud.simulator.system import System

SERVER = "OPERATNS"
#: Bytes of a dump here; a real one holds storage, this one says what it is of.
_RECORD = 4096


def take(system: System, kind: str = "SNP") -> SpoolFile:
    """Write a dump of CP to the reader of OPERATNS. kind: SNP for a snap dump, or the abend's three letters."""
    number = system.next_number(f"dump.{kind}")
    code = f"{kind}{number:03d}"
    text = f"{code} {system.name} {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(system.now()))}"
    data = text.encode().ljust(_RECORD, b"\0")
    file = spool.create(system, SERVER, "SYSTEM", data, name="CPDUMP", filetype="FILE", spool_class="V", kind="DMP")
    changed = replace(file, distribution=code, records=1)
    system.spool.put(spool.key(file.owner, file.spoolid), changed)
    return changed


def waiting(system: System) -> list[SpoolFile]:
    """The dumps in the reader, oldest first."""
    return [file for file in spool.files(system, SERVER) if file.kind == "DMP"]


def process(system: System, file: SpoolFile) -> ProcessedDump:
    """Load a dump from the reader into SFS."""
    number = system.next_number("dump.processed", first=0)
    date = time.strftime("%Y-%m-%d", time.gmtime(file.created))
    dump = ProcessedDump(f"PRB{number:05d}", date, file.distribution)
    system.dumps.put(dump.name, dump)
    spool.purge(system, file)
    return dump
