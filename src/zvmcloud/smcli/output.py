"""The lines that smcli prints for an answer, a refusal or a failure.

With --addRCheader the first line holds the codes: ``0 0 RS (details) None``, ``8 RC RS (details) text`` when z/VM
refused, ``24 0 0 (details) Input error``, and ``25 RC 0 (details) text`` when no answer was had.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zvmcloud.smapi import layout
from zvmcloud.smapi.client import is_query
from zvmcloud.smapi.codes import meaning
from zvmcloud.smapi.declare import Answer, Function, Message
from zvmcloud.smapi.errors import ConnectError, ReplyTimeout, SmapiFault, TransportError
from zvmcloud.smapi.words import layout_text
from zvmcloud.smcli.forms import ABSENT, BARE, FINE, FORMS, MEANINGS, WHOLE
from zvmcloud.smcli.options import options_of

_CONNECT_REFUSED, _TIMED_OUT, _LOST, _FAULTY_REPLY = -101, -103, -110, -4003
"""smcli's own codes (reference: smapi/return_codes.json, smcli_internal_codes)."""
_MESSAGE = {_CONNECT_REFUSED: 5004, _TIMED_OUT: 5006, _LOST: 5011, _FAULTY_REPLY: 5014}


def is_success(function: Function, rc: int, rs: int) -> bool:
    """Whether smcli takes an answer as success: both codes 0, or one of the few reason codes that it knows."""
    if function.name == "Query_API_Functional_Level":
        return rc == 0
    return rc == 0 and (rs == 0 or rs in FINE.get(function.name, frozenset()))


def success(function: Function, answer: Answer[Any], target: str, only: tuple[str, ...] = ()) -> Iterator[str]:
    """The lines of a successful answer, without the header."""
    if function.name == "Query_API_Functional_Level":
        level = answer.rs or 530
        yield f"The API functional level is z/VM V{level // 100}.{level % 100 // 10}"
    elif function.name.endswith("_Lock_Query_DM") and answer.rs == 24:
        yield f"{target} is Unlocked..."
    elif not _answers(function):
        yield "Done. New list created. " if (function.name, answer.rs) == ("Name_List_Add", 12) else "Done"
    elif answer.data is not None:
        lines = "\n".join(_reply(function, answer.data)).split("\n")
        yield from (line for line in lines if not only or any(_begins(line, word) for word in only))


def _answers(function: Function) -> bool:
    """Whether what a function returns is what it is called for, not a note on how it went."""
    return bool(function.reply_fields) and (is_query(function.name) or function.name.endswith(("_Get", "_Query_DM")))


def _begins(line: str, word: str) -> bool:
    return line.upper().startswith((f"{word.upper()}=", f"{word.upper()} "))


def _reply(function: Function, data: Message) -> Iterator[str]:
    whole = WHOLE.get(function.name)
    if whole is not None:
        yield whole.format(**_members(data))
    elif "Lock_Query" in function.name:
        kind, _, holder = str(_members(data)["lock_info"]).partition(" ")
        yield f"Locked type: {kind}"
        if kind == "IMAGE":
            yield f"Image locked by: {holder.strip()}"
    elif function.name in {"Virtual_Network_Vswitch_Query_Byte_Stats", "Virtual_Network_Vswitch_Query_IUO_Stats"}:
        yield from _counters(data, "")
        return
    alone = len(function.reply_fields) == 1
    for member in function.reply_fields:
        value = getattr(data, member.attribute)
        if isinstance(value, tuple):
            yield from _items(function, member, value)
        elif whole is None and "Lock_Query" not in function.name:
            text = str(value)
            yield text if alone or function.name.endswith("Info_Query") else f"{member.name}: {text}"


def _items(function: Function, member: layout.Field, items: tuple[object, ...]) -> Iterator[str]:
    form = FORMS.get((function.name, member.name))
    spec = member.spec
    while isinstance(spec, layout.Repeat):
        spec = spec.item
    for item in items:
        if isinstance(item, Message):
            members = _members(item)
            if form is not None:
                yield form.format(**members)
            for part in item.__fields__:
                value = getattr(item, part.attribute)
                if isinstance(value, tuple):
                    yield from _items(function, part, value)
                elif form is None:
                    yield f"{part.name}: {members[part.name]}"
            if form is None:
                yield ""
        elif isinstance(spec, layout.Limited) and spec.words and function.name not in BARE:
            words = _words(spec, str(item))
            yield form.format(**words) if form else "\n".join(f"{name}: {value}" for name, value in words.items())
        else:
            yield str(item).rstrip()


