"""The systemd units of `zvm openstack render`: what systemd reads of them, and that they start what was rendered."""

from __future__ import annotations

import configparser
import itertools
import shlex
from pathlib import PurePosixPath

import pytest

from zvmcloud.cli.openstack import example

UNITS = {path: text for path, text in example().items() if path.endswith(".service")}
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


def unit(path: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    found.optionxform = str  # type: ignore[assignment]  # systemd tells capitals from small letters
    found.read_string(UNITS[path])
    return found


def test_there_is_a_unit_for_each_service() -> None:
    names = {PurePosixPath(path).name for path in UNITS}
    assert names == {"nova-compute-zvm1.service", "neutron-zvm-agent-zvm1.service", "cinder-volume-zvm1.service"}


@pytest.mark.parametrize("path", UNITS)
def test_systemd_knows_every_word(path: str) -> None:
    assert str(PurePosixPath(path).parent) == "/etc/systemd/system"
    found = unit(path)
    assert set(found.sections()) == set(KNOWN)
    for section, words in KNOWN.items():
        assert set(found[section]) <= words
        assert all(found[section].values())


@pytest.mark.parametrize("path", UNITS)
def test_it_starts_its_program_with_the_files_that_are_rendered(path: str) -> None:
    service = unit(path)["Service"]
    words = shlex.split(service["ExecStart"])
    assert words[0] == "/usr/bin/env", "an absolute path is needed; the program is where pip put it"
    files = [word for before, word in itertools.pairwise(words) if before == "--config-file"]
    assert len(files) == 2
    assert files[0] == MAIN[service["User"]]
    assert files[1] in example(), "behind the service's own file"
    assert words[1] in PurePosixPath(path).name


def test_the_state_of_nova_compute_is_where_its_settings_say() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read_string(example()["/etc/nova/zvm-zvm1.conf"])
    state = unit("/etc/systemd/system/nova-compute-zvm1.service")["Service"]["StateDirectory"]
    assert settings["DEFAULT"]["state_path"] == f"/var/lib/{state}"
