"""The codec on one core: requests per second, and the largest recorded reply."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.table import Row
from zvmcloud.smapi import functions as f
from zvmcloud.smapi import recording
from zvmcloud.smapi.connection import ClientConnection, ReplyFrame, ServerConnection, decode_request, encode_request

RECORDED = Path(__file__).parent.parent / "tests" / "smapi" / "recorded.jsonl"


def per_second(work: Callable[[], object], seconds: float = 1.0) -> float:
    """How often `work` runs in a second; the best of three rounds."""
    best = 0.0
    for _ in range(3):
        count, begin = 0, time.perf_counter()
        while (spent := time.perf_counter() - begin) < seconds / 3:
            for _ in range(20):
                work()
            count += 20
        best = max(best, count / spent)
    return best


def request_both_ways() -> object:
    """What one call costs on both sides: the client's encoding, the server's framing and decoding."""
    request = f.ImageQueryDM(target="LINUX01")
    server = ServerConnection()
    server.receive_data(encode_request(request, "MAINT", "secret"))
    (frame,) = server.frames()
    return decode_request(request.spec, frame)


def run() -> list[Row]:
    exchanges = recording.load(RECORDED)
    largest = max(exchanges, key=lambda found: len(found.received))
    _, request, _, _ = recording.read_request([largest.sent])

    def decode_largest() -> object:
        client = ClientConnection(request.spec)
        client.receive_data(largest.received)
        (frame,) = [event for event in client.events() if isinstance(event, ReplyFrame)]
        return request.spec.decode_answer(frame.rc, frame.rs, frame.data, request)

    size = len(largest.received)
    decoded = per_second(decode_largest) * size / 1e6
    as_json = json.dumps(largest.received.decode("iso8859-15"))
    parsed = per_second(lambda: json.loads(as_json)) * size / 1e6
    return [
        Row(
            "codec: Image_Query_DM request, encode + decode",
            per_second(request_both_ways),
            "requests/s",
            20_000,
            "goal",
        ),
        Row(
            f"codec: decode the largest recorded reply ({largest.function}, {size:,} bytes)",
            decoded,
            "MB/s",
            parsed,
            "json.loads of the same bytes as one string",
        ),
    ]
