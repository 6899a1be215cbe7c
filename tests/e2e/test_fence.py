"""Debian's fence_zvmip, as packaged, fences guests of the simulated z/VM."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.stack import Stack, running
from zvmcloud.smapi import functions as f

Fence = Callable[..., subprocess.CompletedProcess[str]]
OFF = 2
"""Exit code of fence agents for a plug that is off."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("fence") / "state") as found:
        entry = ("USER FENCED LBYONLY 512M 1G G", "INCLUDE LNXDFLT", "MACHINE ESA 2")
        found.smapi(f.ImageCreateDM(target="FENCED", image_record_array=entry))
        yield found


@pytest.fixture
def fence(stack: Stack, need: Callable[[str, str], str]) -> Fence:
    program = need("fence_zvmip", "fence-agents")
    password = Path(stack.facts["maint_password_file"]).read_text().strip()

    def run(action: str, *words: str, password: str = password) -> subprocess.CompletedProcess[str]:
        command = [program, "--ip=127.0.0.1", f"--ipport={stack.facts['smapi']['port']}", "--disable-ssl"]
        command += ["--username=MAINT", f"--password={password}", f"--action={action}", *words]
        # The package's own Python: agents find their library in /usr/share/fence.
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)

    return run


def test_on_status_off(stack: Stack, fence: Fence) -> None:
    assert fence("status", "--plug=FENCED").returncode == OFF
    assert fence("on", "--plug=FENCED").returncode == 0
    assert stack.is_on("FENCED")
    status = fence("status", "--plug=FENCED")
    assert (status.returncode, status.stdout.strip()) == (0, "Status: ON")
    assert fence("off", "--plug=FENCED").returncode == 0
    assert not stack.is_on("FENCED")
    status = fence("status", "--plug=FENCED")
    assert (status.returncode, status.stdout.strip()) == (OFF, "Status: OFF")


def test_reboot_leaves_the_guest_on(stack: Stack, fence: Fence) -> None:
    assert fence("reboot", "--plug=FENCED").returncode == 0
    assert stack.is_on("FENCED")
    assert fence("off", "--plug=FENCED").returncode == 0


def test_list_shows_every_guest(fence: Fence) -> None:
    done = fence("list")
    assert done.returncode == 0, done.stderr
    assert "FENCED," in done.stdout.splitlines()
    assert "MAINT," in done.stdout.splitlines()


def test_monitor_asks_for_the_credentials_only(fence: Fence) -> None:
    assert fence("monitor").returncode == 0
    wrong = fence("monitor", password="wrong")
    assert wrong.returncode != 0


def test_a_wrong_password_fences_nothing(stack: Stack, fence: Fence) -> None:
    stack.smapi(f.ImageActivate(target="FENCED"))
    assert fence("off", "--plug=FENCED", password="wrong").returncode != 0
    assert stack.is_on("FENCED")
