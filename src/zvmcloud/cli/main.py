"""The entry point `zvm`: picks the program that the first word names, and loads only that.

Programs are fixed; the nouns of a manager (guest, image, job, ...) come from the manager itself
(:mod:`zvmcloud.cli.generated`). A noun can be both: `zvm image inspect` works on a file, `zvm image list` asks the
manager.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from zvmcloud import __version__

PROGRAMS = {
    "up": ("zvmcloud.cli.up", "start a z/VM in software, its agent and a manager in one process tree"),
    "demo": ("zvmcloud.cli.demo", "deploy a Linux guest on a z/VM in software and show what happened"),
    "manager": ("zvmcloud.api.program", "run the management node and its HTTP doors"),
    "zhcp": ("zvmcloud.zhcp.program", "run the agent of one z/VM system"),
    "simulator": ("zvmcloud.simulator.program", "run a z/VM in software"),
    "image": ("zvmcloud.images.program", "make a sample image or a config drive, look into image files"),
    "smapi": ("zvmcloud.smapi.program", "look SMAPI functions up, call them, check recordings"),
    "openstack": ("zvmcloud.cli.openstack", "print the settings of OpenStack's services for a z/VM system"),
    "smcli": ("zvmcloud.smcli.program", "call a SMAPI function as the smcli of xCAT and Feilong does, for scripts"),
}
"""Command -> module with a typer application named `app`, and one line of help."""
SESSION = {
    "login": "log in at a manager, and keep the token in a profile",
    "logout": "end a profile's token and forget the profile",
    "whoami": "say which manager is meant, and who you are there",
    "init": "make a manager's first admin token on this machine",
}
"""Commands of :mod:`zvmcloud.cli.session`."""
_COMPLETION = "_ZVM_COMPLETE"
_GLOBAL = {"--profile": "ZVMCLOUD_PROFILE", "--stack": "ZVMCLOUD_STACK"}
BAD_INPUT = 2


def overview(nouns: Sequence[str]) -> str:
    """What `zvm --help` says; ``nouns`` of the manager that is meant."""
    told = {name: summary for name, (_, summary) in PROGRAMS.items() if name not in nouns}
    width = max(map(len, (*PROGRAMS, *SESSION, *nouns)))

    def lines(commands: dict[str, str]) -> list[str]:
        return [f"  {name:<{width}}  {summary}" for name, summary in commands.items()]

    asked = [f"  {noun:<{width}}  {_VERBS.get(noun, '')}".rstrip() for noun in nouns]
    missing = ["  (none is known: `zvm login URL`, or start one here with `zvm up`)"]
    return "\n".join(
        [
            "Usage: zvm [--profile NAME] COMMAND [ARGS]...      zvm COMMAND --help tells more",
            "",
            "Open cloud management for IBM z/VM.",
            "",
            "Log in:",
            *lines(SESSION),
            "",
            "Ask and change what a manager has:",
            *(asked or missing),
            "",
            "Programs:",
            *lines(told),
            "",
            "Options:",
            "  --profile NAME        the manager to ask; see `zvm login`",
            "  --stack FOLDER        the manager of the `zvm up` with this state folder",
            "  --install-completion  complete words in your shell with the Tab key",
            "  --version, --help",
        ]
    )


def main() -> None:
    """Run `zvm`."""
    if _COMPLETION in os.environ or sys.argv[1:2] in (["--install-completion"], ["--show-completion"]):
        _complete()
        return
    words = _global(sys.argv[1:])
    if not words or words[0] in ("--help", "-h", "help"):
        print(overview(_nouns()))
        return
    if words[0] == "--version":
        print(f"zvm {__version__}")
        return
    name, rest = words[0], words[1:]
    if name in SESSION:
        _call(_session(), words, "zvm")
    elif name in PROGRAMS and not _asks(name, rest):
        _call(importlib.import_module(PROGRAMS[name][0]).app, rest, f"zvm {name}")
    else:
        from zvmcloud.cli import catalog  # noqa: PLC0415  a program needs no manager
        from zvmcloud.cli.failures import refuse  # noqa: PLC0415
        from zvmcloud.client import ClientError  # noqa: PLC0415

        try:
            found = catalog.known()
        except ClientError as error:
            refuse(error)
        nouns = {operation.noun for operation in found}
        if name not in nouns:
            _unknown(name, nouns)
        _call(_noun(name, found), rest, f"zvm {name}")


_VERBS: dict[str, str] = {}
"""The verbs of each noun, for the overview."""


def _nouns() -> list[str]:
    from zvmcloud.cli import catalog  # noqa: PLC0415
    from zvmcloud.client import ClientError  # noqa: PLC0415

    try:
        found = catalog.known()
    except ClientError as error:
        _VERBS[""] = f"({error})"
        return [""]
    for operation in found:
        _VERBS[operation.noun] = ", ".join(one.verb for one in found if one.noun == operation.noun)
    return sorted(_VERBS)


def _asks(name: str, rest: Sequence[str]) -> bool:
    """Whether a word that is a program's and perhaps a noun too is meant as the noun: its program lacks the verb."""
    if name != "image":
        return False
    own = {command.name for command in importlib.import_module(PROGRAMS[name][0]).app.registered_commands}
    own |= {command.callback.__name__ for command in importlib.import_module(PROGRAMS[name][0]).app.registered_commands}
    return not rest or rest[0] not in own


