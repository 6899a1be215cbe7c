"""The entry point `zvm`: picks the program that the first word names, and loads only that."""

from __future__ import annotations

import difflib
import importlib
import sys

from zvmcloud import __version__

PROGRAMS = {
    "up": ("zvmcloud.cli.up", "start a z/VM in software, its agent and a manager in one process tree"),
    "demo": ("zvmcloud.cli.demo", "deploy a Linux guest on a z/VM in software and show what happened"),
    "job": ("zvmcloud.cli.jobs", "see what a manager did and does"),
    "manager": ("zvmcloud.api.program", "run the management node and its HTTP doors"),
    "zhcp": ("zvmcloud.zhcp.program", "run the agent of one z/VM system"),
    "simulator": ("zvmcloud.simulator.program", "run a z/VM in software"),
    "image": ("zvmcloud.images.program", "make a sample image or a config drive, look into image files"),
    "smapi": ("zvmcloud.smapi.program", "look SMAPI functions up, call them, check recordings"),
    "smcli": ("zvmcloud.smcli.program", "call a SMAPI function as the smcli of xCAT and Feilong does, for scripts"),
}
"""Command -> module with a typer application named `app`, and one line of help."""

BAD_INPUT = 2


def overview() -> str:
    width = max(map(len, PROGRAMS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in PROGRAMS.items()]
    return "\n".join(
        [
            "Usage: zvm COMMAND [ARGS]...      zvm COMMAND --help tells more",
            "",
            "Open cloud management for IBM z/VM.",
            "",
            "Commands:",
            *lines,
            "",
            "Options: --version, --help",
        ]
    )


def main() -> None:
    """Run `zvm`."""
    words = sys.argv[1:]
    if not words or words[0] in ("--help", "-h", "help"):
        print(overview())
        return
    if words[0] == "--version":
        print(f"zvm {__version__}")
        return
    found = PROGRAMS.get(words[0])
    if found is None:
        near = difflib.get_close_matches(words[0], PROGRAMS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; `zvm --help` lists the commands"
        print(f"zvm: there is no command {words[0]!r}{hint}", file=sys.stderr)
        raise SystemExit(BAD_INPUT)
    application = importlib.import_module(found[0]).app
    application(args=words[1:], prog_name=f"zvm {words[0]}")
