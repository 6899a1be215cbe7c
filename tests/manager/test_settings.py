"""Settings: what is accepted, and that an error names the setting and its limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zvmcloud.manager.settings import SettingsError
from zvmcloud.manager.settings_file import build, load


def test_defaults_need_only_a_state_folder(tmp_path: Path) -> None:
    found = build({"state": str(tmp_path)})
    assert (found.host, found.port) == ("127.0.0.1", 8080)
    assert found.database_url == f"sqlite:///{tmp_path}/manager.sqlite"
    assert (found.defaults.profile, found.defaults.disk_pool) == ("LNXDFLT", "ECKD:POOL1")
    assert found.connector.mode == "token"
    assert found.import_folders == ()
    assert found.url == "http://127.0.0.1:8080"


def test_the_environment_overrides_the_file_and_options_override_both(tmp_path: Path) -> None:
    path = tmp_path / "manager.toml"
    path.write_text('state = "/one"\nport = 1\nhost = "::1"\n')
    environment = {"ZVMCLOUD_PORT": "2", "ZVMCLOUD_STATE": "/two", "ZVMCLOUD_ADMIN_TOKEN": "hidden"}
    found = load(path, environment, port=3)
    assert (str(found.state), found.port, found.url) == ("/two", 3, "http://[::1]:3")
    assert found.admin_token == "hidden"
    assert "hidden" not in repr(found)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"state": ""}, "state"),
        ({"port": 70000}, "port: 70000 is not between 0 and 65535"),
        ({"port": "x"}, "port"),
        ({"colour": "red"}, "colour"),
        ({"defaults": {"root_vdev": "10000"}}, "defaults.root_vdev"),
        ({"defaults": {"disk_pool": "POOL1"}}, "defaults.disk_pool"),
        ({"defaults": {"size": 1}}, "defaults.size"),
        ({"connector": {"mode": "closed"}}, "connector.mode"),
        ({"connector": {"open_from": ["localhost"]}}, "connector.open_from"),
        ({"connector": {"files_limit": 0}}, "connector.files_limit"),
        ({"import_folders": "/"}, "import_folders"),
        ({"tls": {"certificate": "x"}}, "tls"),
        ({"systems": [{"name": "A B", "url": "http://x"}]}, "systems[0].name"),
        ({"systems": [{"name": "A", "url": "ftp://x"}]}, "systems[0].url"),
        ({"systems": [{"name": "a", "url": "http://x"}, {"name": "A", "url": "http://y"}]}, "A is given twice"),
        ({"default_system": "B"}, "default_system"),
    ],
)
def test_an_error_names_the_setting(document: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build({"state": "/s", **document})
    assert named in str(caught.value)


def test_a_file_that_cannot_be_read_or_parsed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "bad.toml").write_text("state = ")
    with pytest.raises(SettingsError, match=r"bad\.toml"):
        load(tmp_path / "bad.toml", {})


def test_systems_are_found_by_name_in_any_case(tmp_path: Path) -> None:
    systems = [{"name": "ZVM1", "url": "unix:/run/a.sock"}, {"name": "ZVM2", "url": "https://b"}]
    found = build({"state": str(tmp_path), "systems": systems, "default_system": "zvm2"})
    assert found.system() == found.systems[1]
    assert found.system("zvm1") == found.systems[0]
    assert found.system("ZVM3") is None


def test_the_doors_optional_ways_are_off_until_they_are_asked_for() -> None:
    plain = build({"state": "/x"}).connector
    assert (plain.socket_port, plain.capture_stopped) == (-1, False)
    asked = build({"state": "/x", "connector": {"socket_port": 2000, "capture_stopped": True}}).connector
    assert (asked.socket_port, asked.capture_stopped) == (2000, True)
    for wrong in ({"socket_port": 70000}, {"capture_stopped": "yes"}):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            build({"state": "/x", "connector": wrong})
