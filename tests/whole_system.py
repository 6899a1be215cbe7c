"""The whole simulated z/VM as texts that can be compared: is it as before, or what is left?"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from zvmcloud.simulator import storage
from zvmcloud.simulator.system import System
from zvmcloud.simulator.values import to_json

VOLATILE = {
    "logon_at", "forced_at", "console", "generation", "written", "time", "created", "changed", "last_change", "when",
    "file", "spoolid", "idle_since", "cpu_time", "number", "started", "since", "date", "at", "seen", "boot_at",
}  # fmt: skip
"""Members of rows that tell when something was done, or how often: not what z/VM is."""
UNTOLD = {"counters", "activities", "operations", "monitor", "thresholds", "samples"}
"""Collections that remember what was asked, and not what there is."""
FILE_NUMBER = re.compile(r"-\d{6}\.")
"""In the name of a disk's file: how many disks there have been."""


def scrubbed(value: Any, without: set[str] = VOLATILE) -> Any:
    """A row as JSON, without these members."""
    if isinstance(value, dict):
        return {key: scrubbed(item, without) for key, item in value.items() if key not in without}
    if isinstance(value, list):
        return [scrubbed(item, without) for item in value]
    return FILE_NUMBER.sub("-.", value) if isinstance(value, str) else value


def snapshot(system: System, userid: str) -> dict[str, str]:
    """Every row of the model, and what is on the guest's disks."""
    found: dict[str, str] = {}
    for name, collection in system.store._collections.items():
        if name in UNTOLD:
            continue
        for number, (key, value) in enumerate(collection.items()):
            shown = f"{name} {FILE_NUMBER.sub('-.', key)}" if name != "spool" else f"spool file {number}"
            found[shown] = json.dumps(scrubbed(to_json(value)), sort_keys=True)
    for key, disk in system.disks.items():
        if userid in key:
            found[f"content of {key}"] = hashlib.sha256(storage.file_of(system, disk).read_bytes()).hexdigest()
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """What the two tell differently, with both texts from a little before their first difference on."""
    found = []
    for key in sorted({*one, *other}):
        mine, its = one.get(key, "(none)"), other.get(key, "(none)")
        if mine != its:
            same = next((at for at, (left, right) in enumerate(zip(mine, its, strict=False)) if left != right), 0)
            start = max(0, same - 80)
            found.append(f"{key}:\n    {mine[start : start + 500]}\n    {its[start : start + 500]}")
    return found