def _words(spec: layout.Limited, record: str) -> dict[str, str]:
    """The words of a record by name; an optional one that is not there is NONE."""
    names = [word.strip("[].") for word in spec.words.split()]
    return {**dict.fromkeys(names, ABSENT), **spec.split(record)}


def _members(data: Message) -> dict[str, object]:
    """A structure's values by name: numbers with a meaning as words, lists as their length."""
    found: dict[str, object] = {}
    for member in data.__fields__:
        value = getattr(data, member.attribute)
        if isinstance(value, tuple):
            found[member.name] = len(value)
        elif isinstance(value, int) and value in MEANINGS.get(member.name, {}):
            found[member.name] = MEANINGS[member.name][value]
        else:
            found[member.name] = value
    return found


def _counters(data: Message, kind: str) -> Iterator[str]:
    """Statistics of virtual switches: the number of each thing, then its counters, in the order of the reply."""
    for member in data.__fields__:
        value = getattr(data, member.attribute)
        if not isinstance(value, tuple):
            yield (
                f"vswitch name: {value}"
                if kind == "vswitch" and member.name == "switch_name"
                else (f"{member.name}: {value}")
            )
            continue
        inner = member.name.removesuffix("_array")
        yield f"{inner} count: {len(value)}"
        if inner == "vswitch":
            yield ""
        for number, item in enumerate(value, 1):
            if inner == "vswitch":
                yield f"vswitch number: {number}"
            yield from _counters(item, inner)
        if inner == "vlan":
            yield ""


def header(rs: int = 0) -> str:
    """The first line of a success."""
    return f"0 0 {rs} (details) None"


def refusal(function: Function, rc: int, rs: int, text: tuple[str, ...], *, with_header: bool) -> Iterator[str]:
    """What z/VM refused, or announces as background work."""
    described = f"ULGSMC5{rc:03}E {meaning(rc, rs, function.name)}"
    if with_header:
        yield f"8 {rc} {rs} (details) {described}"
        yield f"API issued : {function.name}"
    yield "Failed"
    yield f"  Return Code: {rc}"
    yield f"  Reason Code: {rs}"
    yield f"  Description: {described}"
    yield f"API issued : {function.name}"
    if text:
        yield f"Details: {text[0]}"
        yield from text[1:]


def failure(error: SmapiFault, *, with_header: bool) -> Iterator[str]:
    """No answer was had, or none that makes sense."""
    if isinstance(error, ConnectError):
        code = _CONNECT_REFUSED
    elif isinstance(error, ReplyTimeout):
        code = _TIMED_OUT
    else:
        code = _LOST if isinstance(error, TransportError) else _FAULTY_REPLY
    described = f"ULGSMC{_MESSAGE[code]}E {error}"
    if with_header:
        yield f"25 {code} 0 (details) {described}"
    yield "Failed"
    yield f"  Return Code: {code}"
    yield f"  Description: {described}"


def misuse(message: str, *, with_header: bool) -> Iterator[str]:
    """The command line is wrong."""
    if with_header:
        yield "24 0 0 (details) Input error"
    yield f"ERROR: {message}"


def help_text(function: Function) -> Iterator[str]:
    """What `smcli FUNCTION -h` shows: made from the declaration."""
    letters = options_of(function)
    by_name = {option.parameter: letter for letter, option in letters.items() if option.parameter}
    yield f"NAME\n  {function.name}\n"
    synopsis = " ".join(
        f"-{by_name[member.name]} {member.name}" if member.name in by_name else f"-k '{member.name}=value'"
        for member in function.fields
    )
    target = "" if "T" in letters else f"-T {function.target.name.lower()} "
    yield f"SYNOPSIS\n  smcli {function.name} {target}{synopsis} [--addRCheader] [--timeout seconds]\n"
    yield f"DESCRIPTION\n  {function.summary}\n"
    if "T" not in letters:
        yield f"  -T    {function.target.value}"
    for member in function.fields:
        letter = by_name.get(member.name)
        option = f"-{letter}" if letter else f"-k {member.name}="
        file = " (a file with one record a line)" if letter and letters[letter].from_file else ""
        need = "required" if member.required else "optional"
        yield f"  {option:<4}  {member.doc}{file}; {need}, {layout_text(member.spec)}"
    yield ""
    yield "  --addRCheader makes the first line hold the codes: 0 0 rs, 8 rc rs (z/VM refused), 24 (wrong options),"
    yield "  25 code (no answer), each followed by (details) and a text."
