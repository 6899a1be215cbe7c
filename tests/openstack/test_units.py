"""The systemd units of `zvm openstack render`: what systemd reads of them, and that they start what was rendered."""

from __future__ import annotations

import configparser
import shlex
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path, PurePosixPath

import pytest

from zvmcloud.cli.openstack import example

FILES = example()
UNITS = sorted(path for path in FILES if path.endswith(".service"))
KNOWN = {
    "Unit": {"Description", "After", "Wants"},
    "Service": {
        "User", "ExecStart", "StateDirectory", "Restart", "RestartSec", "TimeoutStopSec", "NoNewPrivileges",
        "ProtectSystem", "PrivateTmp",
    },
    "Install": {"WantedBy"},
}  # fmt: skip
"""systemd.unit(5), systemd.service(5), systemd.exec(5): a word that is not known there is ignored with a warning."""
MAIN = {"nova": "/etc/nova/nova.conf", "neutron": "/etc/neutron/neutron.conf", "cinder": "/etc/cinder/cinder.conf"}
"""OpenStack's own file of each user that a unit runs as. Nothing runs as root."""


def parsed(path: str) -> configparser.RawConfigParser:
    found = configparser.RawConfigParser(strict=True, delimiters=("=",))
    found.optionxform = str  # type: ignore[assignment,method-assign]  # systemd tells capitals from small letters
    found.read_string(FILES[path])
    return found


def test_there_is_a_unit_for_each_service() -> None:
    names = {PurePosixPath(path).name for path in UNITS}
    assert names == {"nova-compute-zvm1.service", "neutron-zvm-agent-zvm1.service", "cinder-volume-zvm1.service"}
    assert {str(PurePosixPath(path).parent) for path in UNITS} == {"/etc/systemd/system"}


@pytest.mark.parametrize("path", UNITS)
def test_a_unit_has_words_of_systemd_with_values_that_it_takes(path: str) -> None:
    unit = parsed(path)
    assert set(unit.sections()) == set(KNOWN)
    for section, words in KNOWN.items():
        assert set(unit[section]) <= words
        assert all(unit[section].values())
    service = unit["Service"]
    assert service["Restart"] in {"no", "on-success", "on-failure", "on-abnormal", "always"}
    assert service["ProtectSystem"] in {"yes", "no", "full", "strict"}
    assert {service["NoNewPrivileges"], service["PrivateTmp"]} == {"yes"}
    assert service["RestartSec"].isdigit()
    assert service["TimeoutStopSec"].isdigit()
    assert unit["Install"]["WantedBy"] == "multi-user.target"
    assert "\\\n" not in FILES[path], "no line goes on in the next one: configparser would not see it"


@pytest.mark.parametrize("path", UNITS)
def test_it_starts_its_program_with_the_files_that_are_rendered(path: str) -> None:
    service = parsed(path)["Service"]
    env, program, *words = shlex.split(service["ExecStart"])
    assert env == "/usr/bin/env", "an absolute path is needed; the program is where pip put it"
    assert PurePosixPath(path).name == f"{program}-zvm1.service"
    assert words[::2] == ["--config-file"] * 2
    theirs, ours = words[1::2]
    assert theirs == MAIN[service["User"]]
    assert ours in FILES, "it is rendered too, and read behind the service's own"
    state = service.get("StateDirectory", "")
    assert f"state_path = /var/lib/{state}\n" in FILES[ours] if state else "state_path" not in FILES[ours]


def test_the_agents_program_is_installed_by_our_wheel() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="neutron-zvm-agent")
    assert script.value == "zvmcloud.openstack.neutron.program:main"


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, need: Callable[[str, str], str]) -> None:
    analyze = need("systemd-analyze", "systemd")
    files = [tmp_path / PurePosixPath(path).name for path in UNITS]
    for path, file in zip(UNITS, files, strict=True):
        file.write_text(FILES[path])
    said = subprocess.run([analyze, "verify", "--man=no", *files], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert not [line for line in said.stderr.splitlines() if any(file.name in line for file in files)]
