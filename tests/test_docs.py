"""What the documents say exists, exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reference import pages
from zvmcloud.api.v1.app import document as api
from zvmcloud.api.v1.document import operations
from zvmcloud.cli.main import PROGRAMS, SESSION

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
NOUNS = {operation["operationId"].partition(".")[0] for _, _, operation in operations(api())}
COMMAND = re.compile(r"`(?:\.venv/bin/)?zvm ([a-z][a-z-]*)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda found: str(found.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = [target for target in LINK.findall(document.read_text()) if "://" not in target]
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda found: str(found.relative_to(ROOT)))
def test_commands_named_are_commands(document: Path) -> None:
    assert {
        name for name in COMMAND.findall(document.read_text()) if name not in {*PROGRAMS, *SESSION, *NOUNS}
    } <= FUTURE


# design.md and decisions speak of commands that later parts of the project bring.
FUTURE = {"openstack"}


@pytest.mark.parametrize(("page", "text"), pages().items(), ids=lambda found: getattr(found, "name", ""))
def test_pages_that_are_made_from_the_code_are_current(page: Path, text: str) -> None:
    assert page.read_text() == text, "run `make reference`, and commit what it writes"


def test_the_readme_shows_output_and_no_placeholder() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "_OUTPUT" not in readme
    assert "web01 login:" in readme
    assert " passed in " in readme
