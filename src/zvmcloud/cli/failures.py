"""How a command fails: one line that says what, z/VM's own words below it, what to do, and an exit code that tells
scripts which kind of failure it was."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from rich.console import Console

from zvmcloud.client import AnswerError, ClientError, ConnectionFailed, ProblemError

OK, FAILED, BAD_INPUT, NOT_FOUND, REFUSED, CONFLICT, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130

EXIT_CODES: Mapping[int, str] = {
    OK: "done",
    FAILED: "the job failed, or the manager could not do it",
    BAD_INPUT: "the command or a value is not acceptable; nothing was changed",
    NOT_FOUND: "there is none, or none that you see",
    REFUSED: "not logged in, or your role or quota does not allow it",
    CONFLICT: "it exists already, is busy, has changed meanwhile, or is in the wrong state",
    UNAVAILABLE: "the manager, the agent or the z/VM system does not answer now; try again later",
    INTERRUPTED: "interrupted with Ctrl-C; a job that was begun goes on",
}
_OF_STATUS = {
    400: BAD_INPUT,
    401: REFUSED,
    403: REFUSED,
    404: NOT_FOUND,
    409: CONFLICT,
    412: CONFLICT,
    413: BAD_INPUT,
    422: BAD_INPUT,
    429: UNAVAILABLE,
    503: UNAVAILABLE,
}
_LAYERS = {"smapi": "SMAPI", "directory": "directory manager", "cp": "CP", "linux": "Linux"}
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def code_of(error: ClientError) -> int:
    """The exit code for a failed call."""
    if isinstance(error, ConnectionFailed):
        return UNAVAILABLE
    return _OF_STATUS.get(error.status, FAILED) if isinstance(error, ProblemError) else FAILED


def fail(message: str, code: int, remedy: str = "") -> NoReturn:
    """Say what went wrong and what to do, and end with ``code``."""
    errors.print("[bold red]error:[/] ", end="")
    errors.print(message, markup=False)
    if remedy:
        errors.print("[bold]what to do:[/] ", end="")
        errors.print(remedy, markup=False)
    sys.stdout.flush()
    raise SystemExit(code)


def refuse(error: ClientError) -> NoReturn:
    """End because a call failed."""
    if isinstance(error, ProblemError):
        show_problem(error.document)
        raise SystemExit(code_of(error))
    remedy = ""
    if isinstance(error, ConnectionFailed):
        remedy = "see whether the manager runs there (zvm manager run, zvm up), or choose another with --profile"
    elif isinstance(error, AnswerError):
        remedy = "see whether the URL is that of a manager: zvm whoami"
    fail(str(error), code_of(error), remedy)


def show_problem(problem: Mapping[str, Any]) -> None:
    """A problem document: what happened, its way down to z/VM, what to do."""
    errors.print("[bold red]error:[/] ", end="")
    errors.print(str(problem.get("detail") or problem.get("title") or "unknown"), markup=False, end="")
    errors.print(f" [dim]({problem.get('code')})[/]" if problem.get("code") else "")
    for cause in problem.get("causes") or ():
        if cause["layer"] == "api":
            continue
        codes = "" if cause.get("rc") is None else f" rc {cause['rc']}"
        codes += "" if cause.get("rs") is None else f" rs {cause['rs']}"
        text = f": {cause['text']}" if cause.get("text") else ""
        errors.print(f"  {_LAYERS.get(cause['layer'], cause['layer'])} {cause['what']}{codes}{text}", markup=False)
    if problem.get("job"):
        errors.print(f"  job {problem['job']} (zvm job show {str(problem['job'])[:8]})", markup=False)
    if problem.get("remedy"):
        errors.print("[bold]what to do:[/] ", end="")
        errors.print(str(problem["remedy"]), markup=False)
