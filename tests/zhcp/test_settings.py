"""Settings: a file that is wrong says where."""

from pathlib import Path

import pytest

from zvmcloud.zhcp import settings
from zvmcloud.zhcp.settings import SettingsError


def test_a_full_file_is_read_and_paths_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("GEHEIM\n")
    (tmp_path / "zhcp.toml").write_text(
        """
        [smapi]
        host = "zvm1.example.org"
        userid = "zhcp"
        password_file = "secret"
        [listen]
        unix = "run/zhcp.sock"
        [storage]
        state = "var"
        image_folders = ["images"]
        pools = ["pool1"]
        """
    )
    found = settings.load(tmp_path / "zhcp.toml")
    assert found.smapi.host == "zvm1.example.org"
    assert found.machine_login == ("ZHCP", "GEHEIM")
    assert found.state == tmp_path / "var"
    assert found.image_folders == (tmp_path / "images",)
    assert found.storage.pools == ("POOL1",)
    assert "GEHEIM" not in repr(found)


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("[smapi]\nprot = 1", "smapi.prot"),
        ("[smapi]\nport = 70000", "smapi.port"),
        ("[smapi]\nuserid = 'TOOLONGID'", "smapi.userid"),
        ("[listen]\ncertificate = 'c'", "listen.certificate"),
        ("[listen]\nclient_ca = 'c'", "listen.client_ca"),
        ("[storage]\npools = 'P'", "storage.pools"),
        ("folder = 'x'", "folder"),
        ("[smapi", "zhcp.toml"),
    ],
)
def test_a_wrong_member_is_named(tmp_path: Path, text: str, member: str) -> None:
    (tmp_path / "zhcp.toml").write_text(text)
    with pytest.raises(SettingsError, match=member.replace(".", r"\.")):
        settings.load(tmp_path / "zhcp.toml")


def test_a_missing_file_or_password_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        settings.load(tmp_path / "zhcp.toml")
    found = settings.read({"smapi": {"password_file": "nope"}}, tmp_path)
    with pytest.raises(SettingsError, match="password_file"):
        _ = found.machine_login
