"""The agent's options: what they make, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from oslo_config import cfg, generator

from zvmcloud.openstack import connection
from zvmcloud.openstack.connection import ConfigurationError
from zvmcloud.openstack.neutron import options
from zvmcloud.openstack.neutron.network import Wanted

EXAMPLES = Path(__file__).parents[3] / "etc" / "openstack"


def conf(tmp_path: Path, text: str) -> cfg.ConfigOpts:
    file = tmp_path / "agent.ini"
    file.write_text(f"[zvmcloud]\n{text}\n")
    found = cfg.ConfigOpts()
    options.register(found)
    options.register(found)
    found([], default_config_files=[str(file)])
    return found


def test_the_vswitch_of_each_physical_network(tmp_path: Path) -> None:
    text = "physical_networks = a:vsw1,b:VSW2,c:VSW3\nvswitch_devices = vsw2:1000+1f00,VSW3:20\nvlan_unaware = VSW3"
    assert options.wanted(conf(tmp_path, text)) == {
        "a": Wanted("VSW1"),
        "b": Wanted("VSW2", ("1000", "1F00")),
        "c": Wanted("VSW3", ("0020",), vlan_aware=False),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("physical_networks = a:TOOLONGNAME", "physical_networks: 'TOOLONGNAME' of a is no name"),
        ("physical_networks = a:VSW1\nvswitch_devices = VSW1:1000+1F00+2000+3000", "write 1 to 3 device numbers"),
        ("physical_networks = a:VSW1\nvswitch_devices = VSW1:OSA", "write 1 to 3 device numbers"),
        ("physical_networks = a:VSW1\nvswitch_devices = VSW2:1000", "VSW2 is the VSWITCH of no physical network"),
        ("vlan_unaware = VSW9", "VSW9 is the VSWITCH of no physical network"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match="zvmcloud") as refused:
        options.wanted(conf(tmp_path, text))
    assert said in str(refused.value)


def test_what_the_connection_needs_is_named(tmp_path: Path) -> None:
    token = tmp_path / "token"
    for text, said in (
        ("", "url is not set"),
        ("url = https://manager:8080", "token_file is not set"),
        (f"url = https://manager:8080\ntoken_file = {token}", "No such file"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            connection.connect(conf(tmp_path, text))
    token.write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        connection.connect(conf(tmp_path, f"url = https://manager:8080\ntoken_file = {token}"))
    token.write_text("s3cret\n")
    with pytest.raises(ConfigurationError, match="there is no /nowhere"):
        connection.connect(conf(tmp_path, f"url = https://manager:8080\ntoken_file = {token}\nca_file = /nowhere"))
    with connection.connect(conf(tmp_path, f"url = https://manager:8080\ntoken_file = {token}")) as client:
        assert "s3cret" not in repr(client)
    with pytest.raises(ConfigurationError, match="system is not set"):
        connection.system(conf(tmp_path, ""))
    assert connection.system(conf(tmp_path, "system = zvm1")) == "ZVM1"


def test_the_generator_of_samples_finds_the_options(tmp_path: Path) -> None:
    sample = tmp_path / "sample.ini"
    generator.main(["--namespace", "zvmcloud.neutron", "--output-file", str(sample)])
    text = sample.read_text()
    for option in (*connection.OPTIONS, *options.OPTIONS):
        assert f"\n#{option.name} =" in text


def test_the_examples_in_etc_are_read_as_they_are_meant() -> None:
    found = cfg.ConfigOpts()
    options.register(found)
    found([], default_config_files=[str(EXAMPLES / "zvm-agent-zvm1.ini")])
    assert options.wanted(found) == {"physnet1": Wanted("VSW1"), "physnet2": Wanted("VSW2", ("1000", "1F00"))}
