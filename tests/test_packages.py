"""Packages that are pinned work with every Python that is supported."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([^=#\s]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}


def test_every_pin_that_is_installed_takes_the_oldest_python_that_we_take() -> None:
    """Otherwise pip looks for minutes for something that fits, and then gives up."""
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    installed = {canonicalize_name(found.metadata["Name"]): found for found in distributions()}
    wanting = {
        f"{name} {version}": installed[name].metadata["Requires-Python"]
        for name, version in PINS.items()
        if name in installed
        and installed[name].version == version
        and not SpecifierSet(installed[name].metadata["Requires-Python"] or "").contains(f"{oldest}.0")
    }
    assert wanting == {}
    assert len(PINS.keys() & installed.keys()) > 60
