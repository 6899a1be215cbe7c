"""The mechanism driver by neutron's own tests, in a process of their own: nova's and neutron's options have the same
names, and a process has one set of options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_neutron_finds_nothing_wrong_with_the_driver() -> None:
    cases = Path(__file__).with_name("mechanism_cases.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(cases)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert ran.returncode == 0, ran.stdout + ran.stderr
