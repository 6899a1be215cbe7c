"""DMSSICNF COPY as a source of settings."""

from pathlib import Path

import pytest

from zvmcloud.zhcp import dmssicnf, settings

COPY = """/********************************************/
/* DMSSICNF COPY: a comment = over
   two lines */
Authorization_Policy = Authorization_Policy_EsmAuthlist
ZHCP_User   = "CLOUDHCP"     /* our userid */
ZHCP_Addr   = '10.10.10.20'
XCAT_notify = "O""NEILL"
XCAT_Addr   = 'it''s'
XCAT_vlan   = NONE
Empty =
"""


def test_properties_are_words_or_texts_in_quotes() -> None:
    found = dmssicnf.parse(COPY)
    assert found["authorization_policy"] == "Authorization_Policy_EsmAuthlist"
    assert (found["zhcp_user"], found["xcat_notify"], found["xcat_addr"]) == ("CLOUDHCP", 'O"NEILL', "it's")
    assert found["empty"] == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A = 1\nwhat is this\n", "line 2"),
        ("A = one two\n", "line 1"),
        ('\n\nA = "open\n', "line 3"),
        ("A = 'it's'\n", "line 1"),
        ("= 5\n", "line 1"),
        ("A = 1\n/* never\nB = 2\n", "line 2: a comment"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(text: str, said: str) -> None:
    with pytest.raises(dmssicnf.SiteError, match=said):
        dmssicnf.parse(text)


def test_it_stands_where_the_settings_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "DMSSICNF.COPY").write_text(COPY)
    (tmp_path / "zhcp.toml").write_text('dmssicnf = "DMSSICNF.COPY"\n[machine]\nuserid = "OTHER"\n')
    found = settings.load(tmp_path / "zhcp.toml")
    assert (found.smapi.userid, found.machine.userid, found.listen.host) == ("CLOUDHCP", "OTHER", "10.10.10.20")


def test_its_faults_are_faults_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("what\n")
    with pytest.raises(settings.SettingsError, match=r"site: line 1"):
        settings.read({"dmssicnf": "site"}, tmp_path)
    with pytest.raises(settings.SettingsError, match="dmssicnf: missing"):
        settings.read({"dmssicnf": "missing"}, tmp_path)
    (tmp_path / "site").write_text("ZHCP_User = NOTAUSERID\n")
    with pytest.raises(settings.SettingsError, match=r"smapi\.userid"):
        settings.read({"dmssicnf": "site"}, tmp_path)
    with pytest.raises(settings.SettingsError, match="dmssicnf"):
        settings.read({"dmssicnf": 5}, tmp_path)
    assert dmssicnf.settings({"zhcp_user": "none"}) == {}
