"""Tells subscribers of changed entries, as Asynchronous_Notification_Enable_DM asked for.

One TCP connection or one UDP datagram for each change and subscription; integers big-endian, text in the encoding
that was chosen (ASCII, or EBCDIC code page 924)::

    int4 length, userid; int4 length, user word; int4 length, subscriber data

An EXCLUDE subscription takes its userid out of what the same endpoint (protocol, address, port, encoding, data) would
get. A receiver that cannot be reached is logged; nothing is tried twice and no call waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from zvmcloud.simulator.directory_changes import Change
from zvmcloud.simulator.model_directory import Subscription
from zvmcloud.simulator.system import System
from zvmcloud.smapi import ebcdic
from zvmcloud.smapi.spelling import ENCODING

log = logging.getLogger(__name__)

TCP, UDP = 1, 2
EBCDIC = 2
ALL = "ALL"
#: Seconds that a receiver may take for a connection and the data.
TIMEOUT = 10.0
#: Notifications that may be under way; more are dropped and logged.
MOST = 1000


def message(change: Change, subscription: Subscription) -> bytes:
    """The bytes of one notification."""
    out = bytearray()
    for text in (change.userid, change.word, subscription.data):
        wire = ebcdic.encode(text, ebcdic.CP924) if subscription.encoding == EBCDIC else text.encode(ENCODING)
        out += len(wire).to_bytes(4, "big") + wire
    return bytes(out)


def receivers(change: Change, subscriptions: list[Subscription]) -> list[Subscription]:
    """Which subscriptions a change is sent to; an endpoint gets it once, also when ALL and the userid fit."""
    left_out = {item.endpoint for item in subscriptions if item.excluded and item.userid in (ALL, change.userid)}
    found: dict[object, Subscription] = {}
    for item in subscriptions:
        if not item.excluded and item.userid in (ALL, change.userid) and item.endpoint not in left_out:
            found.setdefault(item.endpoint, item)
    return list(found.values())


class Notifier:
    """Sends from `start` to `close`; needs a running event loop."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._system.changes.listeners.append(self._changed)

    async def close(self) -> None:
        """Stop; what is under way is given up."""
        if self._changed in self._system.changes.listeners:
            self._system.changes.listeners.remove(self._changed)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _changed(self, changes: list[Change]) -> None:
        if not len(self._system.subscriptions):
            return
        subscriptions = self._system.subscriptions.values()
        for change in changes:
            for item in receivers(change, subscriptions):
                if len(self._tasks) >= MOST:
                    log.warning("more than %d notifications are under way; one is dropped", MOST)
                    return
                task = asyncio.get_running_loop().create_task(self._send(item, message(change, item)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _send(self, item: Subscription, data: bytes) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                if item.protocol == UDP:
                    await _send_datagram(item, data)
                else:
                    _, writer = await asyncio.open_connection(item.address, item.port)
                    writer.write(data)
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError) as error:
            log.info("notification to %s port %d: %s", item.address, item.port, error)


async def _send_datagram(item: Subscription, data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        await asyncio.get_running_loop().sock_sendto(sender, data, (item.address, item.port))
