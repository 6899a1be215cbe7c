"""What all tests share: programs that a machine may lack are asked for by `need`, and in CI nothing may lack."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

#: Of our own; where the package is installed anew, its entry point names it as well.
pytest_plugins = ["zvmcloud.simulator.pytest_plugin"]


@pytest.fixture
def need() -> Callable[[str, str], str]:
    """`need("fence_zvmip", "fence-agents")`: the path of a program, or a skip that names the package to install."""

    def find(program: str, package: str) -> str:
        found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if found is None:
            message = f"{program} is not installed (Debian package {package})"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        return found

    return find
