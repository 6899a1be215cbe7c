"""Feilong's own REST server as a peer: the released package, unmodified, in a process of its own on this machine.

It reaches z/VM by programs alone (smcli, vmcp, iucvclnt, each begun by sudo), through `subprocess.check_output`. In
place of each a program is begun here that does nothing, and the answer is there at once: no sudo, no SMAPI and no z/VM,
so this is less than Feilong takes anywhere. Its two servers, of REST and of the SDK, are in the one process; uvicorn
serves the former.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import uvicorn

VERSION = version("zVMCloudConnector")
_NOTHING = "/bin/true"
_begin = subprocess.check_output
_SETTINGS = """
[zvm]
user_profile = osdflt
disk_pool = ECKD:POOL1
[network]
my_ip = 127.0.0.1
[database]
dir = {folder}/
[logging]
log_dir = {folder}/
[image]
sdk_image_repository = {folder}
[file]
file_repository = {folder}
[sdkserver]
bind_addr = 127.0.0.1
bind_port = 0
[wsgi]
auth = none
"""
_ON = "L"
"""What the userids of guests begin with that are on."""
_PERFORMANCE = """Guest name: "{userid}"
Guest CPUs: "1"
Used CPU time: "1000000 uS"
Elapsed time: "9000000 uS"
Minimum CPU count: "1"
Max CPU limit: "10000"
Samples CPU in use: "0"
Samples CPU delay: "0"
Used memory: "290232 KB"
Max memory: "2097152 KB"
Minimum memory: "0 KB"
Shared memory: "5222192 KB"
"""
_GUEST = {
    "lscpu --parse=ADDRESS": "# Address\n0\n",
    "ls /etc/*-release": "/etc/os-release\n",
    "cat /etc/os-release": 'ID="sles"\nVERSION_ID="15.6"\n',
    "uname -srm": "Linux 6.4.0-150600.21-default s390x\n",
}


@contextmanager
def running() -> Iterator[int]:
    """Its port. RuntimeError when it does not come up."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "zvmsdk.conf").write_text(_SETTINGS.format(folder=folder))
        program = [sys.executable, "-m", "benchmarks.feilong"]
        environment = {**os.environ, "HOME": folder}
        said = Path(folder) / "stderr"
        with said.open("wb") as errors:
            process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=errors, env=environment)
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line.strip().isdigit():
                raise RuntimeError(f"Feilong's server did not come up: {said.read_text(errors='replace')[-2000:]}")
            yield int(line)
        finally:
            process.terminate()
            process.wait(60)


def _answer(command: Sequence[str] | str, *_: object, universal_newlines: bool = False, **__: object) -> bytes | str:
    """What the programs say of a z/VM on which every change succeeds."""
    _begin([_NOTHING])
    words = [str(word) for word in (command.split() if isinstance(command, str) else command)]
    words = words[words[0] == "sudo" :]
    program, said = words[0].rpartition("/")[2], " ".join(words[1:])
    text = ""
    if program == "vmcp" and "userid" in said:
        text = "OPNCLOUD AT ZVM1\n"
    elif program == "vmcp":
        userid = words[-1]
        if not userid.startswith(_ON):
            refusal = f"HCPCQU045E {userid} not logged on\nError: non-zero CP response for command: #45\n"
            raise subprocess.CalledProcessError(1, words, refusal.encode())
        text = f"{userid:8} - DSC\n"
    elif program == "smcli":
        text = "0 0 0\n"
        if "Image_Performance_Query" in words:  # -T who asks -T userid -c 1
            text += _PERFORMANCE.format(userid=words[-3])
    elif program == "iucvclnt":
        text = _GUEST.get(" ".join(words[2:]), "")
    return text if universal_newlines else text.encode()


def _serve() -> None:
    warnings.simplefilter("ignore")
    subprocess.check_output = _answer  # type: ignore[assignment]  # the one function by which it begins programs
    config = import_module("zvmsdk.config")
    config.load_config()  # before the modules that read it when they are loaded
    server = import_module("zvmsdk.sdkserver").SDKServer()
    server.setup()
    config.CONF.sdkserver.bind_port = server.server_socket.getsockname()[1]
    threading.Thread(target=server.run, daemon=True).start()
    rest = import_module("zvmsdk.sdkwsgi.deploy").loadapp()
    listener = uvicorn.Config(rest, interface="wsgi", log_level="error", access_log=False)
    door = socket.create_server(("127.0.0.1", 0), backlog=64)
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each answer waits 40 ms for the client's system
    sys.stdout.write(f"{door.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(listener).run(sockets=[door])


if __name__ == "__main__":
    _serve()
