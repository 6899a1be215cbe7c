"""`zvm up` itself: clean stop, no orphans, clear refusals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.stack import PROGRAM, running, zvm
from zvmcloud.cli.up import HOST, _port


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_no_program_outlives_zvm_up(tmp_path: Path, number: signal.Signals) -> None:
    state = tmp_path / "state"
    words = ("up", "--state", str(state), "--port", "0", "--smapi-port", "0", "--machine-port", "0")
    process = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (state / "up.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    programs = children(process.pid)
    assert len(programs) == 3
    process.send_signal(number)
    process.wait(30)
    while any(alive(pid) for pid in programs):
        assert time.monotonic() < deadline + 30, "a program outlived its parent"
        time.sleep(0.05)


def test_a_state_folder_is_used_by_one_stack_at_a_time(tmp_path: Path) -> None:
    with running(tmp_path / "state"):
        second = zvm(
            "up", "--state", str(tmp_path / "state"), "--port", "0", "--smapi-port", "0", "--machine-port", "0"
        )
    assert second.returncode == 1
    assert "another `zvm up` uses the state folder" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_that_is_taken_is_named_with_the_option_that_helps(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = zvm("up", "--state", str(tmp_path / "state"), "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} cannot be used" in done.stderr
    assert "--port" in done.stderr


def test_a_model_that_makes_no_sense_is_refused_with_its_key(tmp_path: Path) -> None:
    model = tmp_path / "model.toml"
    model.write_text('[pool.P1]\ntype = "3390"\nsize = -1\n')
    words = ("--state", str(tmp_path / "state"), "--port", "0", "--smapi-port", "0", "--machine-port", "0")
    done = zvm("up", *words, "--model", str(model))
    assert done.returncode == 1
    assert "size" in done.stderr


def test_what_was_there_is_there_after_a_restart(tmp_path: Path) -> None:
    import httpx

    state = tmp_path / "state"
    guest = {"userid": "stays", "vcpus": 1, "memory": 512, "disk_list": [{"size": "10", "is_boot_disk": True}]}
    with running(state) as first:
        assert httpx.post(f"{first.facts['connector']}/guests", json={"guest": guest}, timeout=30).status_code == 200
        entry = first.entry("STAYS")
        token = first.admin_token
    with running(state) as second:
        assert second.entry("STAYS") == entry
        assert httpx.get(f"{second.facts['connector']}/guests").json()["output"] == ["STAYS"]
        jobs = httpx.get(f"{second.facts['v1']}/jobs", headers={"Authorization": f"Bearer {token}"})
        assert [job["userid"] for job in jobs.json()["items"]] == ["STAYS"]


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    with running(tmp_path / "state") as stack:
        for file in (stack.state / "secrets").iterdir():
            assert file.stat().st_mode & 0o077 == 0
        secret = Path(stack.facts["maint_password_file"]).read_text().strip()
        assert stack.state.stat().st_mode & 0o077 == 0
        for log in (stack.state / "logs").iterdir():
            assert secret not in log.read_text()
            assert stack.admin_token not in log.read_text()


def test_a_port_that_was_found_stays_ours_until_our_program_listens() -> None:
    """Another program that asks for any free port would get it otherwise, and answer in our manager's place."""
    with ExitStack() as held:
        port = _port(0, "--port", held)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((HOST, port))
        with socket.create_server((HOST, port)):
            assert port not in {_port(0, "--port", held) for _ in range(200)}
    with socket.create_server((HOST, port)):
        pass
