"""Digests of directory entries with their passwords: they tell whether an entry has changed and nothing of what is in
it, for they are made with a key that only this agent has.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from zvmcloud.directory.statements import COLUMNS


def key(state: Path) -> bytes:
    """The key of entries' digests, made when there is none yet; readable by the agent only. Blocking."""
    path = state / "inventory.key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        state.mkdir(parents=True, exist_ok=True)
        data = secrets.token_bytes(32)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
        return data


def digest(records: Sequence[str], key: bytes) -> str:
    """What stands for the content of an entry: 64 hexadecimal digits. Padding and the directory manager's own comments
    do not count."""
    counted = [record[:COLUMNS].rstrip() for record in records]
    text = "\n".join(record for record in counted if record and not record.startswith("*DVHOPT"))
    return hmac.new(key, text.encode("utf-8", "backslashreplace"), hashlib.sha256).hexdigest()
