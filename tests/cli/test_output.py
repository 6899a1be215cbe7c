"""What the command line shows of an answer."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from zvmcloud.cli import output, progress

GUEST = {"userid": "WEB1", "system": "ZVM1", "project": "shop", "os_version": "", "tags": {}, "created": 1795276902.0}
JOB = {"id": "0" * 36, "state": "done", "steps": [], "created": 100.0, "finished": 102.5, "run": 0, "error": None}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    screen = Console(file=io.StringIO(), width=200, highlight=False)
    monkeypatch.setattr(output, "screen", screen)
    assert isinstance(screen.file, io.StringIO)
    return screen.file


def test_a_table_has_the_columns_of_its_noun_without_those_that_are_empty(told: io.StringIO) -> None:
    output.table([GUEST], "guest")
    assert told.getvalue().splitlines()[0].split() == ["userid", "system", "project", "created"]


def test_what_is_of_a_noun_and_is_another_thing_shows_its_own_members(told: io.StringIO) -> None:
    line = {"id": 10, "at": 1795276902.0, "step": "create", "text": "define WEB1"}
    output.table([line], "job")
    assert told.getvalue().splitlines()[0].split() == ["id", "at", "step", "text"]
    version = {"system": "ZVM1", "userid": "WEB1", "number": 1, "digest": "0" * 64, "cause": "outside", "job": ""}
    output.table([version], "guest")
    assert told.getvalue().splitlines()[2].split() == ["system", "userid", "number", "cause"]


def test_the_time_that_a_job_took_is_told_of_its_first_run_only(told: io.StringIO) -> None:
    progress.ended(JOB)
    progress.ended({**JOB, "state": "undone", "run": 1})
    assert told.getvalue().splitlines() == ["done in 2.5 s  job 00000000", "undone  job 00000000"]
