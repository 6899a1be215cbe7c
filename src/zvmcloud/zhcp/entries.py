"""Directory entries as the agent writes them, and what it reads from them.

The order of the statements is the one clients of the connector expect (reference/connector/flows.md, guest_create).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from zvmcloud.directory import statements
from zvmcloud.directory.entry import Entry
from zvmcloud.directory.statements import DirectoryError
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import HIDDEN, AgentError, FieldError, Json
from zvmcloud.zhcp.guest_messages import CreateGuest
from zvmcloud.zhcp.operations.context import Context

_SHARE_PER_CPU = 100
_LINE = 72


def storage(megabytes: int) -> str:
    """`2G` for whole gigabytes, else `2500M`."""
    return f"{megabytes // 1024}G" if megabytes % 1024 == 0 else f"{megabytes}M"


def lines(request: CreateGuest) -> tuple[str, ...]:
    """The records of a new entry. FieldError when the request contradicts itself or a record is too long."""
    maximum = request.max_memory_mb or request.memory_mb
    if request.memory_mb > maximum:
        raise FieldError("memory_mb", request.memory_mb, f"at most max_memory_mb, {maximum}")
    if request.vcpus > request.max_cpus:
        raise FieldError("vcpus", request.vcpus, f"at most max_cpus, {request.max_cpus}")
    password = (request.password or "LBYONLY").upper()
    found = [f"USER {request.userid} {password} {storage(request.memory_mb)} {storage(maximum)} G"]
    if request.profile:
        found.append(f"INCLUDE {request.profile}")
    found.append(f"MACHINE ESA {request.max_cpus}")
    if request.account:
        found.append(f"ACCOUNT {request.account.upper()}")
    found.append("COMMAND SET VCONFIG MODE LINUX")
    found += [f"COMMAND DEFINE CPU {number:02X} TYPE IFL" for number in range(request.vcpus)]
    if request.cpu_pool:
        found.append(pool_record(request.cpu_pool))
    found.append(f"SHARE {request.share or f'RELATIVE {_SHARE_PER_CPU * request.vcpus}'}")
    if request.relocation_domain:
        found.append(domain_record(request.relocation_domain))
    found += _ipl(request)
    if request.logonby:
        found.append(f"LOGONBY {' '.join(request.logonby)}")
    found.append("COMMAND DEF STOR INITIAL STANDBY REMAINDER")
    found += loaddev_records(request.loaddev)
    found += [f"DEDICATE {vdev} {rdev}" for vdev, rdev in request.dedicate]
    found += [f"MDISK {d.vdev} FB-512 V-DISK {d.vdisk_blocks} MWV" for d in request.disks if d.vdisk_blocks]
    found += [f"* {comment}" for comment in request.comments]
    checked(found)
    return tuple(found)


def ipl_record(source: str, parm: str = "", loadparm: str = "") -> str:
    """The IPL statement; empty without a source."""
    if not source:
        return ""
    return " ".join(("IPL", source, *(("PARM", parm) if parm else ()), *(("LOADPARM", loadparm) if loadparm else ())))


def _ipl(request: CreateGuest) -> list[str]:
    source = request.ipl
    if not source and any(key.lower() == "device" for key in request.loaddev):
        source = "LOADDEV"
    record = ipl_record(source, request.ipl_parm, request.loadparm)
    return [record] if record else []


_LOADDEV_KEYS = {"device": "DEVICE", "portname": "PORTNAME", "lun": "LUN", "bootprog": "BOOTPROG", "br_lba": "BR_LBA"}


def loaddev_records(values: Mapping[str, str]) -> list[str]:
    """The LOADDEV statements that the members name. FieldError for an unknown one."""
    given = {key.lower(): value for key, value in values.items() if value}
    found = [f"LOADDEV {word} {given.pop(key)}" for key, word in _LOADDEV_KEYS.items() if key in given]
    alternate = given.pop("alterdev", "")
    if alternate:
        found.append(f"LOADDEV SCSI ALTERNATE {alternate}")
    if given:
        known = ", ".join((*_LOADDEV_KEYS, "alterdev"))
        raise FieldError(f"loaddev.{next(iter(given))}", HIDDEN, f"unknown; expected are {known}")
    return found


def pool_record(cpu_pool: str) -> str:
    """The statement that puts the machine into a CPU pool when it logs on."""
    return f"COMMAND SCHEDULE * WITHIN POOL {cpu_pool}"


def domain_record(domain: str) -> str:
    """The statement that sets the relocation domain of the machine when it logs on."""
    return f"COMMAND SET VMRELOCATE * DOMAIN {domain}"


def checked(records: Sequence[str]) -> Entry:
    """The entry that the records make. FieldError, AgentError 400 with the line and the operand that is wrong."""
    for record in records:
        if len(record) > _LINE:
            limit = f"a directory record has at most {_LINE} characters, this has {len(record)}"
            raise FieldError("entry", statements.shown(record), limit)
    try:
        return Entry.parse(records)
    except DirectoryError as problem:
        raise AgentError(
            400, "bad-parameter", f"the entry would not be accepted: {problem}", remedy="correct the parameter it names"
        ) from problem


async def query(context: Context, userid: str) -> Entry | None:
    """The entry of a userid, None when the directory has none."""
    answer = await context.call(f.ImageQueryDM(target=userid), allow=((400, 4),))
    if answer.rc:
        return None
    records = [record.rstrip() for record in answer.reply.image_record_array]
    try:
        return Entry.parse([record for record in records if record])
    except DirectoryError as problem:
        raise AgentError(502, "entry-unreadable", f"the entry of {userid} cannot be read: {problem}") from problem


def made_of(entry: Entry, records: Sequence[str]) -> bool:
    """Whether an entry says what these records say, and nothing else. The order does not count, nor do comments and
    passwords: a directory manager may move, add or hide them (judgement)."""
    return _said(entry) == _said(Entry.parse(records))


def may_be(entry: Entry, records: Sequence[str], added: Set[tuple[str, int | None]] = frozenset()) -> bool:
    """Whether an entry can be one that was made of these records and got minidisks of those `added` (number and size):
    its first statement says the same but for the password (the userid, its storage, its classes), and all of its
    minidisks are theirs."""
    made = Entry.parse(records)
    return _head(entry) == _head(made) and _minidisks(entry) <= _minidisks(made) | added


def _minidisks(entry: Entry) -> Set[tuple[str, int | None]]:
    return {(disk.vdev, disk.size) for disk in entry.mdisks}


def _head(entry: Entry) -> tuple[str, ...]:
    first = next(item.masked() for item in entry.statements if item.words and not item.is_comment)
    return (*first[:2], *first[3:])


def _said(entry: Entry) -> list[tuple[str, ...]]:
    _, *others = (item.masked() for item in entry.statements if item.words and not item.is_comment)
    return sorted([_head(entry), *others])


async def must_exist(context: Context, userid: str) -> Entry:
    """The entry. AgentError 404 `guest-unknown`."""
    entry = await query(context, userid)
    if entry is None:
        raise AgentError(
            404, "guest-unknown", f"the directory has no entry {userid}", remedy="see GET /v1/guests for the userids"
        )
    return entry


async def exists(context: Context, userid: str) -> bool:
    """Whether the directory has the entry."""
    return await query(context, userid) is not None


def guest_exists(userid: str, why: str = "") -> AgentError:
    """The problem of a userid that is taken."""
    return AgentError(
        409, "guest-exists", f"the directory already has an entry {userid}{why}",
        remedy="choose another userid, or delete the guest that exists",
    )  # fmt: skip


def shown(entry: Entry) -> list[str]:
    """The statements of an entry, one text each, without passwords and the directory manager's own comments."""
    return [" ".join(item.masked()) for item in entry.statements if item.keyword != "*DVHOPT"]


def masked(entry: Entry) -> list[Json]:
    """The same as JSON."""
    return [*shown(entry)]


def facts_json(entry: Entry) -> dict[str, Json]:
    """What an entry says of its virtual machine; memory in MiB."""
    return {
        "entry": masked(entry),
        "vcpus": len(entry.cpus) or 1,
        "max_cpus": entry.machine[1],
        "memory_mb": entry.storage_kib // 1024,
        "max_memory_mb": entry.max_storage_kib // 1024,
        "ipl": entry.ipl.source if entry.ipl else "",
        "disks": disks_json(entry),
    }


def disks_json(entry: Entry) -> list[Json]:
    """The minidisks of an entry: vdev, type, device type, size in its unit, volume and place."""
    found: list[Json] = []
    for disk in entry.mdisks:
        kind = "ECKD" if disk.device_type.startswith(("3390", "3380")) else "FBA"
        found.append(
            {
                "vdev": disk.vdev,
                "type": kind,
                "device_type": disk.device_type,
                "size_units": disk.size,
                "size": disk.size,
                "unit": "CYL" if kind == "ECKD" else "BLK",
                "volume": disk.volser,
                "start": disk.start,
                "mode": disk.mode,
            }
        )
    return found
