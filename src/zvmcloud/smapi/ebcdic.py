"""EBCDIC as z/VM's servers speak it: code page 1047, and 924, which is 1047 with eight characters of ISO 8859-15.

Python brings neither. Both are derived here from code page 037, which it has: 1047 swaps a few characters of 037,
924 replaces eight of 1047 by the letters and the euro sign that ISO 8859-15 has in place of those of ISO 8859-1.
Newline is X'15' here, as CMS and Linux tools expect of 1047.
"""

from __future__ import annotations

_037 = bytes(range(256)).decode("cp037")


def _swapped(table: str, pairs: dict[int, str]) -> str:
    return "".join(pairs.get(code, character) for code, character in enumerate(table))


# Where 1047 differs from 037: the brackets, circumflex, not sign, Y with acute, diaeresis, and the two line ends.
CP1047 = _swapped(
    _037,
    {0x15: "\n", 0x25: "\x85", 0x5F: "^", 0xAD: "[", 0xB0: "\xac", 0xBA: "\xdd", 0xBB: "\xa8", 0xBD: "]"},
)
# Where ISO 8859-15 differs from ISO 8859-1: currency -> euro, broken bar, diaeresis, acute, cedilla, fractions.
_EURO = {"\xa4": "€", "\xa6": "Š", "\xa8": "š", "\xb4": "Ž", "\xb8": "ž", "\xbc": "Œ", "\xbd": "œ", "\xbe": "Ÿ"}
CP924 = "".join(_EURO.get(character, character) for character in CP1047)

_ENCODE = {page: {character: code for code, character in enumerate(page)} for page in (CP1047, CP924)}


def decode(data: bytes, page: str = CP1047) -> str:
    """EBCDIC bytes as text. Every byte has a character."""
    return data.decode("latin-1").translate(dict(enumerate(page)))


def encode(text: str, page: str = CP1047) -> bytes:
    """Text as EBCDIC bytes. ValueError names the first character that the page lacks."""
    table = _ENCODE[page]
    try:
        return bytes(table[character] for character in text)
    except KeyError as missing:
        raise ValueError(f"{missing.args[0]!r} does not exist in this EBCDIC code page") from None
