"""`zvm login`, `logout`, `whoami` and `init`: profiles of managers and their tokens."""

from __future__ import annotations

import getpass
import platform
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from zvmcloud.cli import output, profiles
from zvmcloud.cli.failures import BAD_INPUT, FAILED, fail, refuse
from zvmcloud.cli.processes import program
from zvmcloud.cli.profiles import Profile
from zvmcloud.client import ClientError

ProfileName = Annotated[str, typer.Option("--profile", help="Name of the profile.")]


def login(
    url: Annotated[str, typer.Argument(help="The manager: https://manager.example.com:8080")],
    user: Annotated[str, typer.Option("--user", "-u", help="Your name there (default: your name here).")] = "",
    profile: ProfileName = "default",
    ca: Annotated[Path | None, typer.Option(help="File with the authority to trust for https.")] = None,
    system: Annotated[str, typer.Option("--system", "-s", help="The z/VM system that you mostly mean.")] = "",
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="Use this token instead of a password; - for standard input.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="Read the password from here; - for standard input.")
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="The profile that is meant when none is named.")] = False,
) -> None:
    """Log in at a manager, and keep a token of twelve hours (or the one of --token-file) for the next commands."""
    wanted = Profile(profiles.checked(profile), url.rstrip("/"), str(ca.absolute()) if ca else "", system.upper())
    if not wanted.url.startswith(("http://", "https://")):
        fail(f"{url!r} is no URL of a manager", BAD_INPUT, "write it as https://HOST:PORT")
    try:
        if token_file is not None:
            token = _secret(token_file)
        else:
            name = user or getpass.getuser()
            password = _secret(password_file) if password_file else getpass.getpass(f"password of {name}: ")
            with wanted.client("") as client:
                made: Any = client.call("POST", "/login", body={"user": name, "password": password})
            token = str(made["token"])
        with wanted.client(token) as client:
            found = client.whoami()
    except ClientError as error:
        refuse(error)
    profiles.keep(wanted, token, default=default)
    output.screen.print(
        f"logged in at {wanted.url} as {found['user']} ({found['role']}), profile {profile}", markup=False
    )


def logout(profile: Annotated[str | None, typer.Option("--profile", help="Name of the profile.")] = None) -> None:
    """End the token of a profile, there and here, and forget the profile."""
    found = profiles.named(profile) if profile else profiles.current()
    if not found.name or found.name not in profiles.load().get("profiles", {}):
        fail("there is no profile to log out of", BAD_INPUT, "the token comes from the environment or from `zvm up`")
    try:
        with found.client() as client:
            client.call("POST", "/logout")
    except ClientError as error:
        output.screen.print(f"the token could not be ended there: {error}", markup=False)
    profiles.forget(found.name)
    output.screen.print(f"profile {found.name} is forgotten", markup=False)


def whoami(
    form: output.Option = output.Format.TABLE,
    profile: Annotated[str | None, typer.Option("--profile", help="The manager to ask.")] = None,
) -> None:
    """Say which manager is meant, and who you are there."""
    found = profiles.named(profile) if profile else profiles.current()
    try:
        with found.client() as client:
            answer = {"profile": found.name, "url": found.url, **client.whoami()}
    except ClientError as error:
        refuse(error)
    output.write(answer, form)


def init(
    settings: Annotated[Path | None, typer.Option(help="Settings file of the manager (TOML).")] = None,
    state: Annotated[Path | None, typer.Option(help="State folder of the manager.")] = None,
    url: Annotated[str, typer.Option(help="Where the manager will listen.")] = "http://127.0.0.1:8080",
    profile: ProfileName = "default",
) -> None:
    """Make a manager's state and its first admin token on this machine, and keep the token in a profile.

    It is `zvm manager init` with a profile; an earlier token of that name is replaced.
    """
    file = profiles.token_file(profiles.checked(profile))
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    words = ["manager", "init", "--token-file", str(file)]
    words += ["--settings", str(settings)] if settings else []
    words += ["--state", str(state)] if state else []
    done = subprocess.run(program(*words), check=False)  # noqa: S603  our own program
    if done.returncode:
        raise SystemExit(FAILED)
    profiles.keep(Profile(profile, url.rstrip("/")), file.read_text().strip(), default=False)
    output.screen.print(f"profile {profile}: admin at {url} (on {platform.node()})", markup=False)
    where = f"--settings {settings}" if settings else f"--state {state}" if state else ""
    output.screen.print(f"start it with: zvm manager run {where}".rstrip(), markup=False)


def _secret(file: Path) -> str:
    try:
        return (sys.stdin.read() if str(file) == "-" else file.read_text()).strip()
    except OSError as error:
        fail(f"{file}: {error.strerror}", BAD_INPUT)
