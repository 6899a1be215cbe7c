"""The Cinder driver with cinder's own libraries, in a process of its own: nova's, neutron's and cinder's options have
the same names, and a process has one set of options."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_cinder_driver_does_what_cinder_asks() -> None:
    cases = [str(Path(__file__).with_name(name)) for name in ("driver_cases.py", "pool_cases.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *cases]
    environment = {**os.environ, "OS_CINDER_DISABLE_EVENTLET_PATCHING": "1"}
    root = Path(__file__).parents[3]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
