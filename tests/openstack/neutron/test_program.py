"""`neutron-zvm-agent` as a process: what ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

CALL = "from zvmcloud.openstack.neutron.program import main; main()"


def agent(tmp_path: Path, own: str) -> subprocess.Popen[str]:
    """Nobody answers on its message bus."""
    settings = tmp_path / "agent.ini"
    settings.write_text(
        f"[DEFAULT]\nhost = zvm1\ntransport_url = fake:///\n[AGENT]\nreport_interval = 1\n[zvmcloud]\n{own}\n"
    )
    command = [sys.executable, "-c", CALL, "--config-file", str(settings)]
    with (tmp_path / "log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, text=True)


def test_settings_that_make_no_sense_end_it_with_the_reason(tmp_path: Path) -> None:
    process = agent(tmp_path, "token_file = /nowhere")
    assert process.wait(120) == 1
    assert "neutron-zvm-agent: [zvmcloud] url is not set; write https://HOST:PORT" in (tmp_path / "log").read_text()


def test_it_ends_when_it_is_told_to_also_while_it_waits_for_its_manager(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    own = f"url = http://127.0.0.1:1\ntoken_file = {token}\nsystem = ZVM1\nretries = 0\npolling_interval = 3600"
    process = agent(tmp_path, own)
    try:
        deadline = time.monotonic() + 120
        while "the manager: " not in (tmp_path / "log").read_text():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, "it has asked the manager"
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert "s3cret" not in (tmp_path / "log").read_text()
