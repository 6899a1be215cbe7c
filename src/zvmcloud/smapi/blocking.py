"""The client for programs without an event loop.

>>> with BlockingClient("127.0.0.1", userid="MAINT", password="...") as client:
...     print(client.call(functions.ImageNameQueryDM(target="MAINT")).reply.image_name_array)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar

from zvmcloud.smapi.client import DEFAULT_PORT, Client, Patience, Tls
from zvmcloud.smapi.declare import Answer, Reply, Request

R = TypeVar("R", bound=Reply)


class BlockingClient:
    """`Client` behind plain calls. Its event loop runs in a thread of its own until `close`; threads may share it."""

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        userid: str,
        password: str,
        tls: Tls | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._client = Client(host, port, userid=userid, password=password, tls=tls, patience=patience)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smapi-client", daemon=True)
        self._thread.start()

    def call(self, request: Request[R], *, allow: Sequence[tuple[int, int]] = (), follow: bool = True) -> Answer[R]:
        """As `Client.call`."""
        work = self._client.call(request, allow=allow, follow=follow)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Stop the loop; a closed client cannot be used again."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
