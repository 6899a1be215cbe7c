"""Mechanism driver and agent among neutron's own code, in a process of its own: nova's and neutron's options have the
same names, and a process has one set of options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_mechanism_driver_and_the_agent_hold_in_neutron() -> None:
    """mechanism_cases.py has neutron's tests of mechanism drivers, agent_cases.py the agent on neutron's RPC."""
    cases = [str(Path(__file__).with_name(name)) for name in ("mechanism_cases.py", "agent_cases.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *cases]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert ran.returncode == 0, ran.stdout + ran.stderr
