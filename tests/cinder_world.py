"""The Cinder driver over a manager and a z/VM in software, all in this process, with cinder's real objects; and a
glance that serves bytes to who has the token."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cinder import context as cinder_context
from cinder import objects
from cinder.volume import configuration
from oslo_config import cfg

from zvm_world import World, served
from zvmcloud.openstack import connection
from zvmcloud.openstack.cinder import options
from zvmcloud.openstack.cinder.driver import ZVMVolumeDriver
from zvmcloud.simulator import luns
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model_devices import Lun

CONF = cfg.CONF
POOL, OTHER, FOREIGN = "first", "second", "third"
BACKEND = "volumes@zvm1"
PORTS = ("500507630708D3B3", "50050763071BC5E3")
AGENTS = ("1A03", "1B03")
TOKEN = "token-of-the-user"
GIB_BLOCKS = 2**21
CONNECT = connection.connect
"""The real one, which reads the options."""


@dataclass
class Glance:
    """An image service: bytes by image, over HTTP as glance has them, and what cinder's client says of them."""

    url: str = ""
    images: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    spoiled: bool = False
    """It keeps other bytes than it gets."""

    def add(self, data: bytes, **more: Any) -> dict[str, Any]:
        image = str(uuid.uuid4())
        self.images[image] = data
        return {**self.show(None, image), **more}

    def show(self, _context: object, image: str) -> dict[str, Any]:
        data = self.images.get(image, b"")
        return {
            "id": image, "disk_format": "raw", "size": len(data), "os_hash_algo": "sha512",
            "os_hash_value": hashlib.sha512(data).hexdigest(), "properties": {},
        }  # fmt: skip


@contextmanager
def serving(glance: Glance) -> Iterator[None]:
    """Glance on a port of the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = glance.images.get(self._image(), None)
            first, last = self._range(len(data or b""))
            self._answer(data[first:last] if data is not None else None, first, len(data or b""))

        def _range(self, size: int) -> tuple[int, int]:
            asked = self.headers.get("range", "").removeprefix("bytes=").partition("-")
            return int(asked[0] or 0), min(int(asked[2]) + 1, size) if asked[2] else size

        def do_PUT(self) -> None:
            data = self._body()
            glance.images[self._image()] = data[:-1] if glance.spoiled else data
            self.send_response(204)
            self.end_headers()

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(self.headers["content-length"]))
            found = bytearray()
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(found)

        def _image(self) -> str:
            glance.asked.append(f"{self.command} {self.headers.get('x-auth-token')}")
            return self.path.split("/")[-2]

        def _answer(self, data: bytes | None, first: int, size: int) -> None:
            if data is None or self.headers.get("x-auth-token") != TOKEN:
                self.send_response(401 if data is not None else 404)
                self.end_headers()
                return
            part = bool(self.headers.get("range"))
            self.send_response(206 if part else 200)
            if part:
                self.send_header("Content-Range", f"bytes {first}-{first + len(data) - 1}/{size}")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Not to the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    glance.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class Storage:
    """What the tests of the driver see and do."""

    def __init__(self, zvm: World, driver: ZVMVolumeDriver, glance: Glance) -> None:
        self.zvm = zvm
        self.driver = driver
        self.glance = glance
        self.context = cinder_context.RequestContext("user", "project", auth_token=TOKEN, is_admin=True)

    def volume(self, *, size: int = 1, pool: str = POOL, **more: Any) -> objects.Volume:
        """A volume as cinder's scheduler hands it to the driver."""
        return objects.Volume(
            self.context, id=str(uuid.uuid4()), size=size, host=f"{BACKEND}#{pool}", _name_id=None, multiattach=False,
            encryption_key_id=None, project_id="project", display_name="v", provider_location=None,
            volume_attachment=objects.VolumeAttachmentList(objects=[]),
        ) if not more else self._changed(self.volume(size=size, pool=pool), more)  # fmt: skip

    def _changed(self, volume: objects.Volume, values: dict[str, Any]) -> objects.Volume:
        for name, value in values.items():
            setattr(volume, name, value)
        return volume

    def made(self, data: bytes = b"", **more: Any) -> objects.Volume:
        """A volume that is there, with these bytes."""
        volume = self.volume(**more)
        self.driver.create_volume(volume)
        if data:
            self.write(volume.name, data)
        return volume

    def snapshot(self, volume: objects.Volume) -> objects.Snapshot:
        return objects.Snapshot(
            self.context, id=str(uuid.uuid4()), volume=volume, volume_id=volume.id, volume_size=volume.size
        )

    def facts(self, name: str) -> dict[str, Any] | None:
        """A volume as the manager has it; None when it has none."""
        found = list(self.zvm.client.pages("/systems/ZVM1/volumes", {}))
        return next((item for item in found if item["name"] == name), None)

    def names(self) -> list[str]:
        return sorted(item["name"] for item in self.zvm.client.pages("/systems/ZVM1/volumes", {}))

    def _file(self, name: str) -> Path:
        facts = self.facts(name)
        assert facts is not None
        lun = next(item for item in self.zvm.system.luns.values() if item.lun.lower() == facts["lun"])
        return luns.file(self.zvm.system, lun)

    def read(self, name: str, size: int) -> bytes:
        with self._file(name).open("rb") as file:
            return file.read(size)

    def write(self, name: str, data: bytes) -> None:
        with self._file(name).open("r+b") as file:
            file.write(data)

    def guest(self, userid: str, *, start: bool = False) -> dict[str, Any]:
        """A server of nova, and what nova-compute says of it when it connects a volume."""
        instance = str(uuid.uuid4())
        self.zvm.do("POST", "/systems/ZVM1/guests", userid=userid, disks=[], tags={"openstack_instance": instance})
        if start:
            self.zvm.do("POST", f"/guests/ZVM1/{userid}/start")
        return {"host": f"ZVM1-{instance}", "zvm_system": "ZVM1", "zvm_instance": instance}

    def attach(self, userid: str, volume: objects.Volume) -> None:
        """What the Nova driver asks of the manager."""
        self.zvm.do("POST", f"/guests/ZVM1/{userid}/volumes", volume=volume.name)


