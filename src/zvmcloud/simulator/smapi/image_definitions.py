"""Image_Definition_*: entries by keywords. The keywords themselves are in `definition_keywords`.

Several statements of one keyword (MDISK, LINK, NICDEF, DEDICATE, SPOOL) need OPERATION=ADD to add one (recorded for
MDISK); without it the one with that address is changed. All checks are made at the end, so that storage and maximum
storage may be changed together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.directory import DirectoryError, Entry, Statement, statements
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import DirectoryEntry
from zvmcloud.simulator.smapi import definition_keywords as keywords
from zvmcloud.simulator.smapi.definition_keywords import OPERANDS, STATEMENTS
from zvmcloud.simulator.smapi.definition_values import Keyword, Values, bad_input, need, unknown
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

_DEFAULTS = {"PASSWORD": "NOLOG", "STORAGE_INITIAL": "1M", "STORAGE_MAXIMUM": "1M", "PRIVILEGE_CLASSES": "G"}
_ADDED_ALWAYS = ("CPU", "COMMAND_DEFINE_CPU", "CONSOLE")
BAD_PASSWORD = (444, 0)
DEVICES = ("CONSOLE", "DEDICATE", "NICDEF", "SPOOL")


def _split(item: str) -> tuple[str, str]:
    name, _, text = item.partition("=")
    name = name.strip().upper()
    if name not in STATEMENTS and name not in OPERANDS:
        raise unknown(name)
    return name, text.strip()


def _operand(name: str, text: str) -> str:
    if not text or len(text.split()) != 1:
        raise bad_input(name, "one word is needed")
    if name == "PASSWORD" and not statements.is_password(text):
        raise Refused(*BAD_PASSWORD)
    return text.upper()


@handles(f.ImageDefinitionCreateDM, directory=True, authority="recorded")
def image_definition_create_dm(call: Call, request: f.ImageDefinitionCreateDM) -> Done:
    target = request.target.upper()
    operands = dict(_DEFAULTS)
    made: list[Statement] = []
    for item in request.definition_create_directory_keyword_parameter_list:
        name, text = _split(item)
        if name in OPERANDS:
            operands[name] = _operand(name, text)
            continue
        keyword = STATEMENTS[name]
        statement = _made(keyword, keyword.parse(text))
        made.insert(0, statement) if name == "INCLUDE" else made.append(statement)
    if target in call.system.entries:
        raise Refused(*dm.EXISTS)
    first = _made_words("USER", "USER", target, *(operands[name] for name in OPERANDS))
    try:
        entry = Entry.of([first, *made])
    except DirectoryError as error:
        raise bad_input(error.operand, error.limit) from error
    dm.create(call.system, target, entry.render())
    return Done()


def _made(keyword: Keyword, values: Values) -> Statement:
    try:
        return keyword.make(values)
    except DirectoryError as error:
        raise bad_input(keyword.name, f"{error.operand}: {error.limit}") from error


def _made_words(keyword: str, *words: str) -> Statement:
    try:
        return statements.make(*words)
    except DirectoryError as error:
        raise bad_input(keyword, error.limit) from error


@handles(f.ImageDefinitionQueryDM, authority="recorded")
def image_definition_query_dm(call: Call, request: f.ImageDefinitionQueryDM) -> Done:
    """Keywords are looked at before the entry is (recorded for Create: 8/3002 for an entry that is not there)."""
    wanted: list[str] = []
    for text in request.definition_query_directory_keyword_parameter_list:
        for word in text.split():
            if word == "*":
                wanted = []
                break
            if word.upper() not in keywords.KEYWORDS:
                raise unknown(word)
            wanted.append(word.upper())
    record = _record(call, request.target)
    data = keywords.describe(call.system, record.entry, tuple(wanted))
    return Done(f.ImageDefinitionQueryDMReply(directory_information_data=data))


def _record(call: Call, name: str) -> DirectoryEntry:
    """An entry of any kind. Refused 400/4."""
    found = call.system.entries.get(name.upper())
    if found is None:
        raise Refused(*dm.NOT_FOUND)
    return found


def _unlocked(call: Call, name: str) -> DirectoryEntry:
    return dm.unlocked(call.system, name, profile=_record(call, name).entry.kind == "PROFILE")


# -- changes ----------------------------------------------------------------------------------------------------------


class _Edit:
    """An entry while it is changed: checked and stored at the end, or before a minidisk is added or removed."""

    def __init__(self, call: Call, target: str) -> None:
        self.call = call
        self.target = target.upper()
        self.entry = _unlocked(call, target).entry
        self.locked = {pair[0] for pair in _record(call, target).device_locks}

    def store(self) -> None:
        record = _unlocked(self.call, self.target)
        try:
            dm.put(self.call.system, record, Entry.of(self.entry.statements))
        except DirectoryError as error:
            raise bad_input(error.operand, error.limit) from error

    def operand(self, name: str, text: str) -> None:
        words = list(self.entry.statements[0].words)
        words += ["NOLOG", "1M", "1M", "G"][len(words) - 2 :] if len(words) < 6 else []
        words[OPERANDS[name]] = _operand(name, text)
        first = _made_words(name, *words)
        self.entry = Entry((first, *self.entry.statements[1:]))

    def put(self, new: Statement, old: Sequence[Statement]) -> None:
        """Put a statement in the place of others, or behind the entry statement and its INCLUDEs."""
        items: list[Statement] = []
        done = False
        for item in self.entry.statements:
            if any(item is other for other in old):
                if not done:
                    items.append(new)
                    done = True
                continue
            items.append(item)
        if not done:
            position = len(items)
            while position > 1 and items[position - 1].keyword.startswith("*DVHOPT"):
                position -= 1
            items.insert(1 if new.keyword == "INCLUDE" else position, new)
        self.entry = Entry(tuple(items))

    def drop(self, old: Sequence[Statement]) -> None:
        self.entry = self.entry.without(lambda item: any(item is other for other in old))

    def check_lock(self, address: str) -> None:
        if address in self.locked:
            raise Refused(*dm.DISK_LOCKED)

    def add_disk(self, values: Values) -> None:
        self.store()
        dm.add_disk(self.call.system, self.target, keywords.mdisk(values))
        self.entry = _record(self.call, self.target).entry

    def remove_disk(self, address: str) -> None:
        self.store()
        dm.remove_disk(self.call.system, self.target, address)
        self.entry = _record(self.call, self.target).entry


@handles(f.ImageDefinitionUpdateDM, directory=True, authority="recorded")
def image_definition_update_dm(call: Call, request: f.ImageDefinitionUpdateDM) -> Done:
    changes = [_split(item) for item in request.definition_update_directory_keyword_parameter_list]
    edit = _Edit(call, request.target)
    for name, text in changes:
        if name in OPERANDS:
            if not edit.entry.is_machine:
                raise unknown(name)
            edit.operand(name, text)
        else:
            keyword = STATEMENTS[name]
            values = keyword.parse(text)
            _update(edit, keyword, values, values.pop("OPERATION", ""))
    edit.store()
    return Done()


def _update(edit: _Edit, keyword: Keyword, values: dict[str, str], operation: str) -> None:
    if operation not in ("", "ADD", "DELETE", "REPLACE"):
        raise bad_input(keyword.name, f"OPERATION {operation!r} is not one of ADD, DELETE, REPLACE")
    identity = keyword.identity(values)
    if keyword.name == "LINK" and not identity:
        identity = statements.vdev(values.get("VDEV1", "")) or ""
    if keyword.name in ("CPU", "COMMAND_DEFINE_CPU"):
        identity = keywords.cpu_address(*need(keyword.name, values, "CPUADDR"))
    if keyword.key and not identity:
        raise bad_input(keyword.name, f"{keyword.key} is missing")
    old = keyword.found(edit.entry, identity)
    edit.check_lock(identity)
    if operation == "DELETE":
        _delete(edit, keyword, values)
        return
    adds = operation == "ADD" or (keyword.name in _ADDED_ALWAYS and not old)
    if keyword.name == "CPU" and old and not operation:
        # As clients use it: CPU=CPUADDR=... adds a CPU.
        adds = True
    if adds and keyword.key:
        taken = keyword.name in (*DEVICES, "MDISK", "LINK") and identity in dm.definition_addresses(edit.entry)
        if keyword.name == "COMMAND_DEFINE_CPU" and identity in edit.entry.cpus and old:
            return
        if old or taken:
            raise Refused(*keyword.exists)
        if keyword.name == "MDISK":
            edit.add_disk(values)
            return
        old = []
    elif keyword.key and not old:
        raise Refused(*keyword.missing)
    if keyword.name == "MDISK":
        _change_disk(edit, old[0], values)
        return
    if keyword.name == "CPU_MAXIMUM" and old:
        values = {"TYPE": old[0].operand(1, "ESA"), **values}
    edit.put(_made(keyword, values), old)


def _change_disk(edit: _Edit, old: Statement, values: dict[str, str]) -> None:
    """Another mode or other passwords; the place and the size of a minidisk do not change."""
    for name in values:
        if name not in ("VDEV", "MODE", "READPASSWORD", "WRITEPASSWORD", "MULTIPASSWORD"):
            raise bad_input("MDISK", f"{name} cannot be changed; OPERATION=ADD adds a minidisk")
    disk = Mdisk.of(old)
    names = ("READPASSWORD", "WRITEPASSWORD", "MULTIPASSWORD")
    passwords = [*disk.passwords[:3], *[""] * (3 - len(disk.passwords))]
    for number, name in enumerate(names):
        passwords[number] = values.get(name, passwords[number])
    given = [word for word in passwords if word]
    if passwords[: len(given)] != given:
        # A password for writing needs one for reading before it.
        raise Refused(408, 28)
    changed = replace(disk, mode=values.get("MODE", disk.mode), passwords=tuple(given))
    try:
        edit.put(changed.statement(), [old])
    except DirectoryError as error:
        raise bad_input("MDISK", error.limit) from error


@handles(f.ImageDefinitionDeleteDM, directory=True, authority="recorded")
def image_definition_delete_dm(call: Call, request: f.ImageDefinitionDeleteDM) -> Done:
    """Drops the statements that have all the sub-keywords given; a keyword without any drops all (judgement)."""
    changes = [_split(item) for item in request.definition_delete_directory_keyword_parameter_list]
    edit = _Edit(call, request.target)
    for name, text in changes:
        if name in OPERANDS:
            raise bad_input(name, "an entry cannot be without it")
        keyword = STATEMENTS[name]
        values = keyword.parse(text) if text and keyword.subkeys else {}
        if keyword.name in ("CPU", "COMMAND_DEFINE_CPU") and values:
            keywords.cpu_address(*need(keyword.name, values, "CPUADDR"))
        _delete(edit, keyword, values)
    edit.store()
    return Done()


def _delete(edit: _Edit, keyword: Keyword, values: Values) -> None:
    """Drop the statements that say what the values say."""
    old = [item for item in keyword.found(edit.entry) if keyword.says(item, values)]
    if not old:
        raise Refused(*keyword.missing)
    edit.check_lock(keyword.identity(values))
    if keyword.name == "MDISK":
        for item in old:
            edit.remove_disk(Mdisk.of(item).vdev)
    else:
        edit.drop(old)
