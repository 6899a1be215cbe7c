"""What the directory manager keeps beside the entries: prototypes, local tags, subscriptions, its modes."""

from __future__ import annotations

from dataclasses import dataclass, field

from zvmcloud.directory.source import Layout


@dataclass(frozen=True, slots=True)
class Prototype:
    """A pattern for new entries: records as an entry has them, with AUTOG and the like for space."""

    name: str
    records: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalTag:
    """A tag that entries may carry. The ordinal (0-999) is its place among the others."""

    name: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class InEffect:
    """The records of an entry as CP still sees it while changes are offline; none when CP does not know the entry."""

    records: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldDisk:
    """A minidisk that was deleted offline; CP has it until changes are put online."""

    owner: str
    vdev: str
    file: str
    """Empty once its address was given to another minidisk and its data are gone."""


@dataclass(frozen=True, slots=True)
class DirectoryMode:
    """Switches of the directory manager."""

    online: bool = True
    """Whether changes of the source directory reach the object directory at once."""
    announces_definitions: bool = False
    """Whether finished Image_Definition_* changes are announced on the event stream."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who is told of changed entries: a TCP or UDP endpoint. `userid` is an entry's name or ALL."""

    userid: str
    excluded: bool
    protocol: int
    """1 TCP, 2 UDP."""
    port: int
    address: str
    encoding: int
    """1 ASCII, 2 EBCDIC."""
    data: str = ""

    @property
    def endpoint(self) -> tuple[int, str, int, int, str]:
        """What an exclusion takes its userid out of."""
        return self.protocol, self.address, self.port, self.encoding, self.data


@dataclass(frozen=True, slots=True)
class SourceFile:
    """How an imported directory was written: what stood before the first entry, and its layout."""

    header: tuple[str, ...] = ()
    layout: Layout = field(default_factory=Layout)
    added: tuple[tuple[str, ...], ...] = ()
    """Entries that the simulator added to it: name and records."""
