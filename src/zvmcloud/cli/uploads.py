"""`zvm image upload FILE`: a file of this machine becomes an image, with a bar for each of its three parts: the digest,
the bytes, and the job that checks them. An upload that was cut off is taken up again by the same command."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from zvmcloud.cli import output, profiles, progress
from zvmcloud.cli.failures import BAD_INPUT, FAILED, INTERRUPTED, errors, fail, refuse
from zvmcloud.client import Client, ClientError, ImageUpload

_PIECE = 1 << 20
Told = Callable[[int], None]


def upload(
    file: Annotated[Path, typer.Argument(help="The image's file.", show_default=False)],
    name: Annotated[str | None, typer.Argument(help="Name of the image; by default the file's.")] = None,
    project: Annotated[str, typer.Option("--project", help="Project that will own it.")] = "",
    os_version: Annotated[str, typer.Option("--os-version", help="Distribution and version, as in rhel9.2.")] = "",
    architecture: Annotated[str, typer.Option("--architecture", help="s390x, s390 or noarch.")] = "s390x",
    comments: Annotated[str | None, typer.Option("--comments", help="What it is.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Every project sees it (operators only).")] = False,
    protected: Annotated[bool, typer.Option("--protected", help="Neither deleted nor pruned.")] = False,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="To find it by.")] = None,
    form: output.Option = output.Format.TABLE,
    profile: Annotated[str | None, typer.Option("--profile", help="The manager to ask.")] = None,
) -> None:
    """Bring a file of this machine in as an image; go on where an earlier attempt was cut off."""
    tags = dict(word.partition("=")[::2] for word in tag or [])
    about: dict[str, Any] = {
        "name": name or file.name,
        "project": project,
        "os_version": os_version,
        "architecture": architecture,
        "comments": comments,
        "public": public,
        "protected": protected,
        "tags": tags,
    }
    found = profiles.named(profile) if profile else profiles.current()
    try:
        with file.open("rb") as source, found.client() as client:
            size = file.stat().st_size
            with _bar(f"digest of {file.name}", size) as told:
                about |= {"bytes": size, "sha256": _digest(source, told)}
            job = _sent(client, source, about)
            ended = progress.wait(client, job)
            if ended["state"] != "done":
                progress.ended(ended)
                raise SystemExit(FAILED)
            image = client.image(about["name"])
    except ClientError as error:
        refuse(error)
    except OSError as error:
        fail(f"{error.filename or file}: {error.strerror}", BAD_INPUT)
    except KeyboardInterrupt:
        errors.print("stopped; the same command goes on where it was", style="dim")
        raise SystemExit(INTERRUPTED) from None
    output.write(image, form, "image")


COMMANDS: dict[str, Callable[..., None]] = {"upload": upload}
"""Commands of the noun image that are made by hand."""


def _digest(source: BinaryIO, told: Told) -> str:
    digest = hashlib.sha256()
    while data := source.read(_PIECE):
        digest.update(data)
        told(source.tell())
    return digest.hexdigest()


def _sent(client: Client, source: BinaryIO, about: dict[str, Any]) -> dict[str, Any]:
    """Send what the manager does not have yet; the job that checks the image."""
    begun = [found for found in client.uploads() if _same(found, about)]
    sending = ImageUpload.taken_up(client, begun[0]) if begun else ImageUpload(client, about)
    source.seek(sending.sent)
    if sending.sent:
        errors.print(f"{sending.sent} of {about['bytes']} bytes are there already; it goes on behind them", style="dim")
    with _bar(f"sending {about['name']}", about["bytes"]) as told:
        while data := source.read(_PIECE):
            sending.write(data)
            told(sending.sent)
        sending.flush()
        told(sending.sent)
    return {"id": sending.id}


def _same(found: dict[str, Any], about: dict[str, Any]) -> bool:
    return all(found.get(name) == about[name] for name in ("name", "bytes", "sha256"))


@contextmanager
def _bar(what: str, size: int) -> Iterator[Told]:
    """A bar on a terminal; nothing elsewhere."""
    columns = (
        TextColumn("{task.description}"), BarColumn(24), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        task = bars.add_task(what, total=size)
        yield lambda done: bars.update(task, completed=done)
