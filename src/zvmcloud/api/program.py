"""The manager's program: both front doors on one port.

``run`` serves until SIGTERM or SIGINT, then finishes the answers under way and leaves durable jobs to the next start.
``init`` makes the state folder, the connector's admin secret and the first API token.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from zvmcloud.api.connector.routes import application as connector
from zvmcloud.api.connector.sockets import HOST, SocketDoor
from zvmcloud.api.connector.tokens import Door, OpenDoor, make_secret
from zvmcloud.api.farewell import Farewell
from zvmcloud.api.v1.app import application as native
from zvmcloud.manager.database import Database
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.identity.tokens import Tokens
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings import Settings, SettingsError
from zvmcloud.manager.settings_file import load
from zvmcloud.quick_http import QuickProtocol
from zvmcloud.serving import Server, TakenError, alone, tcp_door

app = typer.Typer(help="The management node: HTTP doors, jobs, images.", no_args_is_help=True)

_GRACE = 3
"""Seconds that answers under way get when the program is told to stop; jobs that take longer go on at the next
start."""
_SECRET_FILE = "connector.token"  # noqa: S105  a name


def doors(node: Node) -> Starlette:
    """The ASGI application with both doors: ``/v1`` and, at the root, the connector's API."""
    door = Door(node.settings.connector, node.settings.folder / _SECRET_FILE)
    mount = Mount("/v1", native(node))
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)  # a newline in a path is no way out of /v1
    return connector(node, door, [mount])


async def socket_door(node: Node) -> tuple[SocketDoor, int] | None:
    """The listener of the connector's socket protocol and its port, if the settings ask for it. OSError when the port
    is taken."""
    settings = node.settings.connector
    if settings.socket_port < 0:
        return None
    door = SocketDoor(connector(node, OpenDoor(settings, node.settings.folder / _SECRET_FILE)))
    return door, await door.start(settings.socket_port)


async def serve(settings: Settings, *, announce: bool = True, token_file: Path | None = None) -> None:
    """Serve until a signal comes, or another manager has the database. The port is bound first, so port 0 works and
    agents get the right URL.

    A first admin token goes to ``token_file``, readable by its owner only; without one it is shown. TakenError when
    another manager uses the state folder, Conflict (node-running) when one uses the database.
    """
    with alone(settings.state, "manager"):
        await _serve(settings, announce=announce, token_file=token_file)


async def _serve(settings: Settings, *, announce: bool, token_file: Path | None) -> None:
    listeners = [_listen(settings.host, settings.port)]
    host, port = listeners[0].getsockname()[:2]
    settings = settings.listening(settings.host, port)
    await asyncio.to_thread(make_secret, settings.folder / _SECRET_FILE)
    node = await Node.open(settings)
    sockets: tuple[SocketDoor, int] | None = None
    try:
        own = [system.connector_port for system in settings.systems if system.connector_port]
        listeners.extend(_listen(settings.host, wanted) for wanted in own)
        if token_file is not None and node.new_admin_token is not None:
            await asyncio.to_thread(_keep, token_file, node.new_admin_token)
        await node.start()
        sockets = await socket_door(node)
        server = Server(
            uvicorn.Config(
                Farewell(doors(node), node),
                http=QuickProtocol,
                proxy_headers=False,  # X-Forwarded-For would let any local process choose its address
                loop="asyncio",
                lifespan="off",
                access_log=False,
                log_level="warning",
                timeout_graceful_shutdown=_GRACE,
                timeout_keep_alive=30,
                ssl_certfile=settings.tls_certificate or None,
                ssl_keyfile=settings.tls_key or None,
            )
        )
        if announce:
            scheme = "https" if settings.tls_certificate else "http"
            systems = ", ".join(system.name for system in settings.systems) or "no system yet"
            _say(f"manager listens on {scheme}://{f'[{host}]' if ':' in host else host}:{port} ({systems})")
            for system in settings.systems:
                if system.connector_port:
                    _say(f"connector of {system.name} on port {system.connector_port}")
            if sockets is not None:
                _say(f"socket protocol on {HOST} port {sockets[1]}")
            if node.new_admin_token is not None and token_file is None:
                _say(f"admin token (shown once): {node.new_admin_token}")

        def leave() -> None:
            node.stopping = True
            server.leave()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, leave)
        replaced = asyncio.create_task(node.replaced.wait())
        replaced.add_done_callback(lambda task: None if task.cancelled() else leave())
        gc.freeze()  # what is loaded stays; looking at all of it again stops everybody for some 50 ms
        await server.serve(sockets=listeners)
        replaced.cancel()
    finally:
        if sockets is not None:
            await sockets[0].close()
        await node.close()
        for listener in listeners:
            listener.close()


