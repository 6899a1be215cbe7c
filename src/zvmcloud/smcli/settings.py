"""Where SMAPI is and who asks: environment variables, else a TOML file, else this machine's port 44444.

    [smapi]
    host = "127.0.0.1"      port = 44444      userid = "MAINT"
    password_file = "path"  (or password)     retry = true
    tls = false             ca = "path"       verify = true

The file is the one that ZVM_SMCLI_SETTINGS names, else ~/.config/zvmcloud/smcli.toml, else /etc/zvmcloud/smcli.toml.
ZVM_SMAPI_HOST, _PORT, _USERID, _PASSWORD, _PASSWORD_FILE, _TLS, _CA and _RETRY go before it.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zvmcloud.smapi.client import DEFAULT_PORT, Tls

_YES = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}


class SettingsError(ValueError):
    """The settings cannot be used; the text names the member, its limit and where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to reach SMAPI. `retry`: try a refused connection again for about a minute, as smcli always did."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    userid: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    tls: bool = False
    ca: str = ""
    verify: bool = True
    retry: bool = True

    def secret(self) -> str:
        """The password. SettingsError when there is none."""
        if self.password_file:
            try:
                return Path(self.password_file).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"password_file {self.password_file} cannot be read: {error}") from None
        if not self.password:
            raise SettingsError("there is no password: set password_file in the settings or ZVM_SMAPI_PASSWORD_FILE")
        return self.password

    def security(self) -> Tls | None:
        """TLS as wished; None for none."""
        if not (self.tls or self.ca):
            return None
        return Tls(ca_file=Path(self.ca) if self.ca else None, verify=self.verify)


def load(environment: Mapping[str, str], home: Path) -> Settings:
    """Read the settings. SettingsError names what is wrong with them."""
    file = environment.get("ZVM_SMCLI_SETTINGS", "")
    places = [Path(file)] if file else [home / ".config/zvmcloud/smcli.toml", Path("/etc/zvmcloud/smcli.toml")]
    settings = Settings()
    for place in places:
        if file or place.exists():
            settings = _from_file(place)
            break
    given: dict[str, object] = {}
    for member in dataclasses.fields(Settings):
        name = f"ZVM_SMAPI_{member.name.upper()}"
        if name in environment:
            given[member.name] = _typed(name, environment[name], member.default)
    if "password" in given:
        given.setdefault("password_file", "")
    settings = dataclasses.replace(settings, **given)  # type: ignore[arg-type]
    if not 1 <= settings.port <= 65535:
        raise SettingsError(f"port {settings.port} is not between 1 and 65535")
    if not settings.userid:
        raise SettingsError("there is no userid: set userid in the settings or ZVM_SMAPI_USERID")
    return settings


def _from_file(path: Path) -> Settings:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    table = document.get("smapi", {})
    unknown = [name for name in document if name != "smapi"]
    if not isinstance(table, dict) or unknown:
        raise SettingsError(f"{path}: {unknown[0] if unknown else 'smapi'} is not known; there is one table, [smapi]")
    known = {member.name: member.default for member in dataclasses.fields(Settings)}
    for name, value in table.items():
        if name not in known:
            raise SettingsError(f"{path}: smapi.{name} is not known; known are {', '.join(known)}")
        if type(value) is not type(known[name]):
            raise SettingsError(f"{path}: smapi.{name} = {value!r} must be of type {type(known[name]).__name__}")
    for name in ("password_file", "ca"):
        if table.get(name):
            table[name] = str(path.parent / table[name])
    return Settings(**table)


def _typed(name: str, text: str, default: object) -> object:
    if isinstance(default, bool):
        if text.lower() not in _YES:
            raise SettingsError(f"{name}={text!r} must be yes or no")
        return _YES[text.lower()]
    if isinstance(default, int):
        if not text.isdecimal():
            raise SettingsError(f"{name}={text!r} is not a whole number")
        return int(text)
    return text
