"""`zvm image`: make a sample image or a config drive, look into image files."""

from __future__ import annotations

import ipaddress
import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from zvmcloud.images import configdrive, header, sample

app = typer.Typer(help="Disk images and config drives.", no_args_is_help=True)

BAD_INPUT = 2


def _fail(message: str) -> NoReturn:
    print(f"zvm image: {message}", file=sys.stderr)  # noqa: T201 (errors of a command go to standard error)
    raise typer.Exit(BAD_INPUT)


@app.command("sample")
def make_sample(
    path: Annotated[Path, typer.Argument(help="File to write.")],
    cylinders: Annotated[int, typer.Option(help="Size of the disk it holds.")] = 5,
    filler: Annotated[int, typer.Option(help="Bytes of incompressible filler, for larger images.")] = 262_144,
    gzip_level: Annotated[int, typer.Option(min=0, max=9, help="0: not compressed.")] = 6,
) -> None:
    """Write a small bootable ECKD image and print what it holds as JSON."""
    try:
        made = sample.write_sample_image(path, cylinders=cylinders, filler_bytes=filler, gzip_level=gzip_level)
    except (ValueError, OSError) as error:
        _fail(str(error))
    facts = {
        "path": str(made.path.absolute()),
        "cylinders": made.cylinders,
        "bytes": made.bytes,
        "sha256": made.sha256,
        "content_sha256": made.content_sha256,
    }
    print(json.dumps(facts, indent=2))  # noqa: T201


@app.command()
def info(path: Annotated[Path, typer.Argument(help="An image file.")]) -> None:
    """Show what the header of an image file says, as JSON."""
    try:
        with path.open("rb") as file:
            found = header.parse(file.read(header.PROBE_BYTES))
    except (header.HeaderError, OSError) as error:
        _fail(str(error))
    facts = {"kind": str(found.kind), "size": found.size, "unit": found.unit, "gzip_level": found.gzip_level}
    print(json.dumps({**facts, "body_offset": found.body_offset, "bytes": path.stat().st_size}, indent=2))  # noqa: T201


@app.command("config-drive")
def make_config_drive(
    path: Annotated[Path, typer.Argument(help="File to write (iso9660, label config-2).")],
    hostname: Annotated[str, typer.Option(help="Host name of the guest.")],
    address: Annotated[
        list[str] | None, typer.Option(help="Address with prefix length, 192.0.2.10/24; repeat for more interfaces.")
    ] = None,
    mac: Annotated[list[str] | None, typer.Option(help="MAC address of each interface, in the same order.")] = None,
    gateway: Annotated[str, typer.Option(help="Gateway of the first interface.")] = "",
) -> None:
    """Write a config drive that gives a guest its host name and addresses."""
    macs = mac or []
    networks = []
    try:
        for number, text in enumerate(address or []):
            ipaddress.ip_interface(text)
            hardware = macs[number] if number < len(macs) else ""
            networks.append(configdrive.Network(address=text, gateway="" if number else gateway, mac=hardware))
        path.write_bytes(configdrive.write_iso(configdrive.tree(hostname, tuple(networks))))
    except (ValueError, OSError) as error:
        _fail(str(error))
