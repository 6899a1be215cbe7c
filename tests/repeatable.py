"""File systems that have the same bytes every time they are made, so that disks can be compared."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_ID = "6a0e8f0c-0000-4000-8000-000000000001"


def environment(folder: Path) -> dict[str, str]:
    """Variables under which programs of e2fsprogs take neither the time nor chance. ``folder`` gets a mkfs.ext4 that is
    found first."""
    path = os.environ["PATH"]
    real = shutil.which("mkfs.ext4", path=f"{path}:/usr/sbin:/sbin")
    assert real is not None, "mkfs.ext4 (e2fsprogs) is needed"
    seeded = f"$(echo \"$@\" | sed 's/-E \\([^ ]*\\)/-E \\1,hash_seed={_ID}/')"
    script = folder / "mkfs.ext4"
    script.write_text(f"#!/bin/sh\nexec {real} -U {_ID} {seeded}\n")
    script.chmod(0o755)
    return {"PATH": f"{folder}:{path}", "E2FSPROGS_FAKE_TIME": "1700000000"}
