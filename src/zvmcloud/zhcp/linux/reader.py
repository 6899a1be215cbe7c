"""The virtual unit record devices through s390-tools' vmur: punch, list, read, purge.

Only one vmur may work at a time; another one that runs makes it end with a message, and it is tried again after 1, 2,
3, 5 and 10 seconds (reference/connector/flows.md section 0). The columns of `vmur list` are those of CP's QUERY RDR:
origin, spool id, class, kind, records, copies, hold, date, time, name, type (formats.md section 2).

`vmur receive` takes the file out of the reader; with --hold it stays there (s390-tools, vmur(8)), because the reader is
closed with CLOSE ... HOLD, which leaves it in user hold. A file on hold can be received again: vmur begins with CHANGE
... NOHOLD (s390-tools, vmur.c, ur_receive and order_change_reader_file).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.linux.kernel import Ended, Kernel
from zvmcloud.zhcp.machine import SpoolFile

READER, PUNCH = "000C", "000D"
PAUSES: tuple[float, ...] = (1, 2, 3, 5, 10)
_BUSY = "concurrent instance of vmur"
_CREATED = re.compile(r"spoolid\s+(\d+)", re.IGNORECASE)
_COLUMNS = 11


def parse_list(text: str) -> tuple[SpoolFile, ...]:
    """The files that `vmur list` shows; a line that is no file (the heading, CP's "no files") is left out."""
    found = []
    for words in (line.split() for line in text.splitlines()):
        if len(words) >= 5 and words[1].isdigit() and words[4].isdigit():
            name, filetype = [*words, "", ""][9:_COLUMNS] if len(words) >= _COLUMNS else ("", "")
            created = " ".join(words[7:9])
            found.append(SpoolFile(words[1], words[0], words[2], words[3], name, filetype, int(words[4]), created))
    return tuple(found)


class UnitRecord:
    """vmur of one kernel."""

    def __init__(self, kernel: Kernel, *, pauses: Sequence[float] = PAUSES) -> None:
        self._kernel = kernel
        self._pauses = pauses
        self._lock = asyncio.Lock()

    async def _vmur(self, *words: str, data: bytes = b"") -> Ended:
        async with self._lock:
            for pause in (*self._pauses, None):
                ended = await self._kernel.run(["vmur", *words], data)
                if not ended.rc or _BUSY not in ended.errors or pause is None:
                    break
                await asyncio.sleep(pause)
        if ended.rc:
            busy = _BUSY in ended.errors
            raise AgentError(
                503 if busy else 502, "vmur-busy" if busy else "vmur-failed",
                f"vmur {words[0]} ended with {ended.rc}: {ended.errors[-300:]}", retryable=busy,
                remedy="see whether another vmur runs on the agent's Linux" if busy else "see lscss and dmesg",
            )  # fmt: skip
        return ended

    async def punch(self, name: str, filetype: str, data: bytes) -> str:
        """Make a reader file of our own; its spool id. AgentError 502 `vmur-failed`, 503 `vmur-busy`."""
        ended = await self._vmur("punch", "-r", "-f", "-N", f"{name}.{filetype}" if filetype else name, data=data)
        found = _CREATED.search(f"{ended.output.decode('utf-8', 'replace')} {ended.errors}")
        if found is None:
            raise AgentError(502, "vmur-failed", "vmur punch does not say which spool file it made")
        return found[1].zfill(4)

    async def files(self) -> tuple[SpoolFile, ...]:
        """What is in our reader."""
        return parse_list((await self._vmur("list")).output.decode("utf-8", "replace"))

    async def read(self, spoolid: str) -> bytes:
        """The content of a file of our reader, a console log as text. AgentError 404 `spool-file-unknown`."""
        file = next((item for item in await self.files() if int(item.spoolid) == int(spoolid)), None)
        if file is None:
            raise AgentError(404, "spool-file-unknown", f"there is no spool file {spoolid} in the agent's reader")
        text = ("-t",) if file.type == "CON" else ()
        return (await self._vmur("receive", *text, "-H", "-O", file.spoolid)).output

    async def purge(self, spoolid: str) -> None:
        """Throw a file of our reader away."""
        await self._vmur("purge", "-f", spoolid)
