"""Helpers for tests of the native API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

As = Callable[[str], httpx.AsyncClient]


async def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    assert problem["remedy"], problem
    return problem


async def token_of(admin: httpx.AsyncClient, name: str, role: str, **projects: str) -> str:
    await ok(await admin.post("/users", json={"name": name, "role": role}), 201)
    for project, held in projects.items():
        answer = await admin.post("/projects", json={"name": project})
        assert answer.status_code in {201, 409}
        await ok(await admin.put(f"/projects/{project}/members/{name}", json={"role": held}), 204)
    found = await ok(await admin.post("/tokens", json={"name": "test", "user": name}), 201)
    return str(found["token"])