def _noun(name: str, found: Sequence[object]) -> object:
    """The application of a noun: what the manager offers, and the program of that name."""
    import typer  # noqa: PLC0415

    from zvmcloud.cli import consoles, generated, uploads  # noqa: PLC0415

    verbs = {operation.verb for operation in found if operation.noun == name}  # type: ignore[attr-defined]
    app = typer.Typer(help=f"{name}: {', '.join(sorted(verbs))}.", no_args_is_help=True, add_completion=False)
    if name in PROGRAMS:
        app.registered_commands += importlib.import_module(PROGRAMS[name][0]).app.registered_commands
    by_hand: dict[str, dict[str, Callable[..., None]]] = {"guest": consoles.COMMANDS, "image": uploads.COMMANDS}
    own = by_hand.get(name, {})
    for verb, command in own.items():
        app.command(verb)(command)
    app.callback()(lambda: None)
    rest = [operation for operation in found if operation.verb not in own or operation.noun != name]  # type: ignore[attr-defined]
    return generated.commands(name, rest, app)  # type: ignore[arg-type]


def _session() -> object:
    import typer  # noqa: PLC0415

    from zvmcloud.cli import session  # noqa: PLC0415

    app = typer.Typer(add_completion=False)
    for name in SESSION:
        app.command(name)(getattr(session, name))
    return app


def _call(app: object, words: Sequence[str], name: str) -> None:
    app(args=list(words), prog_name=name)  # type: ignore[operator]


def _global(words: Sequence[str]) -> list[str]:
    """The words without the options that say which manager is meant; those go into the environment."""
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            return [*kept, word, *rest]
        if name in _GLOBAL and (kept[:1] not in ([one] for one in (*PROGRAMS, *SESSION)) or kept[:1] == ["image"]):
            if not equals:
                value = rest.pop(0) if rest else ""
            os.environ[_GLOBAL[name]] = value
        else:
            kept.append(word)
    return kept


def _unknown(name: str, nouns: set[str]) -> None:
    near = difflib.get_close_matches(name, [*PROGRAMS, *SESSION, *nouns], n=1)
    if near:
        hint = f"; did you mean {near[0]!r}?"
    elif nouns:
        hint = "; `zvm --help` lists the commands"
    else:
        hint = "; commands about guests, images and jobs need a manager: `zvm login URL`, or start one with `zvm up`"
    print(f"zvm: there is no command {name!r}{hint}", file=sys.stderr)
    raise SystemExit(BAD_INPUT)


def _complete() -> None:
    """Complete words: only what the first word names is loaded, and the manager is asked only when nothing is kept."""
    import typer  # noqa: PLC0415

    from zvmcloud.cli import catalog  # noqa: PLC0415

    typed = (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()[1:2]
    app = typer.Typer(name="zvm", help="Open cloud management for IBM z/VM.")
    app.callback()(lambda: None)
    session = _session()
    app.registered_commands += session.registered_commands  # type: ignore[attr-defined]
    found = catalog.known(ask=False)
    for noun in sorted({operation.noun for operation in found}):
        application = _noun(noun, found) if typed == [noun] else typer.Typer(callback=lambda: None)
        app.add_typer(application, name=noun)  # type: ignore[arg-type]
    for name, (module, summary) in PROGRAMS.items():
        if name in {operation.noun for operation in found}:
            continue
        application = importlib.import_module(module).app if typed == [name] else typer.Typer(callback=lambda: None)
        app.add_typer(application, name=name, help=summary)
    app(args=sys.argv[1:], prog_name="zvm")
