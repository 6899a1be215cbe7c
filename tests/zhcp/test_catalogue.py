"""The page of operations says what the agent takes."""

import inspect
import re
from pathlib import Path

from typer.testing import CliRunner

from zvmcloud import zhcp
from zvmcloud.zhcp import catalogue
from zvmcloud.zhcp.messages import OPERATIONS
from zvmcloud.zhcp.operations.handlers import HANDLERS
from zvmcloud.zhcp.program import app


def test_every_kind_has_a_handler_and_a_docstring() -> None:
    assert set(OPERATIONS) == set(HANDLERS)
    assert [kind for kind, text in catalogue.kinds() if not text.endswith(".")] == []


def test_every_kind_says_what_undo_does_and_which_errors_it_gives() -> None:
    """Each code that is named is one that the agent has."""
    source = "".join(path.read_text() for path in Path(zhcp.__file__).parent.rglob("*.py"))
    for kind, operation in OPERATIONS.items():
        text = inspect.getdoc(operation) or ""
        assert "\nUndone: " in text, kind
        _, errors, named = text.partition("\nErrors: ")
        codes = re.findall(r"`([a-z]+-[a-z-]+)`", named)
        assert errors, kind
        unknown = [code for code in codes if f'"{code}"' not in source and not code.endswith("-script-failed")]
        assert unknown == [], kind


def test_members_stand_with_their_type_default_and_limit() -> None:
    page = catalogue.markdown()
    assert "| `max_cpus` | number or null | `null` | 1 to 64 |" in page
    assert "| `disks` | list of [NewDisk](#newdisk) | required | at most 64 items |" in page
    assert "| `placement` | text | `most-free` | one of most-free, spread, fill |" in page


def test_the_command_lists_the_kinds() -> None:
    listed = CliRunner().invoke(app, ["operations"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.output.splitlines()] == sorted(OPERATIONS)
    assert CliRunner().invoke(app, ["operations", "--markdown"]).output == catalogue.markdown()
