"""Which manager a command talks to, and with which token.

Profiles are in ``~/.config/zvmcloud/config.toml``; each one's token is a file of its own beside it that only its owner
can read. The first of these that is there counts: ``--stack`` (the state folder of a running ``zvm up``), ``--profile``
or ZVMCLOUD_PROFILE, ZVMCLOUD_URL with ZVMCLOUD_TOKEN or ZVMCLOUD_TOKEN_FILE, the default profile, a running ``zvm up``.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zvmcloud.cli.failures import BAD_INPUT, fail
from zvmcloud.client import Client

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Profile:
    """A manager: ``ca`` is a file with the authority to trust, ``system`` the z/VM system meant when none is named."""

    name: str
    url: str
    ca: str = ""
    system: str = ""

    def client(self, token: str | None = None, retries: int = 3) -> Client:
        """A connection with this profile's token (or ``token``)."""
        held = _token(self) if token is None else token
        return Client(self.url, held, ca=Path(self.ca) if self.ca else None, retries=retries)


def folder() -> Path:
    """Where profiles are kept."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "zvmcloud"


def cache() -> Path:
    """Where documents of managers are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "zvmcloud"


def token_file(name: str) -> Path:
    """Where a profile's token is."""
    return folder() / "tokens" / name


def current() -> Profile:
    """The manager that is meant; ends the program when there is none."""
    found = chosen()
    if found is None:
        fail(
            "no manager is known",
            BAD_INPUT,
            "log in with `zvm login URL`, start one here with `zvm up`, or set ZVMCLOUD_URL and ZVMCLOUD_TOKEN",
        )
    return found


def chosen() -> Profile | None:
    """The manager that is meant, None when nothing says which."""
    if stack := os.environ.get("ZVMCLOUD_STACK"):
        return _stack(Path(stack), must=True)
    if name := os.environ.get("ZVMCLOUD_PROFILE"):
        return named(name)
    if url := os.environ.get("ZVMCLOUD_URL"):
        return Profile("", url.rstrip("/"), os.environ.get("ZVMCLOUD_CA", ""), os.environ.get("ZVMCLOUD_SYSTEM", ""))
    config = load()
    if default := str(config.get("default") or ""):
        return named(default)
    return _stack(default_state(), must=False)


def named(name: str) -> Profile:
    """A profile by its name; ends the program when there is none."""
    profiles = load().get("profiles", {})
    if name not in profiles:
        known = ", ".join(profiles) or "none yet"
        fail(
            f"there is no profile {name!r}", BAD_INPUT, f"log in with `zvm login URL --profile {name}` (known: {known})"
        )
    found = profiles[name]
    return Profile(name, str(found["url"]), str(found.get("ca", "")), str(found.get("system", "")))


def load() -> dict[str, Any]:
    """The configuration; ends the program when the file makes no sense."""
    file = folder() / "config.toml"
    try:
        found = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        fail(f"{file}: {error}", BAD_INPUT, "mend it, or remove it and log in again")
    profiles = found.get("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(one, dict) and "url" in one for one in profiles.values()):
        fail(f"{file}: each [profiles.NAME] needs a url", BAD_INPUT, "mend it, or remove it and log in again")
    return found


def keep(profile: Profile, token: str, *, default: bool) -> None:
    """Write a profile and its token; the first one, or with ``default``, is the default from now on."""
    checked(profile.name)
    config = load()
    profiles = dict(config.get("profiles", {}))
    values = {"url": profile.url, "ca": profile.ca, "system": profile.system}
    profiles[profile.name] = {name: value for name, value in values.items() if value}
    chosen_default = profile.name if default or not config.get("default") else str(config["default"])
    private(token_file(profile.name), token + "\n")
    _write(chosen_default, profiles)


def forget(name: str) -> None:
    """Remove a profile and its token."""
    config = load()
    profiles = {other: values for other, values in config.get("profiles", {}).items() if other != name}
    default = str(config.get("default") or "")
    token_file(name).unlink(missing_ok=True)
    _write(default if default in profiles else next(iter(profiles), ""), profiles)


def checked(name: str) -> str:
    """A profile's name; ends the program for one that cannot be a file's."""
    if not _NAME.fullmatch(name):
        fail(f"{name!r} cannot be a profile's name", BAD_INPUT, "use 1 to 32 letters, digits, - or _")
    return name


def private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def default_state() -> Path:
    """The state folder of a `zvm up` that was not told another."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "zvmcloud" / "up"


def _write(default: str, profiles: Mapping[str, Mapping[str, str]]) -> None:
    lines = [f"default = {json.dumps(default)}", ""] if default else []
    for name, values in profiles.items():
        lines += [f"[profiles.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
    private(folder() / "config.toml", "\n".join(lines))


def _token(profile: Profile) -> str:
    stack = Path(os.environ.get("ZVMCLOUD_STACK") or default_state())
    file = token_file(profile.name)
    if not profile.name:
        if token := os.environ.get("ZVMCLOUD_TOKEN"):
            return token
        file = Path(os.environ.get("ZVMCLOUD_TOKEN_FILE", ""))
        if not file.name:
            fail("ZVMCLOUD_URL is set, but no token", BAD_INPUT, "set ZVMCLOUD_TOKEN or ZVMCLOUD_TOKEN_FILE")
    elif profile.name == _UP:
        file = Path(_facts(stack)["admin_token_file"])
    try:
        return file.read_text().strip()
    except OSError as error:
        fail(f"{file}: {error.strerror}", BAD_INPUT, f"log in again: zvm login {profile.url}")


_UP = "zvm up"
"""The profile that a running `zvm up` is; no other can have this name."""


def _stack(state: Path, *, must: bool) -> Profile | None:
    try:
        return Profile(_UP, str(_facts(state)["connector"]))
    except FileNotFoundError as error:
        if not must:
            return None
        fail(f"{error.filename} does not exist", BAD_INPUT, f"start it: zvm up --state {state}")


def _facts(state: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((state / "up.json").read_text())
    return found
