"""DMSSICNF COPY: the file on MAINT's 193 disk that configures a system's SMAPI servers, read as a source of settings.

    /* comments, over several lines too */
    Authorization_Policy = Authorization_Policy_EsmAuthlist
    ZHCP_User = "ZHCP"             the agent's userid
    ZHCP_Addr = "10.10.10.20"      the address it is reached at

One `name = value` on a line; a value is a word or a text in quotes ('..' or ".."), where a doubled quote is one quote.
Names are compared without case. The file has many properties of SMAPI's own: what the agent has no use for is kept in
what `parse` returns and left alone. Sources: "SMAPI Configuration Properties" in z/VM's SMAPI book (form, policies);
the names ZHCP_User and ZHCP_Addr are those of z/VM 6.3 to 6.4 with xCAT (general knowledge, not re-checked).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LINE = re.compile(r"([A-Za-z][\w.]*)\s*=\s*(.*?)\s*;?")
_QUOTED = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")
_WORD = re.compile(r"[^\s'\"=]*")
_NOT_SET = ("", "NONE")

_MEMBERS = {
    "zhcp_user": (("smapi", "userid"), ("machine", "userid")),
    "zhcp_addr": (("listen", "host"),),
}
"""Property -> members of the settings that it stands for."""


class SiteError(ValueError):
    """A line cannot be read; the text names it."""


def parse(text: str) -> dict[str, str]:
    """The properties by their names in lower case; the last one of a name counts. SiteError names the line."""
    if text.count("/*") > len(_COMMENT.findall(text)):
        opened = text.rfind("/*")
        raise SiteError(f"line {text.count(chr(10), 0, opened) + 1}: a comment begins with /* and does not end")
    found: dict[str, str] = {}
    plain = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text)
    for number, line in enumerate(plain.splitlines(), start=1):
        if not line.strip():
            continue
        parts = _LINE.fullmatch(line.strip())
        if parts is None:
            raise SiteError(f"line {number}: {line.strip()[:60]!r} is no `name = value`")
        found[parts[1].lower()] = _value(parts[2], number)
    return found


def _value(text: str, number: int) -> str:
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        return quoted[1].replace("''", "'") if quoted[1] is not None else quoted[2].replace('""', '"')
    if _WORD.fullmatch(text) is None:
        raise SiteError(f"line {number}: {text[:60]!r} is neither one word nor a text in quotes")
    return text


def settings(properties: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The sections of the settings that the properties say something about."""
    found: dict[str, dict[str, str]] = {}
    for name, members in _MEMBERS.items():
        value = properties.get(name, "")
        if value.upper() not in _NOT_SET:
            for section, member in members:
                found.setdefault(section, {})[member] = value
    return found
