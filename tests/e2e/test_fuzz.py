"""Requests that nobody would send, at a manager whose z/VM misbehaves: no answer that the document does not declare.

`make fuzz-api` sends many (FUZZ=examples of each operation); `make test` a few of each.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis.core.result import Ok

from e2e.stack import Stack, running, zvm

Case = schemathesis.Case[Any]
EXAMPLES = int(os.environ.get("FUZZ", "2"))
ENDLESS = {"event.watch", "guest.follow"}
"""Streams that end only with their reader; tests/api/test_events.py reads them."""
APART = {"session.logout", "token.delete", "user.delete", "user.change", "health.show"}
"""What would take the fuzzer's own token away comes last, and health has no parameters."""
FAULTS = (
    ("--action", "refuse", "--rc", "400", "--rs", "12", "--probability", "0.05"),
    ("--action", "drop-after-work", "--probability", "0.02"),
    ("--action", "drop-before-id", "--probability", "0.02"),
    ("--action", "delay", "--delay", "0.3", "--probability", "0.02"),
)


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with a guest, whose z/VM refuses, breaks off and delays."""
    with running(tmp_path_factory.mktemp("fuzz") / "state") as stack:
        with client(stack) as asked:
            body = {"userid": "LINUX01", "disks": [{"size": "10", "boot": True}]}
            job = asked.post("/systems/ZVM1/guests", json=body).json()
            asked.get(f"/jobs/{job['id']}/events")
        for words in FAULTS:
            done = zvm("simulator", "fault", "add", "--state", str(stack.state / "simulator"), *words)
            assert done.returncode == 0, done.stderr
        yield stack


def client(stack: Stack) -> httpx.Client:
    headers = {"Authorization": f"Bearer {stack.admin_token}"}
    return httpx.Client(base_url=stack.facts["v1"], headers=headers, timeout=60)


def test_nothing_but_what_is_declared_comes_back(troubled: Stack) -> None:
    base, token = str(troubled.facts["v1"]), troubled.admin_token
    document = httpx.get(f"{base}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    wrong: list[str] = []
    sent = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        name = operation.definition.raw["operationId"]
        if name in ENDLESS | APART:
            continue

        def one(case: Case) -> None:
            nonlocal sent
            name = case.operation.definition.raw["operationId"]
            answer = case.call(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=60)
            sent += 1
            declared = {int(status) for status in case.operation.definition.raw["responses"]}
            if answer.status_code not in declared | {405}:
                wrong.append(f"{name} {case.method} {case.formatted_path}: {answer.status_code} {answer.text[:300]}")
            elif not str(answer.request.url).startswith(f"{base}/"):
                return  # dots in the path led to the other door
            elif answer.status_code >= 400 and answer.headers["content-type"][0] != "application/problem+json":
                wrong.append(f"{name} {case.formatted_path}: {answer.status_code} {answer.headers} {answer.text[:200]}")

        _given(operation.as_strategy(), one)()
    sys.stdout.write(f"{sent} requests\n")
    assert not wrong, "\n".join(wrong)
    assert sent >= 50 * min(EXAMPLES, 2)


def _given(strategy: SearchStrategy[Case], function: Callable[[Case], None]) -> Callable[[], None]:
    quiet = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES < 10,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run: Callable[[], None] = quiet(given(case=strategy)(function))
    return run
