"""The signed request of a webhook.

``Zvm-Signature`` is ``v1=`` and the HMAC-SHA256, in hexadecimal, of the timestamp, a dot and the body, with the
webhook's secret; ``Zvm-Timestamp`` is that timestamp, in seconds since 1970. A receiver computes the same, compares in
constant time, and refuses old timestamps.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from zvmcloud.manager import downloads
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.events.log import Event

PATIENCE = 10.0
"""Seconds for one request, from connecting to the end of the answer's head."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a request went. ``status`` is None when there was no answer; ``error`` says why not."""

    status: int | None
    error: str
    milliseconds: float

    @property
    def taken(self) -> bool:
        """Whether the receiver has the event: it answered 2xx."""
        return self.status is not None and 200 <= self.status < 300


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of Zvm-Signature."""
    return "v1=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


async def call(url: str, secret: str, event: Event, hosts: Sequence[str]) -> Result:
    """Send an event to a URL: only to a public address or a host of ``hosts``, to exactly the address that was
    checked, without following redirects. Never raises."""
    body = json.dumps(event.document(), separators=(",", ":")).encode()
    timestamp = int(time.time())
    began = time.monotonic()
    headers = {
        "content-type": "application/json",
        "zvm-event": event.kind,
        "zvm-delivery": str(event.id),
        "zvm-timestamp": str(timestamp),
        "zvm-signature": signature(secret, timestamp, body),
    }
    status, error = None, ""
    try:
        target = downloads.parsed(url)
        address = (await downloads.addresses(target, hosts))[0]
        headers["host"] = target.netloc.decode("ascii")
        async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False, trust_env=False) as client:
            request = client.build_request(
                "POST",
                target.copy_with(host=address),
                content=body,
                headers=headers,
                extensions={"sni_hostname": target.host},
            )
            answer = await client.send(request, stream=True)
            status = answer.status_code
            await answer.aclose()
    except ManagerError as problem:
        error = problem.detail
    except httpx.HTTPError as problem:
        error = f"{type(problem).__name__}: the receiver does not answer"
    if status is not None and not 200 <= status < 300:
        error = f"HTTP status {status}"
    return Result(status, error[:255], round((time.monotonic() - began) * 1000, 1))
