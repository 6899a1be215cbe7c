"""A whole source directory (USER DIRECT): read with line numbers, checked against volumes, written as it was read.

    header    DIRECTORY, GLOBALDEFS and whatever else comes before the first entry, kept as it is
    entries   USER, IDENTITY, SUBCONFIG and PROFILE in their order; comments behind an entry belong to it
    layout    width of the lines and the sequence numbers in columns 73 to 80, so that the same bytes come out

What comes out is what went in when the file is regular: blank padding to one width or none at all, sequence numbers in
equal steps or none. An irregular file is brought into the form of its first two lines, and is stable from then on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from zvmcloud.directory import statements
from zvmcloud.directory.devices import Mdisk
from zvmcloud.directory.entry import Entry
from zvmcloud.directory.extents import LARGEST_3390, Extent, Volume
from zvmcloud.directory.statements import COLUMNS, ENTRY_KEYWORDS, DirectoryError, Statement

_SEQUENCE = re.compile(r"[0-9]{8}\Z")
#: 3390 models by their number of cylinders, for volumes that only the directory knows.
_MODELS = ((3339, "3390-03"), (10017, "3390-09"), (32760, "3390-27"), (65520, "3390-54"), (LARGEST_3390, "3390-0A"))


@dataclass(frozen=True, slots=True)
class Layout:
    """How lines are written. `width` 0: no padding. `step` 0: no sequence numbers."""

    width: int = 0
    first: int = 0
    step: int = 0
    newline: str = "\n"
    ends: bool = True
    """Whether the last line ends with a newline."""

    def write(self, records: Iterable[str]) -> str:
        """The file with these records of at most 72 columns."""
        lines = []
        for number, record in enumerate(records):
            if self.step:
                lines.append(f"{record:<{COLUMNS}}{(self.first + number * self.step) % 100_000_000:08d}")
            else:
                lines.append(record.ljust(self.width))
        return self.newline.join(lines) + (self.newline if self.ends and lines else "")


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry and the line of the file at which it begins."""

    line: int
    entry: Entry

    def lines(self) -> Iterator[tuple[int, Statement]]:
        """The entry's statements with the lines at which they begin."""
        line = self.line
        for item in self.entry.statements:
            yield line, item
            line += len(item.records)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at a line of the file."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Source:
    """A source directory that was read. With problems, the entries that have them are missing."""

    header: tuple[str, ...]
    entries: tuple[Placed, ...]
    layout: Layout
    problems: tuple[Problem, ...] = ()


