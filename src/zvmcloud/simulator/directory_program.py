"""The programs `zvm simulator directory export` and `zvm simulator directory check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from zvmcloud.simulator import source_directory
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.source_directory import ENCODING

app = typer.Typer(help="The user directory as a source file (USER DIRECT).", no_args_is_help=True)


@app.command()
def export(
    state: Annotated[Path, typer.Option(help="Folder of the system's state; it may be running.")] = Path("simulator"),
    output: Annotated[Path | None, typer.Option(help="File to write; otherwise standard output.")] = None,
    member: Annotated[str, typer.Option(help="Which system, where the state holds several.")] = "",
) -> None:
    """Write the directory with its passwords. What was imported and not changed comes out as it was, byte for byte when
    its lines are regular (docs/reference/directory-manager.md)."""
    try:
        data = source_directory.export(state, member).encode(ENCODING)
    except ModelError as error:
        typer.echo(f"zvm simulator: {error}", err=True)
        raise typer.Exit(2) from error
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        output.touch(mode=0o600)
        output.write_bytes(data)
    except OSError as error:
        typer.echo(f"zvm simulator: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A source directory.")]) -> None:
    """Read a source directory and tell what is wrong with it, line by line; exit code 1 when something is."""
    try:
        found = source_directory.read(file)
    except ModelError as error:
        typer.echo(f"zvm simulator: {error}", err=True)
        raise typer.Exit(2) from error
    wrong = source_directory.problems(found, {})
    for problem in wrong:
        typer.echo(f"{file}: {problem}")
    typer.echo(f"{len(found.entries)} entries, {len(wrong)} problems")
    if wrong:
        raise typer.Exit(1)
