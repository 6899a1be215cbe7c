"""Who may come in: tokens, or for configured client addresses nothing.

``POST /token`` with the admin secret in ``X-Admin-Token`` gives a token (a JWT, HS256 with that secret, with an
expiry and nothing else) for ``X-Auth-Token``. The secret lies in ``<state>/connector.token`` (mode 0600) and is read
again when the file changes, so replacing it ends all tokens. Mode "open" is for clients that
cannot send a token; it opens the door only for the addresses of ``open_from``.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import time
from pathlib import Path

import jwt
from starlette.requests import Request

from zvmcloud.manager.settings import ConnectorSettings

_BROWSER_HEADERS = ("origin", "sec-fetch-site")
NO_TOKEN_NEEDED = "server-auth-closed"  # noqa: S105  what clients are told when they need none
REFUSED = "The request carries no valid token: send the header X-Auth-Token with a token from POST /token."


class Door:
    """Decides about requests. ``path`` is the file of the admin secret."""

    def __init__(self, settings: ConnectorSettings, path: Path) -> None:
        self._settings = settings
        self._path = path
        self._open = tuple(ipaddress.ip_network(address, strict=False) for address in settings.open_from)
        self._secret = ""
        self._stamp = -1

    def admits(self, request: Request) -> bool:
        """Whether the request may pass: an open address, or a valid token."""
        if self.is_open(request):
            return True
        token = request.headers.get("x-auth-token", "")
        secret = self.secret()
        if not token or not secret:
            return False
        try:
            jwt.decode(token, secret, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return False
        return True

    def is_open(self, request: Request) -> bool:
        """Whether this client's address needs no token. A browser's does: any page it shows could send requests."""
        if self._settings.mode != "open" or request.client is None:
            return False
        if any(name in request.headers for name in _BROWSER_HEADERS):
            return False
        try:
            address = ipaddress.ip_address(request.client.host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._open)

    def issue(self, request: Request) -> str | None:
        """A new token for the holder of the admin secret, None for anyone else."""
        given = request.headers.get("x-admin-token", "").strip()
        secret = self.secret()
        if secret and given and hmac.compare_digest(given.encode(), secret.encode()):
            expires = int(time.time()) + self._settings.token_seconds
            return jwt.encode({"exp": expires}, secret, algorithm="HS256")
        return NO_TOKEN_NEEDED if self.is_open(request) else None

    def secret(self) -> str:
        """The admin secret as the file has it now; "" when there is no file."""
        try:
            stamp = self._path.stat().st_mtime_ns
        except OSError:
            self._secret, self._stamp = "", -1
            return ""
        if stamp != self._stamp:
            self._secret, self._stamp = self._path.read_text(encoding="ascii").strip(), stamp
        return self._secret


class OpenDoor(Door):
    """The door of a listener that only this machine reaches, with a protocol that has no credentials."""

    def admits(self, request: Request) -> bool:
        """Everybody who comes that way."""
        del request
        return True


def make_secret(path: Path) -> str:
    """The admin secret in ``path``, made (48 random characters, mode 0600) when it is not there. Blocking."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = secrets.token_urlsafe(36)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret + "\n")
        return secret
