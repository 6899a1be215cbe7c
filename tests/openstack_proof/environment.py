"""The environment with real OpenStack packages that the tests of the drivers run in; prints its folder.

It is about a gigabyte, so it is made once for a user: below ``$XDG_CACHE_HOME/zvmcloud`` (``~/.cache/zvmcloud``), in a
folder named after the pins it was made from. Tests of drivers put ``src`` of their own clone before it; ``make
test-openstack`` installs the clone's wheel into it, and therefore has it for itself as long as it runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
REQUIREMENTS, CONSTRAINTS = HERE / "requirements.txt", HERE / "constraints.txt"


def cache() -> Path:
    """The cache folder of this project and user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zvmcloud"


def folder() -> Path:
    """Where the environment is, or will be."""
    pins = hashlib.sha256(REQUIREMENTS.read_bytes() + CONSTRAINTS.read_bytes() + sys.version.encode())
    return cache() / f"openstack-{pins.hexdigest()[:12]}"


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Only one process has the lock of a path; others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare() -> Path:
    """The environment, made if it is not there; takes some minutes then. Raises CalledProcessError."""
    target = folder()
    with held(target.with_suffix(".lock")):
        if (target / ".complete").exists():
            return target
        print(f"installing OpenStack's packages into {target}; this takes some minutes", file=sys.stderr, flush=True)
        shutil.rmtree(target, ignore_errors=True)
        venv.create(target, with_pip=True)
        install: list[str | Path] = [
            target / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*install, "-c", CONSTRAINTS, "-r", REQUIREMENTS], check=True, stdout=sys.stderr)
        (target / ".complete").touch()
    return target


if __name__ == "__main__":
    print(prepare())
