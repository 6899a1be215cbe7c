"""The systemd units that `zvm openstack render` writes, started without systemd: the words of ExecStart as they are,
but that what is below /etc is below a folder of this run. What else a run wants is in the environment, where
oslo.config looks before it looks into files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from openstack_proof.settings import Section


def command(folder: Path, name: str) -> list[str | Path]:
    """The command line of a unit below the folder."""
    unit = (folder / "etc" / "systemd" / "system" / f"{name}.service").read_text()
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    words = shlex.split(line.removeprefix("ExecStart="))
    return [folder / word[1:] if word.startswith("/etc/") else word for word in words]


def variables(environment: Path, own: Mapping[str, Section]) -> dict[str, str]:
    """Its environment: programs of the environment with OpenStack's packages, and options of this run by section."""
    options = {
        f"OS_{section}__{option}".upper(): str(value)
        for section, values in own.items()
        for option, value in values.items()
    }
    return {"PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}", **options}
