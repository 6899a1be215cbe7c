"""Names by pattern: ``web[001-100]`` is WEB001 to WEB100, ``db[1-2,7]`` is DB1, DB2, DB7; commas outside of brackets
part patterns. The form is that of the noderanges that cluster administrators write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from zvmcloud.manager.core import userid
from zvmcloud.manager.errors import BadInput

MOST = 1000
"""Names in one pattern."""
_PATTERN = re.compile(r"([^,\[\]]*)(?:\[([0-9,\s-]+)\]([^,\[\]]*))?")
_RANGE = re.compile(r"(\d{1,8})(?:-(\d{1,8}))?")


def expand(pattern: str, field: str = "names") -> tuple[str, ...]:
    """The userids that a pattern stands for, in its order. Raises BadInput: not a pattern, a name twice, or more than
    1000 names."""
    found: dict[str, None] = {}
    for part in _parts(pattern, field):
        for written in _names(part, pattern, field):
            name = userid(written, field)
            if name in found:
                raise BadInput(field, pattern, f"each name once; {name} is there twice")
            found[name] = None
            if len(found) > MOST:
                raise BadInput(field, pattern, f"at most {MOST} names")
    return tuple(found)


def _parts(pattern: str, field: str) -> Iterator[re.Match[str]]:
    at = 0
    while True:
        match = _PATTERN.match(pattern, at)
        if match is None or not match.group().strip():
            raise BadInput(field, pattern, "names such as web[001-100],db1")
        yield match
        at = match.end()
        if at == len(pattern):
            return
        if pattern[at] != ",":
            raise BadInput(field, pattern, "one pair of brackets in a name, with numbers in it: web[001-100]")
        at += 1


def _names(part: re.Match[str], pattern: str, field: str) -> Iterator[str]:
    before, ranges, after = part.group(1).strip(), part.group(2), (part.group(3) or "").strip()
    if ranges is None:
        yield before
        return
    for item in ranges.split(","):
        match = _RANGE.fullmatch(item.strip())
        if match is None:
            raise BadInput(field, pattern, "numbers and ranges in the brackets: [001-100,200]")
        low, high = match.group(1), match.group(2) or match.group(1)
        if int(high) < int(low) or int(high) - int(low) >= MOST:
            raise BadInput(field, pattern, f"ranges that go up, over at most {MOST} numbers")
        for number in range(int(low), int(high) + 1):
            yield f"{before}{number:0{len(low)}}{after}"
