"""The resource manager VMRM: its configuration file, what is wrong with one, and what its workloads reach.

Statements: ADMIN, GOAL, WORKLOAD and MANAGE (their operands as in the sample file of a recorded z/VM 7.1). A comma at
the end continues a statement; lines that begin with an asterisk, a slash and asterisk, or a semicolon are comments.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

from zvmcloud.simulator import traffic
from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.system import System

SERVER = "VMRMSVM"
_TARGETS = ("CPU", "DASD")


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload: userids (with asterisks), accounts and ACI groups, its goal, its importance."""

    name: str
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    goal: str = ""
    importance: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """A configuration that was read, and the findings: errors keep it from being used, warnings do not."""

    goals: dict[str, dict[str, int]]
    workloads: dict[str, Workload]
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def parse(lines: tuple[str, ...]) -> Rules:
    """Read a configuration."""
    goals: dict[str, dict[str, int]] = {}
    workloads: dict[str, Workload] = {}
    managed: dict[str, tuple[str, int]] = {}
    errors: list[str] = []
    for number, words in _statements(lines):
        keyword, rest = words[0], words[1:]
        problem = ""
        if keyword == "GOAL":
            problem = _goal(rest, goals)
        elif keyword == "WORKLOAD":
            problem = _workload(rest, workloads)
        elif keyword == "MANAGE":
            problem = _manage(rest, managed)
        elif keyword == "ADMIN":
            if len(rest) < 2 or rest[0] not in ("MSGUSER", "NEWCFG"):
                problem = "ADMIN needs MSGUSER or NEWCFG and its value"
        else:
            problem = f"{keyword} is not a statement"
        if problem:
            errors.append(f"line {number}: {problem}")
    for name, (goal, importance) in managed.items():
        if name not in workloads:
            errors.append(f"MANAGE names the workload {name}, which is not defined")
        elif goal not in goals:
            errors.append(f"MANAGE names the goal {goal}, which is not defined")
        else:
            found = workloads[name]
            workloads[name] = Workload(name, found.users, found.accounts, goal, importance)
    warnings = tuple(f"workload {name} is not managed" for name, item in workloads.items() if not item.goal)
    return Rules(goals, workloads, tuple(errors), warnings)


def _statements(lines: tuple[str, ...]) -> list[tuple[int, list[str]]]:
    found: list[tuple[int, list[str]]] = []
    pending: list[str] = []
    first = 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith(("*", "/*", ";")):
            continue
        first = first if pending else number
        pending += text.rstrip(",").upper().split()
        if not text.endswith(","):
            found.append((first, pending))
            pending = []
    if pending:
        found.append((first, pending))
    return found


def _goal(words: list[str], goals: dict[str, dict[str, int]]) -> str:
    """GOAL name VELOCITY [CPU percent] [DASD percent]"""
    if len(words) < 4 or words[1] != "VELOCITY" or len(words) % 2:
        return "GOAL needs a name, VELOCITY, and CPU or DASD with a percentage"
    values = {}
    for kind, value in zip(words[2::2], words[3::2], strict=True):
        if kind not in _TARGETS or not value.isdecimal() or not 1 <= int(value) <= 100:
            return f"GOAL {words[0]}: {kind} {value} is not CPU or DASD and a number from 1 to 100"
        values[kind] = int(value)
    goals[words[0]] = values
    return ""


def _workload(words: list[str], workloads: dict[str, Workload]) -> str:
    """WORKLOAD name USER|ACCOUNT|ACIGROUP value ..."""
    if len(words) < 3 or words[1] not in ("USER", "ACCOUNT", "ACIGROUP"):
        return "WORKLOAD needs a name, USER, ACCOUNT or ACIGROUP, and a value"
    found = workloads.get(words[0], Workload(words[0]))
    values = tuple(words[2:])
    users = (*found.users, *values) if words[1] == "USER" else found.users
    accounts = found.accounts if words[1] == "USER" else (*found.accounts, *values)
    workloads[words[0]] = Workload(words[0], users, accounts)
    return ""


def _manage(words: list[str], managed: dict[str, tuple[str, int]]) -> str:
    """MANAGE workload GOAL goal IMPORTANCE number"""
    if len(words) != 5 or words[1] != "GOAL" or words[3] != "IMPORTANCE":
        return "MANAGE needs a workload, GOAL and its name, IMPORTANCE and its value"
    if not words[4].isdecimal() or not 1 <= int(words[4]) <= 10:
        return f"MANAGE {words[0]}: importance {words[4]} is not a number from 1 to 10"
    if words[0] in managed:
        return f"MANAGE {words[0]}: a workload has one goal only"
    managed[words[0]] = (words[2], int(words[4]))
    return ""


def members(system: System, workload: Workload) -> list[Machine]:
    """The machines of a workload that are logged on."""
    found = []
    for userid, machine in sorted(system.machines.items()):
        entry = system.entry(userid)
        account = entry.first("ACCOUNT") if entry is not None else None
        if any(fnmatch.fnmatchcase(userid, pattern) for pattern in workload.users) or (
            account is not None and account.operand(1) in workload.accounts
        ):
            found.append(machine)
    return found


def measured(system: System, rules: Rules) -> list[str]:
    """A text for each managed workload: name to column 16, CPU and DASD velocity.

    The velocity is the share of the wanted time that was had, in percent: less than 100 once all machines together
    want more than there is. A resource that the workload did not use, or has no goal for, reads null.
    """
    wanted = sum(traffic.cpu_percent(system, machine) for machine in system.machines.values())
    capacity = 100.0 * max(len(system.facts.processors), 1)
    cpu = 100 if wanted <= capacity else int(capacity * 100 / wanted)
    items = []
    for workload in rules.workloads.values():
        goal = rules.goals.get(workload.goal)
        if goal is None:
            continue
        machines = members(system, workload)
        busy = any(traffic.io_rate(system, machine) >= 1 for machine in machines)
        shown = {
            "CPU": str(cpu) if machines and "CPU" in goal else "null",
            "DASD": "100" if busy and "DASD" in goal else "null",
        }
        items.append(f"{workload.name[:16]:<16} CPU {shown['CPU']} DASD {shown['DASD']}")
    return items
