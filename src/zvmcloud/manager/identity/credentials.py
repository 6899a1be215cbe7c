"""Passwords and tokens: how they are made and how they are kept.

Passwords are kept as scrypt (N 2^14, r 8, p 1, 16 bytes of salt), tokens as SHA-256: a token has 256 random bits, so a
slow hash would protect nothing. Comparisons take the same time whatever they find.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from zvmcloud.manager.errors import BadInput

SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 256
_N, _R, _P = 2**14, 8, 1
_ABSENT = "scrypt$" + "00" * 16 + "$" + "00" * 32
"""Compared with when there is no such user, so that a wrong name takes as long as a wrong password."""


def new_token() -> str:
    """A token: 43 characters that are safe in URLs and headers."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is kept of a token: its SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()


def kept(password: str) -> str:
    """What is kept of a password. Raises BadInput: 8 to 256 characters. Takes about 50 ms: call it on a thread."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise BadInput("password", "(not shown)", f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def matches(password: str, stored: str | None) -> bool:
    """Whether it is the password that ``stored`` was made of. Takes about 50 ms: call it on a thread."""
    _, salt, expected = (stored or _ABSENT).split("$")
    found = _scrypt(password[:LONGEST_PASSWORD], bytes.fromhex(salt))
    return hmac.compare_digest(found, bytes.fromhex(expected)) and stored is not None


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=32, maxmem=64 * 2**20)
