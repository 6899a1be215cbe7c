"""A load generator for HTTP that costs little: one process, one thread, raw sockets on kept connections.

It runs in a process of its own, so that what it spends is not spent by the program that starts and reads the
benchmark, and so that it can be told apart: see :class:`Load`.
"""

from __future__ import annotations

import json
import multiprocessing
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one run came to. Seconds; ``cpu`` is what the generator itself spent."""

    latencies: tuple[float, ...]
    elapsed: float
    cpu: float

    @property
    def rate(self) -> float:
        """Calls answered in a second."""
        return len(self.latencies) / self.elapsed

    def percentile(self, part: float) -> float:
        """The latency in seconds that ``part`` (0 to 1) of the calls did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def request(method: str, path: str, document: object = None) -> bytes:
    """The bytes of a request, as a client on a kept connection sends them."""
    body = b"" if document is None else json.dumps(document).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: application/json\r\n" if body else ""
    return f"{head}\r\n".encode() + body


class Generator:
    """The process. Use it as a context manager; a run is over when the requests are, or the seconds."""

    def __enter__(self) -> Self:
        self._pipe, there = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()

    def run(self, port: int, requests: Sequence[bytes], clients: int, seconds: float | None = None) -> Load:
        """Each request once or, with ``seconds``, all of them in turn until these are over. RuntimeError for an answer
        other than 200."""
        self._pipe.send((port, requests, clients, seconds))
        found = self._pipe.recv()
        if isinstance(found, RuntimeError):
            raise found
        return Load(*found)


def _serve(pipe: Connection) -> None:
    while True:
        port, requests, clients, seconds = pipe.recv()
        try:
            pipe.send(_run(port, requests, clients, seconds))
        except (OSError, RuntimeError) as error:
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


class _Client:
    """One connection that waits for an answer."""

    __slots__ = ("connection", "received", "sent")

    def __init__(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.sent = 0.0

    def send(self, wire: bytes) -> None:
        self.received.clear()
        self.sent = time.perf_counter()
        self.connection.sendall(wire)

    def answered(self) -> bool:
        """Read what is there; whether that makes the answer whole. RuntimeError when it is no success."""
        piece = self.connection.recv(262144)
        if not piece:
            raise RuntimeError("the connection was closed")
        self.received += piece
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return False
        length = next(
            int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        if len(body) < length:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(bytes(self.received).decode(errors="replace"))
        return True


def _run(
    port: int, requests: Sequence[bytes], clients: int, seconds: float | None
) -> tuple[tuple[float, ...], float, float]:
    latencies: list[float] = []
    cpu = time.process_time()
    begin = time.perf_counter()
    wires = _until(requests, begin + seconds) if seconds is not None else iter(requests)
    waiting = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(clients):
            wire = next(wires, None)
            if wire is None:
                break
            client = _Client(port)
            selector.register(client.connection, selectors.EVENT_READ, client)
            client.send(wire)
            waiting += 1
        while waiting:
            ready = selector.select(_PATIENCE)
            if not ready:
                raise RuntimeError(f"no answer within {_PATIENCE:g} s")
            for key, _ in ready:
                client = key.data
                if not client.answered():
                    continue
                latencies.append(time.perf_counter() - client.sent)
                wire = next(wires, None)
                if wire is not None:
                    client.send(wire)
                    continue
                selector.unregister(client.connection)
                client.connection.close()
                waiting -= 1
    return tuple(latencies), time.perf_counter() - begin, time.process_time() - cpu


def _until(requests: Sequence[bytes], deadline: float) -> Iterator[bytes]:
    while True:
        for wire in requests:
            if time.perf_counter() >= deadline:
                return
            yield wire