async def initialize(settings: Settings) -> tuple[str, str]:
    """Make the state and a new API token named admin. Returns (API token, connector admin secret)."""
    secret = await asyncio.to_thread(make_secret, settings.folder / _SECRET_FILE)
    database = await Database.open(settings.database_url)
    try:
        return await Tokens(database).admin(), secret
    finally:
        await database.close()


@app.command()
def run(
    settings: Annotated[Path | None, typer.Option(help="Settings file (TOML).")] = None,
    state: Annotated[Path | None, typer.Option(help="Folder for database, images and keys.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.")] = None,
    system: Annotated[list[str] | None, typer.Option(help="NAME=URL of a z/VM system's zHCP; may be repeated.")] = None,
    import_folder: Annotated[
        list[Path] | None, typer.Option(help="Files below may be imported; may be repeated.")
    ] = None,
    open_from: Annotated[
        list[str] | None, typer.Option(help="Connector clients here need no token; may be repeated.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Write a first admin token here instead of showing it.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v")] = False,
) -> None:
    """Serve the connector API and /v1."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("httpx", "httpcore"):  # their lines have whole URLs, with the credentials in them
        logging.getLogger(name).setLevel(logging.WARNING)
    found = _settings(settings, state, host, port, system, import_folder, open_from)
    try:
        asyncio.run(serve(found, token_file=token_file))
    except OSError as error:
        raise _unusable(found, error) from error
    except ManagerError as error:
        raise SystemExit(f"zvm manager: {error.detail}; {error.remedy}") from None


@app.command()
def init(
    settings: Annotated[Path | None, typer.Option(help="Settings file (TOML).")] = None,
    state: Annotated[Path | None, typer.Option(help="Folder for database, images and keys.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="Write the admin token here instead of showing it.")] = None,
) -> None:
    """Make the state folder and print the secrets. Replaces an earlier admin token."""
    found = _settings(settings, state)
    try:
        token, secret = asyncio.run(initialize(found))
    except OSError as error:
        raise _unusable(found, error) from error
    if token_file is not None:
        _keep(token_file, token)
    else:
        _say(f"admin token for /v1 (stored as a hash only, keep it): {token}")
    _say(f"connector admin secret (X-Admin-Token of POST /token): {secret}")


def _unusable(settings: Settings, error: OSError) -> SystemExit:
    if isinstance(error, TakenError):
        return SystemExit(f"zvm manager: {error}; stop it, or give this one a state folder of its own")
    place = error.filename or settings.state
    return SystemExit(f"zvm manager: {place}: {error.strerror or error} (state folder: {settings.state})")


def _settings(
    path: Path | None,
    state: Path | None,
    host: str | None = None,
    port: int | None = None,
    systems: list[str] | None = None,
    folders: list[Path] | None = None,
    open_from: list[str] | None = None,
) -> Settings:
    try:
        found = load(
            path,
            state=str(state) if state else None,
            host=host,
            port=port,
            import_folders=[str(folder) for folder in folders] if folders else None,
            systems=[_system(text) for text in systems] if systems else None,
        )
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from error
    if open_from:
        found = replace(found, connector=replace(found.connector, mode="open", open_from=tuple(open_from)))
    return found


def _system(text: str) -> dict[str, object]:
    name, equals, url = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=URL", param_hint="--system")
    return {"name": name, "url": url}


def _listen(host: str, port: int) -> socket.socket:
    try:
        return tcp_door(host, port)
    except OSError as error:
        raise SystemExit(f"cannot listen on {host} port {port}: {error.strerror}") from error


def _keep(path: Path, secret: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secret + "\n")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    app()
