"""Release profiles: what a system calls itself and which functions it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from zvmcloud.simulator import Simulator, guests, releases
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import IMPATIENT, Client


@pytest.mark.parametrize("name", releases.RELEASES)
async def test_a_system_says_which_release_it_is(tmp_path: Path, name: str) -> None:
    release = releases.find(name)
    model = replace(PRESETS["lpar"], release=name)
    async with Simulator(state=tmp_path / "state", model=model) as sim:
        client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT", patience=IMPATIENT)
        level = await client.call(f.QueryAPIFunctionalLevel(target="MAINT"), allow=((0, release.level),))
        info = await client.call(f.SystemInfoQuery(target="MAINT"))
    assert level.rs == release.level
    assert f"Release {name.partition('.')[2]}.0" in info.reply.cp_level
    assert info.reply.gen_date_time.startswith(release.generated)


def test_the_banner_of_cms_is_that_of_z_cms_from_7_5_on() -> None:
    assert releases.find("7.4").banner("CMS").startswith("z/VM V7.4.0 ")
    assert releases.find("7.5").banner("CMS").startswith("Z/CMS V7.5.0 ")
    assert releases.find("6.4").banner("ZCMS").startswith("Z/CMS V6.4.0 ")


def test_a_function_of_a_later_level_does_not_exist_on_an_earlier_system() -> None:
    assert releases.of_level(725) is releases.RELEASES["7.2"]
    assert releases.of_level(640).name == "6.4"
    with pytest.raises(ModelError, match=r"7\.6"):
        releases.find("7.6")


def test_cplevel_says_when_the_release_was_built(tmp_path: Path) -> None:
    opened = open_system(tmp_path / "state", replace(PRESETS["small"], release="7.4"), clock=ManualClock())
    try:
        with opened.transaction():
            if "MAINT" not in opened.machines:
                guests.log_on(opened, "MAINT", ipl=False)
        lines = execute(opened, "MAINT", "QUERY CPLEVEL").lines
    finally:
        opened.close()
    assert lines[0].startswith("z/VM Version 7 Release 4.0")
    assert lines[1] == "Generated at 09/20/24 08:45:33 UTC"
