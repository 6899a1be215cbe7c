"""What the simulated system does with every documented function, for `zvm simulator coverage` and the reference page.

Complete: everything that the declaration of the function carries has its effect. Partial: something is left out, and
named. Refused: the function answers that it cannot. The authority says where its behaviour is taken from: exchanges
recorded on z/VM 7.1, what several clients agree on, a document, or judgement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from zvmcloud.simulator.replay_exceptions import EXCEPTIONS
from zvmcloud.simulator.smapi import dispatch  # noqa: F401 (its imports register the handlers)
from zvmcloud.simulator.smapi.registry import AUTHORITIES, HANDLERS
from zvmcloud.smapi.registry import REGISTRY

COMPLETE, PARTIAL, REFUSED = "complete", "partial", "refused"
STATES = (COMPLETE, PARTIAL, REFUSED)
#: A handler that refuses by design says why behind this.
REFUSAL = "refused:"
_NO_HANDLER = "this system does not have the function (900/12)"


@dataclass(frozen=True, slots=True)
class Covered:
    """One function: its state, what is left out or why it is refused, where its behaviour is taken from."""

    function: str
    family: str
    state: str
    note: str
    authority: str


def covered() -> tuple[Covered, ...]:
    """All declared functions by name."""
    found = []
    for function in REGISTRY:
        registered = HANDLERS.get(function.name.upper())
        if registered is None:
            found.append(Covered(function.name, function.family, REFUSED, _NO_HANDLER, ""))
            continue
        missing = registered.missing
        if missing.startswith(REFUSAL):
            state, missing = REFUSED, missing.removeprefix(REFUSAL).strip()
        else:
            state = PARTIAL if missing else COMPLETE
        found.append(Covered(function.name, function.family, state, missing, registered.authority))
    return tuple(found)


def data() -> dict[str, object]:
    """The coverage as JSON data."""
    items = covered()
    return {
        "functions": [asdict(item) for item in items],
        "states": _counts(STATES, (item.state for item in items)),
        "authorities": _counts(AUTHORITIES, (item.authority for item in items)),
        "replay_exceptions": dict(EXCEPTIONS),
    }


def _counts(names: Iterable[str], found: Iterable[str]) -> dict[str, int]:
    counted = Counter(found)
    return {name: counted[name] for name in names}


def markdown() -> str:
    """The reference page."""
    items = covered()
    states = _counts(STATES, (item.state for item in items))
    authorities = _counts(AUTHORITIES, (item.authority for item in items))
    lines = [
        "# SMAPI functions of the simulator",
        "",
        "Made by `zvm simulator coverage --markdown`; a test checks that it is current.",
        "",
        f"{len(items)} functions: "
        + ", ".join(f"{count} {state}" for state, count in states.items())
        + ". Behaviour taken from: "
        + ", ".join(f"{name} {count}" for name, count in authorities.items())
        + ".",
        "",
        "- *recorded*: exchanges with a z/VM 7.1; *clients*: what public clients agree on; *document*: described in",
        "  one place only; *judgement*: no source says it, and the handler's docstring says what was chosen.",
        "",
        "| function | family | state | left out, or why it is refused | authority |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {item.function} | {item.family} | {item.state} | {item.note.replace('|', '/')} | {item.authority} |"
        for item in items
    ]
    lines += [
        "",
        "## Replaying the recording",
        "",
        "`zvm simulator run --preset recorded71` is the recorded system; `zvm smapi replay tests/smapi/recorded.jsonl`",
        "sends it every recorded request in the order of the file, and those that are answered otherwise once more",
        "behind the rest. The recording is sorted by name and was not made in that order: what one request creates",
        "another one, further up, has used already. In the order of the file 117 of 126 requests have the recorded",
        "codes and structure (92.9 %), with what is sent again 120 (95.2 %). Different in the order of the file:",
        "",
        "| exchange | why |",
        "|---|---|",
    ]
    lines += [f"| {label} | {reason} |" for label, reason in sorted(EXCEPTIONS.items())]
    return "\n".join(lines) + "\n"
