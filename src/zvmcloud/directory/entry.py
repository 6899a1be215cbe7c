"""A directory entry: the statements from USER, IDENTITY, SUBCONFIG or PROFILE to the next of them.

An entry is a value. Edits give a new entry and keep every statement they are not about, in its place. Views read the
entry's own statements; `with_profile` gives the entry as CP sees it, with the included profile's statements in front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from zvmcloud.directory import operands, statements
from zvmcloud.directory.devices import Dedicate, Link, Mdisk, Nicdef, UnitRecord
from zvmcloud.directory.statements import ENTRY_KEYWORDS, NO_PASSWORDS, DirectoryError, Statement

#: Statements that define a virtual device with its address as the first operand.
DEVICE_KEYWORDS = ("MDISK", "NICDEF", "DEDICATE", "SPOOL", "CONSOLE", "SPECIAL")
_ADDRESSED = frozenset((*DEVICE_KEYWORDS, "LINK"))


@dataclass(frozen=True, slots=True)
class Ipl:
    """IPL: a device address or a saved system, with parameters."""

    source: str
    loadparm: str = ""
    parameters: str = ""

    @property
    def vdev(self) -> str | None:
        """The address when the machine loads from a device; a name such as CMS gives None."""
        return statements.vdev(self.source)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; the first statement is the USER, IDENTITY, SUBCONFIG or PROFILE statement."""

    statements: tuple[Statement, ...]

    # -- reading and writing ------------------------------------------------------------------------------------------

    @classmethod
    def parse(cls, records: Sequence[str]) -> Entry:
        """An entry from its records, checked.

        Raises DirectoryError when a record cannot be accepted, when the first statement is not an entry statement,
        when there is more than one, or when two statements define the same virtual device.
        """
        return cls._checked(statements.split(records))

    @classmethod
    def of(cls, parsed: Sequence[Statement], first_line: int = 1) -> Entry:
        """An entry from statements, checked as in `parse`; errors count their lines from `first_line`."""
        try:
            return cls._checked(parsed)
        except DirectoryError as error:
            raise DirectoryError(error.line + first_line - 1, error.operand, error.value, error.limit) from None

    @classmethod
    def _checked(cls, parsed: Sequence[Statement]) -> Entry:
        first = next((item for item in parsed if not item.is_comment), None)
        if first is None or first.keyword not in ENTRY_KEYWORDS:
            word = first.keyword if first else ""
            raise DirectoryError(1, "first statement", word, "one of " + ", ".join(ENTRY_KEYWORDS))
        ordered = (first, *(item for item in parsed if item is not first))
        line = 1
        seen: dict[str, str] = {}
        for item in ordered:
            keyword = item.keyword
            if keyword in ENTRY_KEYWORDS and item is not first:
                raise DirectoryError(line, "statement", keyword, "one entry has one " + " or ".join(ENTRY_KEYWORDS))
            operands.check(item, line)
            if keyword in _ADDRESSED and (address := _address(item)):
                if seen.get(address, keyword) != keyword or (address in seen and keyword != "NICDEF"):
                    raise DirectoryError(line, keyword, address, "a virtual device is defined once")
                seen[address] = keyword
            line += len(item.records)
        return cls(ordered)

    def render(self) -> tuple[str, ...]:
        """The records of the entry, each at most 72 columns, without padding."""
        return tuple(record for statement in self.statements for record in statement.records)

    def normalised(self) -> Entry:
        """The entry with the NICDEF statements of each adapter merged into one, as a directory manager keeps them."""
        done: set[str] = set()
        kept: list[Statement] = []
        adapters = {nic.vdev: nic for nic in self.nicdefs}
        for statement in self.statements:
            if statement.keyword != "NICDEF":
                kept.append(statement)
                continue
            address = _address(statement)
            if address not in done:
                done.add(address)
                kept.append(adapters[address].statement())
        return Entry(tuple(kept))

    def __repr__(self) -> str:
        return f"Entry({self.kind} {self.name}, {len(self.statements)} statements)"

    # -- the entry statement ------------------------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """USER, IDENTITY, SUBCONFIG or PROFILE."""
        return self.statements[0].keyword

    @property
    def name(self) -> str:
        return self.statements[0].operand(1)

    @property
    def is_machine(self) -> bool:
        """Whether this entry defines a virtual machine that can log on."""
        return self.kind in ("USER", "IDENTITY")

    @property
    def password(self) -> str:
        """The password or one of NOLOG, LBYONLY, AUTOONLY. Never log it."""
        return self.statements[0].operand(2) if self.is_machine else ""

    @property
    def can_log_on(self) -> bool:
        return self.is_machine and self.password not in ("NOLOG", "")

    def accepts_password(self, password: str) -> bool:
        """Whether the password is the entry's; never true for entries without a usable one."""
        return self.is_machine and self.password not in NO_PASSWORDS and self.password == password.upper()

    @property
    def storage_kib(self) -> int:
        """Initial storage in KiB."""
        explicit = self.first("STORAGE")
        text = explicit.operand(1) if explicit else self.statements[0].operand(3, "1M") if self.is_machine else "1M"
        return statements.storage_kib(text) or 1024

    @property
    def max_storage_kib(self) -> int:
        """Maximum storage in KiB; the initial storage when none is given."""
        explicit = self.first("MAXSTORAGE")
        text = explicit.operand(1) if explicit else self.statements[0].operand(4) if self.is_machine else ""
        return max(statements.storage_kib(text) or 0, self.storage_kib)

    @property
    def privilege_classes(self) -> str:
        """Letters of the classes; G when the entry names none."""
        explicit = self.first("CLASS")
        if explicit:
            return "".join(explicit.words[1:])
        return self.statements[0].operand(5, "G") if self.is_machine else ""

    # -- views --------------------------------------------------------------------------------------------------------

    def first(self, keyword: str) -> Statement | None:
        return next((item for item in self.statements if item.keyword == keyword), None)

    def every(self, keyword: str) -> tuple[Statement, ...]:
        return tuple(item for item in self.statements if item.keyword == keyword)

    @property
    def mdisks(self) -> tuple[Mdisk, ...]:
        return tuple(Mdisk.of(item) for item in self.statements if item.keyword == "MDISK")

    def mdisk(self, vdev: str) -> Mdisk | None:
        return next((disk for disk in self.mdisks if disk.vdev == vdev), None)

    @property
    def nicdefs(self) -> tuple[Nicdef, ...]:
        groups: dict[str, list[Statement]] = {}
        for item in self.statements:
            if item.keyword == "NICDEF":
                groups.setdefault(_address(item), []).append(item)
        return tuple(Nicdef.of(group) for group in groups.values())

    def nicdef(self, vdev: str) -> Nicdef | None:
        return next((nic for nic in self.nicdefs if nic.vdev == vdev), None)

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(Link.of(item) for item in self.statements if item.keyword == "LINK")

    @property
    def dedicates(self) -> tuple[Dedicate, ...]:
        return tuple(Dedicate.of(item) for item in self.statements if item.keyword == "DEDICATE")

    @property
    def unit_records(self) -> tuple[UnitRecord, ...]:
        return tuple(UnitRecord.of(item) for item in self.statements if item.keyword in ("SPOOL", "CONSOLE", "SPECIAL"))

    @property
    def ipl(self) -> Ipl | None:
        item = self.first("IPL")
        if item is None:
            return None
        loadparm = item.after("LOADPARM") or ""
        words = item.words
        parameters = ""
        if "PARM" in words:
            rest = words[words.index("PARM") + 1 :]
            if "LOADPARM" in rest:
                rest = rest[: rest.index("LOADPARM")]
            parameters = " ".join(rest)
        return Ipl(item.operand(1), loadparm, parameters)

    @property
    def machine(self) -> tuple[str, int]:
        """Architecture and the maximum number of virtual CPUs (1 when none is given)."""
        item = self.first("MACHINE")
        if item is None:
            return "ESA", 1
        return item.operand(1, "ESA"), int(item.operand(2, "1"))

    @property
    def cpus(self) -> tuple[str, ...]:
        """Addresses of the virtual CPUs at logon, two hexadecimal digits: CPU and COMMAND DEFINE CPU statements."""
        found: dict[str, None] = {}
        for item in self.statements:
            if item.keyword == "CPU":
                found[item.operand(1).rjust(2, "0")] = None
            elif item.keyword == "COMMAND" and item.operand(1)[:3] == "DEF" and item.operand(2) == "CPU":
                for word in item.words[3:]:
                    if word in ("TYPE", "CP", "IFL", "ZIIP"):
                        break
                    found[word.rjust(2, "0")] = None
        return tuple(found) or ("00",)

    @property
    def logonby(self) -> tuple[str, ...]:
        return tuple(word for item in self.every("LOGONBY") for word in item.words[1:])

    @property
    def includes(self) -> tuple[str, ...]:
        return tuple(item.operand(1) for item in self.every("INCLUDE"))

    @property
    def builds(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a system name (* for any) and the SUBCONFIG that an IDENTITY has there: BUILD ON ... USING ...

        The operands may come in either form: BUILD ON system USING SUBCONFIG name, or BUILD ON system USING name.
        """
        found = []
        for item in self.every("BUILD"):
            words = item.words
            if "ON" in words[:-1] and "USING" in words[:-1]:
                found.append((words[words.index("ON") + 1], words[-1]))
        return tuple(found)

    def subconfig_for(self, system: str) -> str:
        """The SUBCONFIG that the identity has on a system: the one named for it, else the one for *; or nothing."""
        builds = dict(reversed(self.builds))
        return builds.get(system, builds.get("*", ""))

    @property
    def share(self) -> tuple[str, str]:
        """Kind and value of the processor share: RELATIVE 100 unless the entry says otherwise."""
        item = self.first("SHARE")
        return (item.operand(1, "RELATIVE"), item.operand(2, "100")) if item else ("RELATIVE", "100")

    @property
    def device_addresses(self) -> frozenset[str]:
        """Every virtual device number that the entry's own statements use."""
        own = {_address(item) for item in self.statements if item.keyword in DEVICE_KEYWORDS}
        return frozenset(own | {link.vdev for link in self.links})

    # -- edits --------------------------------------------------------------------------------------------------------

    def add(self, *new: Statement) -> Entry:
        """Append statements, before a trailing directory manager comment; the result is checked."""
        items = list(self.statements)
        position = len(items)
        while position > 1 and items[position - 1].keyword.startswith("*DVHOPT"):
            position -= 1
        items[position:position] = new
        return Entry._checked(items)

    def without(self, unwanted: Callable[[Statement], bool]) -> Entry:
        """Leave out the statements for which the predicate holds; the entry statement always stays."""
        return Entry((self.statements[0], *(item for item in self.statements[1:] if not unwanted(item))))

    def without_device(self, vdev: str) -> Entry:
        """Leave out the statements that define the virtual device."""
        return self.without(lambda item: item.keyword in (*DEVICE_KEYWORDS, "LINK") and _address(item) == vdev)

    def replace_device(self, vdev: str, new: Statement) -> Entry:
        """Put a statement in the place of the first that defines the device; others of the device go."""
        items: list[Statement] = []
        done = False
        for item in self.statements:
            if item.keyword in (*DEVICE_KEYWORDS, "LINK") and _address(item) == vdev:
                if not done:
                    items.append(new)
                    done = True
                continue
            items.append(item)
        if not done:
            items.append(new)
        return Entry._checked(items)

    def with_only(self, keyword: str, new: Statement | None) -> Entry:
        """Replace every statement with that keyword by one, or by none."""
        items: list[Statement] = []
        done = new is None
        for item in self.statements:
            if item.keyword == keyword:
                if not done and new is not None:
                    items.append(new)
                    done = True
                continue
            items.append(item)
        if not done and new is not None:
            # INCLUDE has to follow the entry statement.
            position = 1
            while position < len(items) and items[position].keyword == "INCLUDE":
                position += 1
            items.insert(position, new)
        return Entry._checked(items)

    def with_operand(self, number: int, value: str) -> Entry:
        """Replace one word of the entry statement, for example 2 the password, 3 the storage."""
        words = list(self.statements[0].words)
        defaults = ["", "", "NOLOG", "1M", "1M", "G"]
        while len(words) <= number:
            words.append(defaults[len(words)])
        words[number] = value
        return Entry._checked((statements.make(*words), *self.statements[1:]))

    def renamed(self, name: str) -> Entry:
        return self.with_operand(1, name)

    def with_profile(self, profile: Entry | None) -> Entry:
        """The entry as CP sees it at logon: the profile's statements first, without those the entry overrides."""
        if profile is None:
            return self
        single = {"IPL", "MACHINE", "SHARE", "CLASS", "STORAGE", "MAXSTORAGE", "ACCOUNT"}
        own = {item.keyword for item in self.statements}
        used = self.device_addresses
        inherited = tuple(
            item
            for item in profile.statements[1:]
            if not (item.keyword in single and item.keyword in own)
            and not (item.keyword in _ADDRESSED and _address(item) in used)
        )
        return replace(self, statements=(self.statements[0], *inherited, *self.statements[1:]))

    def with_subconfig(self, subconfig: Entry | None) -> Entry:
        """The identity as one system of a cluster sees it: its own statements, then those of the SUBCONFIG."""
        if subconfig is None:
            return self
        return replace(self, statements=(*self.statements, *subconfig.statements[1:]))


def _address(item: Statement) -> str:
    if item.keyword == "LINK":
        return Link.of(item).vdev
    return statements.vdev(item.operand(1)) or ""


def parse_directory(records: Iterable[str]) -> tuple[Entry, ...]:
    """All entries of a source directory; statements before the first entry (DIRECTORY, GLOBALDEFS) are skipped.

    Raises DirectoryError with the line counted from the first record of its entry.
    """
    entries: list[list[Statement]] = []
    for item in statements.split(tuple(records)):
        if item.keyword in ENTRY_KEYWORDS:
            entries.append([item])
        elif entries:
            entries[-1].append(item)
    return tuple(Entry._checked(group) for group in entries)
