"""The manager's program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from manager.support import settings
from zvmcloud.api.program import serve
from zvmcloud.serving import TakenError, alone


async def test_one_manager_uses_a_state_folder(tmp_path: Path) -> None:
    found = replace(settings(tmp_path / "state"), port=0)
    with (
        alone(tmp_path / "state", "manager"),
        pytest.raises(TakenError, match="another manager uses the state folder"),
    ):
        await serve(found)
    assert not (tmp_path / "state" / "manager.sqlite").exists()


def test_a_state_folder_is_free_when_its_program_has_ended(tmp_path: Path) -> None:
    for _ in range(2):
        with alone(tmp_path, "program"), pytest.raises(TakenError), alone(tmp_path, "program"):
            raise AssertionError