def read(text: str) -> Source:
    """Read a source directory; nothing is raised, every wrong line is among the problems."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(newline)
    ends = lines[-1] == ""
    if ends:
        lines.pop()
    layout = _layout(lines, newline, ends)
    problems: list[Problem] = []
    groups: list[tuple[int, list[Statement]]] = []
    header: list[str] = []
    for line, item in _statements(lines, problems):
        if item.keyword in ENTRY_KEYWORDS:
            groups.append((line, [item]))
        elif groups:
            groups[-1][1].append(item)
        else:
            header += item.records
    entries: dict[str, Placed] = {}
    for line, items in groups:
        try:
            entry = Entry.of(items, line)
        except DirectoryError as error:
            problems.append(Problem(error.line, f"{error.operand} {error.value!r}: {error.limit}"))
            continue
        if entry.name in entries:
            problems.append(Problem(line, f"{entry.name} is defined at line {entries[entry.name].line} already"))
            continue
        entries[entry.name] = Placed(line, entry)
    return Source(tuple(header), tuple(entries.values()), layout, tuple(sorted(problems, key=lambda item: item.line)))


def _statements(lines: list[str], problems: list[Problem]) -> Iterator[tuple[int, Statement]]:
    """Statements with their first line. A record that cannot be read is a problem and is left out."""
    pending: list[str] = []
    for number, line in enumerate(lines, 1):
        pending.append(line)
        text = line[:COLUMNS].rstrip()
        if text.endswith(",") and not text.lstrip().startswith("*") and number < len(lines):
            continue
        start = number - len(pending) + 1
        try:
            for item in statements.split(pending, first_line=start, verbatim=True):
                yield start, item
                start += len(item.records)
        except DirectoryError as error:
            problems.append(Problem(error.line, f"{error.operand}: {error.limit}"))
        pending = []


def _layout(lines: list[str], newline: str, ends: bool) -> Layout:
    numbers = [int(line[COLUMNS:]) if _SEQUENCE.match(line[COLUMNS:]) else -1 for line in lines]
    if lines and all(number >= 0 for number in numbers):
        step = numbers[1] - numbers[0] if len(numbers) > 1 else numbers[0]
        return Layout(0, numbers[0], step if step > 0 else 10, newline, ends)
    widths = {len(line) for line in lines}
    return Layout(widths.pop() if widths in ({72}, {80}) else 0, newline=newline, ends=ends)


def write(header: Iterable[str], entries: Iterable[Iterable[str]], layout: Layout) -> str:
    """The file with this header and the records of these entries."""
    records = list(header)
    for entry in entries:
        records += entry
    return layout.write(records)


# -- space ------------------------------------------------------------------------------------------------------------


def places(source: Source) -> Iterator[tuple[int, Entry, Mdisk]]:
    """Every minidisk with a place on a volume, with its line."""
    for placed in source.entries:
        for line, item in placed.lines():
            if item.keyword == "MDISK":
                disk = Mdisk.of(item)
                if disk.placement == "PERM":
                    yield line, placed.entry, disk


def missing_volumes(source: Source, known: Mapping[str, Volume]) -> tuple[Volume, ...]:
    """Volumes that the directory names and nobody else knows, large enough for what it has on them."""
    ends: dict[str, tuple[str, int]] = {}
    for _, _, disk in places(source):
        if disk.volser not in known:
            _, end = ends.get(disk.volser, ("", 0))
            ends[disk.volser] = (disk.device_type, max(end, (disk.start or 0) + (disk.size or 1)))
    found = []
    for volser, (device_type, end) in ends.items():
        if device_type in ("9336", "FB-512"):
            found.append(Volume(volser, "9336-ET", max(end, 2_097_152)))
        elif device_type == "3380":
            found.append(Volume(volser, "3380-K", max(end, 2655)))
        else:
            size, model = next(((size, model) for size, model in _MODELS if size >= end), (end, "3390-0A"))
            found.append(Volume(volser, model, size))
    return tuple(found)


def check_extents(source: Source, volumes: Mapping[str, Volume]) -> tuple[Problem, ...]:
    """Minidisks that are not on their volume, of another type than it, or over one another, with their lines.

    A minidisk that begins at 0 is the volume itself (full-pack minidisks do on purpose) and overlaps nothing here.
    """
    problems: list[Problem] = []
    used: dict[str, list[tuple[Extent, int, str]]] = {}
    for line, entry, disk in places(source):
        volume = volumes.get(disk.volser)
        name = f"{entry.name} {disk.vdev}"
        if volume is None:
            problems.append(Problem(line, f"MDISK {name}: volume {disk.volser} does not exist"))
            continue
        start = disk.start or 0
        extent = Extent(disk.volser, start, (volume.size - start) if disk.size is None else disk.size)
        if _family(disk.device_type) != _family(volume.device_type):
            problems.append(
                Problem(
                    line, f"MDISK {name}: {disk.device_type} is not the type of volume {disk.volser} ({volume.model})"
                )
            )
        if extent.end > volume.size or extent.size < 1:
            problems.append(
                Problem(line, f"MDISK {name}: {start} + {extent.size} is beyond volume {disk.volser} of {volume.size}")
            )
        elif start:
            used.setdefault(disk.volser, []).append((extent, line, name))
    for extents in used.values():
        last: tuple[Extent, int, str] | None = None
        for item in sorted(extents):
            if last is not None and item[0].start < last[0].end:
                # Told at the line that comes later in the file.
                (extent, line, name), other = (item, last) if item[1] > last[1] else (last, item)
                problems.append(
                    Problem(
                        line,
                        f"MDISK {name}: {extent.start} + {extent.size} on {extent.volser} overlaps {other[2]} "
                        f"({other[0].start} + {other[0].size}, line {other[1]})",
                    )
                )
            if last is None or item[0].end > last[0].end:
                last = item
    return tuple(sorted(problems, key=lambda item: item.line))


def _family(device_type: str) -> str:
    return "FBA" if device_type in ("9336", "FB-512") else device_type
