"""Local tags: text that an entry carries under a name of the installation, as named comment records.

    *TAG1: Val1                    one record, or as many as the text needs, each with the tag's name

Tags are listed by their ordinals behind the statements. Their text keeps its letters (recorded); nothing else in an
entry does. What is replaced in a tag is replaced by the records that come with the entry, as for statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zvmcloud.directory.statements import COLUMNS
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import DirectoryEntry
from zvmcloud.simulator.model_directory import LocalTag
from zvmcloud.simulator.system import System

DUPLICATE_NAME = (432, 4)
NOT_DEFINED = (432, 8)
DUPLICATE_ORDINAL = (432, 12)
IN_USE = (432, 16)
Tags = tuple[tuple[str, ...], ...]


def define(system: System, name: str, ordinal: int) -> None:
    """A new tag. Refused 432/4 when the name, 432/12 when the ordinal is in use."""
    if name in system.local_tags:
        raise Refused(*DUPLICATE_NAME)
    _check_ordinal(system, name, ordinal)
    system.local_tags.put(name, LocalTag(name, ordinal))


def change(system: System, name: str, ordinal: int) -> None:
    """Another ordinal for a tag. Refused 432/8 when it is not defined, 432/12 when another tag has the ordinal."""
    if name not in system.local_tags:
        raise Refused(*NOT_DEFINED)
    _check_ordinal(system, name, ordinal)
    system.local_tags.put(name, LocalTag(name, ordinal))


def _check_ordinal(system: System, name: str, ordinal: int) -> None:
    if any(tag.ordinal == ordinal and tag.name != name for tag in system.local_tags.values()):
        raise Refused(*DUPLICATE_ORDINAL)


def delete(system: System, name: str) -> None:
    """Forget a tag. Refused 432/8 when it is not defined, 432/16 while an entry carries it."""
    if name not in system.local_tags:
        raise Refused(*NOT_DEFINED)
    if any(tag[0] == name for record in system.entries.values() for tag in record.tags):
        raise Refused(*IN_USE)
    system.local_tags.remove(name)


def value(record: DirectoryEntry, name: str) -> str:
    """What the entry carries under a tag; empty when nothing."""
    return next((tag[1] for tag in record.tags if tag[0] == name), "")


def with_value(system: System, tags: Tags, name: str, text: str) -> Tags:
    """The tags of an entry with one set. Refused 432/8 when it is not defined."""
    if name not in system.local_tags:
        raise Refused(*NOT_DEFINED)
    return (*(tag for tag in tags if tag[0] != name), (name, text))


def render(system: System, tags: Tags) -> tuple[str, ...]:
    """The records of an entry's tags, at most 72 columns each."""
    if not tags:
        return ()
    return records({name: tag.ordinal for name, tag in system.local_tags.items()}, tags)


def records(ordinals: Mapping[str, int], tags: Tags) -> tuple[str, ...]:
    """The records of tags, whose ordinals are given; of others nothing."""
    found = [(ordinals[name], name, text) for name, text in tags if name in ordinals]
    lines: list[str] = []
    for _, name, text in sorted(found):
        prefix = f"*{name}: "
        rest = text
        while rest:
            end = min(len(rest), COLUMNS - len(prefix))
            # A record must not end with a blank of the text: trailing blanks do not survive.
            while end < len(rest) and end > 1 and rest[end - 1] == " ":
                end -= 1
            lines.append(prefix + rest[:end])
            rest = rest[end:]
    return tuple(lines)


def take(system: System, records: Sequence[str]) -> tuple[tuple[str, ...], Tags]:
    """Split records into those of statements and the tags; only tags that are defined count."""
    if not len(system.local_tags):
        return tuple(records), ()
    kept: list[str] = []
    tags: dict[str, str] = {}
    for record in records:
        name, colon, text = record[:COLUMNS].partition(":")
        if colon and name.startswith("*") and name[1:].upper() in system.local_tags:
            found = name[1:].upper()
            tags[found] = tags.get(found, "") + text.removeprefix(" ").rstrip()
        else:
            kept.append(record)
    return tuple(kept), tuple(tags.items())