@contextmanager
def storage(folder: Path, monkeypatch: Any) -> Iterator[Storage]:
    """Two pools of LUNs of 1, 2 and 2 GiB each, a third one that the backend does not use, and the driver."""
    glance = Glance()
    with served(folder, fcps=AGENTS) as zvm, serving(glance):
        pools = {name: _luns(zvm, number) for number, name in enumerate((POOL, OTHER, FOREIGN))}
        for name, lines in pools.items():
            path = f"/systems/ZVM1/volume-pools/{name}"
            zvm.client.call("PUT", f"{path}/file", content=lines.encode(), media="text/plain")
            zvm.client.call("PATCH", path, body={"wipe": "discard"})
        template = {"name": "guests", "devices": "1a00-1a02;1b00-1b02", "host_default": True}
        zvm.client.call("POST", "/systems/ZVM1/fcp-templates", body=template)
        _own_devices(zvm)
        monkeypatch.setattr(connection, "connect", lambda _conf: zvm.client)
        yield Storage(zvm, driver_of(zvm, monkeypatch, glance), glance)


def driver_of(zvm: World, monkeypatch: Any, glance: Glance, **values: Any) -> ZVMVolumeDriver:
    """The driver as cinder-volume loads it for a backend section."""
    from cinder.image import glance as service

    given = configuration.Configuration(options.OPTIONS, config_group="zvm1")
    wanted = {"zvm_system": "zvm1", "zvm_volume_pools": [POOL, OTHER], "zvm_busy_timeout": 30, **values}
    for name, value in wanted.items():
        CONF.set_override(name, value, group="zvm1")
    place = glance.url.removeprefix("http://")
    monkeypatch.setattr(service, "get_api_servers", lambda _context: iter([(place, False)]))
    return ZVMVolumeDriver(configuration=given, host=BACKEND)


def _luns(zvm: World, pool: int) -> str:
    lines = []

    def work() -> None:
        for at, size in enumerate((1, 2, 2)):
            number = f"40{pool}0{at:04X}".ljust(16, "0")
            for port in PORTS:
                lun = Lun(port, number, f"6005076307FFC5E3{number}", size * GIB_BLOCKS)
                zvm.system.luns.put(f"{port} {number}", lun)
            lines.append(f"free,{';'.join(PORTS)},{number},{size}G,,,,\n".lower().replace("g,,", "G,,"))

    zvm.edit(work)
    return "".join(lines)


def _own_devices(zvm: World) -> None:
    """The agent's machine, which is logged on when the agent has asked for its system once."""
    zvm.client.call("GET", "/systems/ZVM1/host")
    for device in AGENTS:
        answer = zvm.edit(lambda device=device: execute(zvm.system, "ZHCP", f"ATTACH {device} TO * AS {device}"))  # type: ignore[misc]
        assert answer.rc == 0, answer.lines
