"""A USER DIRECT file as a new system's directory, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.checks import consistent
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.directory_program import app
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.presets import PRESETS, Model
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import IMPATIENT, Client

TEXT = """\
DIRECTORY 0123 3390 SYSRES
GLOBALDEFS
* Profiles
PROFILE LNXDFLT
 CONSOLE 0009 3215 T
USER MAINT WRONGWAY 128M 1000M ABCDEFG
 CONSOLE 0009 3215 T
 MDISK 0123 3390 0 END SYSRES MR
 MDISK 0190 3390 100 107 SYSRES MR ALL
IDENTITY OPS OPSPW 32M 64M G
 BUILD ON ZVM1 USING SUBCONFIG OPS-1
SUBCONFIG OPS-1
 MDISK 0191 3390 300 5 SYSRES MR
USER LINUX01 LBYONLY 2G 4G G
 INCLUDE LNXDFLT
 NICDEF 1000 TYPE QDIO
 NICDEF 1000 LAN SYSTEM VSW1
 MDISK 0100 3390 1 100,
    LX0001 MR READ WRITE
* Made by Hand
"""


def model(path: Path, *, accept: bool = False) -> Model:
    return replace(PRESETS["lpar"], directory=path, accept_extents=accept)


async def test_an_imported_directory_is_the_systems_and_comes_out_byte_for_byte(tmp_path: Path) -> None:
    file = tmp_path / "user.direct"
    file.write_text(TEXT)
    state = tmp_path / "state"
    async with Simulator(state=state, model=model(file)) as sim:
        client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="WRONGWAY", patience=IMPATIENT)
        await client.call(f.ImageActivate(target="LINUX01"))
        await client.call(f.ImageActivate(target="OPS"))
        assert sim.system.machines["OPS"].device("0191") is not None
        assert sim.system.volumes["SYSRES"].size == 3339
        used = f.ImageVolumeSpaceQueryDM(target="MAINT", query_type=3, entry_type=2, entry_names="LX0001")
        (record,) = (await client.call(used)).reply.record_array
        assert record.split()[:5] == ["LX0001", "3390", "1", "100", "LINUX01"]
        types = (await client.call(f.QueryAllDM(target="MAINT", format="NO"))).reply.directory_entries_array
        assert {
            item.directory_entry_type: item.directory_entry_id for item in types if item.directory_entry_type in (4, 5)
        } == {4: "DIRECTORY", 5: "GLOBALDEFS"}
        # While it runs.
        out = tmp_path / "out"
        result = CliRunner().invoke(app, ["export", "--state", str(state), "--output", str(out)])
        assert result.exit_code == 0, result.output
        assert out.read_text() == TEXT
        await client.call(f.ImageIPLSetDM(target="LINUX01", saved_system="0100"))
        tag = f.DirectoryManagerLocalTagDefineDM(target="MAINT", tag_name="T", tag_ordinal=1, define_action=1)
        await client.call(tag)
        await client.call(f.DirectoryManagerLocalTagSetDM(target="LINUX01", tag_name="T", tag_value="v"))
    CliRunner().invoke(app, ["export", "--state", str(state), "--output", str(out)])
    changed = out.read_text()
    assert set(changed.splitlines()) - set(TEXT.splitlines()) == {"IPL 0100", "*T: v"}
    assert set(TEXT.splitlines()) <= set(changed.splitlines())


async def test_what_is_wrong_is_told_with_lines_and_nothing_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "user.direct"
    file.write_text(TEXT + " MDISK 0101 3390 50 10 LX0001 MR\n MDISK 0102 3390 30050 2 LX0001 MR\n INCLUDE NOPROF\n")
    state = tmp_path / "state"
    with pytest.raises(ModelError) as caught:
        await Simulator(state=state, model=model(file)).start()
    text = str(caught.value)
    assert "line 21: MDISK LINUX01 0101: 50 + 10 on LX0001 overlaps LINUX01 0100 (1 + 100, line 18)" in text
    assert "line 22: MDISK LINUX01 0102: 30050 + 2 is beyond volume LX0001 of 30051" in text
    assert "line 23: INCLUDE NOPROF: there is no such profile" in text
    file.write_text(TEXT + " MDISK 0101 3390 50 10 LX0001 MR\n")
    async with Simulator(state=state, model=model(file, accept=True)) as sim:
        assert "LINUX01.0101" in sim.system.disks


def test_the_check_program_names_the_file_and_the_line(tmp_path: Path) -> None:
    file = tmp_path / "user.direct"
    file.write_text(TEXT)
    assert CliRunner().invoke(app, ["check", str(file)]).exit_code == 0
    file.write_text(TEXT + "SPOOL 0009 2540 READER A\n CONSOLE 0009 3215\n")
    result = CliRunner().invoke(app, ["check", str(file)])
    assert result.exit_code == 1
    assert "line 22" in result.output
    assert CliRunner().invoke(app, ["check", str(tmp_path / "none")]).exit_code == 2
    assert CliRunner().invoke(app, ["export", "--state", str(tmp_path)]).exit_code == 2


async def test_a_system_without_an_import_is_exported_whole(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path / "one") as sim:
        names = set(sim.system.entries)
        consistent(sim.system)
    result = CliRunner().invoke(app, ["export", "--state", str(tmp_path / "one")])
    file = tmp_path / "user.direct"
    file.write_text(result.stdout)
    async with Simulator(state=tmp_path / "two", model=model(file)) as sim:
        assert set(sim.system.entries) == names
        consistent(sim.system)
    again = CliRunner().invoke(app, ["export", "--state", str(tmp_path / "two")])
    assert again.stdout == result.stdout
