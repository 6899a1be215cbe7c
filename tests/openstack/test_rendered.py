"""What `zvm openstack render` writes: files that its programs read, and units that systemd takes."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from zvmcloud.cli.openstack import example

FILES = example()
UNITS = sorted(path for path in FILES if path.endswith(".service"))
OPENSTACKS = {"/etc/nova/nova.conf", "/etc/neutron/neutron.conf", "/etc/cinder/cinder.conf"}
DIRECTIVES = {
    "Unit": {"Description", "After", "Wants"},
    "Service": {
        "User", "ExecStart", "StateDirectory", "Restart", "RestartSec", "TimeoutStopSec", "NoNewPrivileges",
        "ProtectSystem", "PrivateTmp",
    },
    "Install": {"WantedBy"},
}  # fmt: skip
"""Those of systemd.unit(5), systemd.service(5) and systemd.exec(5) that the units use."""


def parsed(path: str) -> configparser.RawConfigParser:
    found = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#", ";"))
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(FILES[path])
    return found


@pytest.mark.parametrize("path", UNITS)
def test_a_unit_has_directives_of_systemd_with_values_that_it_takes(path: str) -> None:
    unit = parsed(path)
    assert set(unit.sections()) == set(DIRECTIVES)
    for section, known in DIRECTIVES.items():
        assert set(unit[section]) <= known
    service = unit["Service"]
    assert service["Restart"] in {"no", "on-success", "on-failure", "on-abnormal", "always"}
    assert service["ProtectSystem"] in {"yes", "no", "full", "strict"}
    assert {service["NoNewPrivileges"], service["PrivateTmp"]} == {"yes"}
    assert service["RestartSec"].isdigit()
    assert service["TimeoutStopSec"].isdigit()
    assert service["User"] in {"nova", "neutron", "cinder"}, "never root"
    assert unit["Install"]["WantedBy"] == "multi-user.target"
    assert "\\\n" not in FILES[path]


@pytest.mark.parametrize("path", UNITS)
def test_a_unit_starts_its_program_with_openstacks_file_and_then_ours(path: str) -> None:
    service = parsed(path)["Service"]
    env, program, *words = shlex.split(service["ExecStart"])
    assert env == "/usr/bin/env"
    name = Path(path).name
    assert name.startswith(program)
    assert words[::2] == ["--config-file"] * 2
    theirs, ours = words[1::2]
    assert theirs in OPENSTACKS
    assert theirs.split("/")[2] == service["User"]
    assert ours in FILES, "it is rendered too"
    state = service.get("StateDirectory", "")
    assert f"state_path = /var/lib/{state}\n" in FILES[ours] if state else "state_path" not in FILES[ours]


def test_the_agents_program_is_installed_by_our_wheel() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="neutron-zvm-agent")
    assert script.value == "zvmcloud.openstack.neutron.program:main"


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` on machines that have it; the tests above hold everywhere."""
    for path in UNITS:
        (tmp_path / Path(path).name).write_text(FILES[path])
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    units = [str(tmp_path / Path(path).name) for path in UNITS]
    said = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert not [line for line in said.stderr.splitlines() if any(Path(path).name in line for path in UNITS)]
