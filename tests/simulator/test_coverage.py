"""The coverage that the simulator states about itself."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from zvmcloud.simulator import coverage
from zvmcloud.simulator.program import app
from zvmcloud.simulator.smapi.registry import AUTHORITIES


def test_every_documented_function_is_listed_once_with_its_state() -> None:
    items = coverage.covered()
    assert len({item.function for item in items}) == len(items) >= 196
    assert all(item.state == coverage.COMPLETE or item.note for item in items)
    assert all(item.authority in AUTHORITIES for item in items if item.state != coverage.REFUSED)


def test_the_command_prints_the_page() -> None:
    shown = CliRunner().invoke(app, ["coverage", "--markdown"])
    assert shown.exit_code == 0
    assert shown.stdout == coverage.markdown()


def test_the_table_and_the_json_count_alike() -> None:
    data = json.loads(CliRunner().invoke(app, ["coverage", "--json"]).stdout)
    assert sum(data["states"].values()) == len(data["functions"])
    table = CliRunner().invoke(app, ["coverage"]).stdout
    assert f"{data['states']['complete']} complete" in table
