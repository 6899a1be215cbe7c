"""Regular expressions of grep, sed, awk and the shell, basic and extended, run by Python's `re`.

One that repeats a repeated group is refused, because it could take for ever.
"""

from __future__ import annotations

import re

_NESTED = re.compile(r"\([^)]*[*+{][^)]*\)\s*[*+{]")


def pattern(text: str, flags: int = 0, *, extended: bool = False) -> re.Pattern[str] | None:
    """A basic or extended regular expression; None when it is none or too costly."""
    if not extended:
        # In basic expressions \| and \( are the special forms, and | and ( stand for themselves.
        text = re.sub(r"\\?[|()+?{}]", lambda found: found[0][1:] or f"\\{found[0]}", text)
    if len(text) > 500 or _NESTED.search(text):
        return None
    try:
        return re.compile(text, flags)
    except re.error:
        return None
