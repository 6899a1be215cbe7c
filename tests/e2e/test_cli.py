"""`zvm` as a user types it, against a running manager: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from e2e.stack import PROGRAM, Stack, running, zvm

Run = partial[subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("cli") / "state") as found:
        yield found


@pytest.fixture
def run(stack: Stack, tmp_path: Path) -> Run:
    """A command with a home of its own, for the manager of the stack."""
    homes: dict[str, Any] = {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "ZVMCLOUD_STACK": str(stack.state),
    }

    def ran(*words: str, code: int = 0, **environment: Any) -> subprocess.CompletedProcess[str]:
        done = zvm(*words, timeout=90, **environment)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return partial(ran, **homes)


def test_a_guest_from_nothing_to_gone(run: Run) -> None:
    plan = json.loads(run("guest", "create", "web01", "--disk", "10,boot", "--dry-run", "-o", "json").stdout)
    assert run("guest", "list").stdout == "none\n"
    shown = run("plan", "show", plan["id"]).stdout
    assert "define WEB01" in shown
    assert f"zvm plan apply {plan['id']}" in shown
    assert "✓ record WEB01 as ours" in run("plan", "apply", plan["id"], "--wait").stdout
    (row,) = [line.split() for line in run("guest", "list").stdout.splitlines()[1:]]
    assert row[:3] == ["WEB01", "ZVM1", "default"]
    assert "  MDISK 0100 3390" in run("guest", "show", "web01").stdout
    assert yaml.safe_load(run("guest", "show", "web01", "-o", "yaml").stdout)["vcpus"] == 1
    run("guest", "start", "web01", "--wait")
    assert "LOGON AT" in run("guest", "console", "web01").stdout
    typed = run("guest", "console", "web01", "--send", "QUERY NAMES", "--cp", "--seconds", "1").stdout
    assert "WEB01" in typed
    job = run("job", "list").stdout.splitlines()[1].split()[0]
    assert "cp    SEND CP WEB01 QUERY NAMES" in run("job", "show", job).stdout
    events = run("event", "watch", "--after", "0", "--no-follow", "--kind", "guest.*").stdout
    assert "guest.created" in events
    run("guest", "delete", "web01", "--wait", "--yes")
    assert run("guest", "list").stdout == "none\n"


class Terminal:
    """A command on a terminal, where somebody types."""

    def __init__(self, run: Run, *words: str) -> None:
        environment = {**os.environ, **run.keywords, "COLUMNS": "100", "TERM": "xterm"}
        self._pid, self._file = pty.fork()
        if self._pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job begins with it ignored
            os.execve(sys.executable, [*PROGRAM, *words], environment)  # noqa: S606
        self.shown = ""

    def until(self, text: str) -> None:
        """Wait until the text is there."""
        deadline = time.monotonic() + 60
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self._read()

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def ends(self) -> int:
        """Its exit code, when it has ended."""
        deadline = time.monotonic() + 300
        while self._read():
            assert time.monotonic() < deadline, self.shown
        os.close(self._file)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> bool:
        if not select.select([self._file], [], [], 1)[0]:
            return True
        try:
            data = os.read(self._file, 4096)
        except OSError:  # Linux says so when the program has closed its side
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)


def test_a_console_is_followed_and_typed_at_on_a_terminal(run: Run) -> None:
    run("guest", "create", "typed", "--disk", "10,boot", "--wait")
    run("guest", "start", "typed", "--wait")
    console = Terminal(run, "guest", "console", "typed", "--follow")
    console.until("LOGON AT")
    console.type("said by hand\r")
    console.until("said by hand\r\nsaid by hand")  # as it is typed, and as the console shows it
    console.type("\x03")
    assert console.ends() == 130
    assert "Traceback" not in console.shown
    run("guest", "delete", "typed", "--yes", "--wait")


def test_a_file_becomes_an_image_and_an_upload_that_was_cut_off_goes_on(run: Run, stack: Stack, tmp_path: Path) -> None:
    data = b"\xfa" * 512 + random.Random(1).randbytes(3 << 20)
    file = tmp_path / "golden.img"
    file.write_bytes(data)
    with httpx.Client(base_url=stack.facts["v1"], headers={"authorization": f"Bearer {stack.admin_token}"}) as asked:
        about = {"name": "golden.img", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        begun = asked.post("/uploads", json=about).json()["id"]
        part = {"content-range": f"bytes 0-999999/{len(data)}"}
        assert asked.put(f"/uploads/{begun}", content=data[:1_000_000], headers=part).status_code == 200
    screen = Terminal(run, "image", "upload", str(file))
    assert screen.ends() == 0, screen.shown
    assert "sending golden.img" in screen.shown, "a bar on a terminal"
    assert "check digest" in screen.shown
    found = json.loads(run("image", "show", "golden.img", "-o", "json").stdout)
    assert (found["sha256"], found["bytes"]) == (about["sha256"], len(data))
    named = run("image", "upload", str(file), "second", "--tag", "env=prod", "-o", "json")
    assert json.loads(named.stdout)["tags"] == {"env": "prod"}
    assert "sending" not in named.stderr, "no bar where nobody looks"
    assert run("image", "list", "--tag", "env=prod").stdout.splitlines()[1].split()[0] == "second"
    assert "image-exists" in run("image", "upload", str(file), code=5).stderr
    assert "No such file" in run("image", "upload", str(tmp_path / "none"), code=2).stderr


def test_errors_say_what_to_do_and_the_exit_code_says_which_kind(run: Run) -> None:
    job = json.loads(run("guest", "create", "twice", "--wait", "-o", "json").stdout)["id"]
    done = run("guest", "create", "twice", "--wait", code=5)
    assert "(guest-exists)" in done.stderr
    assert "what to do: choose another userid" in done.stderr
    assert "undone" in run("job", "undo", job[:8], "--wait").stdout
    assert "only a job that is done can be undone" in run("job", "undo", job, "--wait", code=5).stderr
    assert "(guest-unknown)" in run("guest", "show", "nobody", code=3).stderr
    assert "(plan-unknown)" in run("plan", "apply", "0b0f9f0e", code=3).stderr
    assert "--secret is missing" in run("webhook", "create", "https://receiver.example", code=2).stderr
    assert "userid" in run("guest", "create", "far-too-long-for-zvm", code=2).stderr
    assert "did you mean 'guest'" in run("gest", "list", code=2).stderr
    assert "is not a number" in run("project", "create", "shop", "--quota", "guests=many", code=2).stderr
    assert "is none of its members" in run("guest", "create", "x", "--disk", "10,colour=red", code=2).stderr
    away = {"ZVMCLOUD_STACK": "", "ZVMCLOUD_URL": "http://127.0.0.1:9", "ZVMCLOUD_TOKEN": "x"}
    assert "see whether the manager runs there" in run("guest", "list", code=6, **away).stderr
    nobody = {"ZVMCLOUD_STACK": "", "XDG_STATE_HOME": "/nonexistent"}
    assert "zvm login" in run("whoami", code=2, **nobody).stderr


def test_login_keeps_a_token_for_its_owner_only_and_logout_ends_it(stack: Stack, run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("correct horse battery staple\n")
    run("project", "create", "shop")
    run("user", "create", "anna", "--role", "member", "--password-file", str(secret))
    run("project", "admit", "shop", "anna", "--role", "member")
    url = str(stack.facts["connector"])
    alone = {"ZVMCLOUD_STACK": "", "XDG_STATE_HOME": "/nonexistent"}
    words = ("--user", "anna", "--password-file", str(secret))
    assert "as anna (member), profile work" in run("login", url, *words, "--profile", "work", **alone).stdout
    token = tmp_path / "config" / "zvmcloud" / "tokens" / "work"
    assert token.stat().st_mode & 0o077 == 0
    assert token.read_text().strip() not in (tmp_path / "config" / "zvmcloud" / "config.toml").read_text()
    assert json.loads(run("whoami", "-o", "json", **alone).stdout)["projects"] == {"shop": "member"}
    assert "(role)" in run("user", "list", code=4, **alone).stderr
    run("guest", "create", "hers", "--wait", **alone)
    assert "HERS" in run("--profile", "work", "guest", "list", **alone).stdout
    held = token.read_text().strip()
    run("logout", **alone)
    assert not token.exists()
    gone = {**alone, "ZVMCLOUD_URL": url, "ZVMCLOUD_TOKEN": held}
    assert "(unauthorized)" in run("whoami", code=4, **gone).stderr
    secret.write_text("wrong\n")
    run("login", url, *words, code=4, **alone)


def test_init_makes_the_first_admin(tmp_path: Path, run: Run) -> None:
    run("init", "--state", str(tmp_path / "manager"))
    token = tmp_path / "config" / "zvmcloud" / "tokens" / "default"
    assert token.stat().st_mode & 0o077 == 0
    assert len(token.read_text().strip()) > 20


def test_help_and_completion_come_from_the_manager(run: Run) -> None:
    assert "webhook" in run("--help").stdout
    told = run("guest", "create", "--help").stdout
    assert "--memory-mb" in told
    assert "Memory in MiB" in told
    words = {"_ZVM_COMPLETE": "complete_bash", "COMP_WORDS": "zvm guest rel", "COMP_CWORD": "2"}
    assert "relocate" in run(**words).stdout.split()


def test_settings_of_openstack_are_rendered_from_what_the_manager_knows(stack: Stack, run: Run, tmp_path: Path) -> None:
    made = run("vswitch", "create", "VSW1", "--system", "ZVM1", "--wait")
    assert made.returncode == 0
    shown = run("openstack", "render", "--system", "zvm1").stdout
    assert f"url = {stack.facts['connector']}" in shown
    assert "system = ZVM1" in shown
    assert "physical_networks = physnet1:VSW1" in shown
    assert "network_vlan_ranges" not in shown, "VSW1 knows no VLANs"

    own = ("--physical-network", "a=VSW1", "--physical-network", "b=VSW2:1000+1F00", "--folder", str(tmp_path))
    written = [
        Path(line) for line in run("openstack", "render", "--system", "ZVM1", "--host", "z1", *own).stdout.split()
    ]
    assert [path.name for path in written] == [
        "zvm-z1.conf", "zvm-agent-z1.ini", "zvm.ini", "zvm-volumes-z1.conf",
        "nova-compute-z1.service", "neutron-zvm-agent-z1.service", "cinder-volume-z1.service",
    ]  # fmt: skip
    agent = written[1].read_text()
    assert "physical_networks = a:VSW1,b:VSW2" in agent
    assert "vswitch_devices = VSW2:1000+1F00" in agent
    assert "network_vlan_ranges = b:1:4094" in written[2].read_text()


def test_settings_of_openstack_need_a_system_and_vswitches_that_are_there(run: Run) -> None:
    assert "which z/VM system?" in run("openstack", "render", code=2).stderr
    assert "there is no VSWITCH NONE" in run(
        "openstack", "render", "--system", "ZVM1", "--physical-network", "a=NONE", code=2
    ).stderr  # fmt: skip
    assert "makes no sense" in run("openstack", "render", "-s", "ZVM1", "--physical-network", "a", code=2).stderr
    assert "ZVM9" in run("openstack", "render", "--system", "ZVM9", code=3).stderr
