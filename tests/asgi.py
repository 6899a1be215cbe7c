"""An ASGI application in the place of an agent's address."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from zvmcloud.zhcp.http import Answer


class AsgiDoor:
    """A door of :class:`zvmcloud.zhcp.client.ZhcpClient` that calls an application in this process."""

    def __init__(self, transport: httpx.ASGITransport) -> None:
        self._client = httpx.AsyncClient(transport=transport, base_url="http://zhcp")

    async def exchange(self, method: str, target: str, body: bytes, headers: Mapping[str, str], wait: float) -> Answer:
        found = await self._client.request(method, target, content=body, headers=dict(headers), timeout=wait)
        return Answer(found.status_code, found.content)

    async def close(self) -> None:
        await self._client.aclose()
