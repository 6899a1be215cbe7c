"""Requests that nobody would send, at a manager whose z/VM misbehaves: no answer that the document does not declare.

`make fuzz-api` sends many (FUZZ=examples of each operation); `make test` a few of each.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from e2e.stack import Stack, running, zvm

Case = schemathesis.Case[Any]
EXAMPLES = int(os.environ.get("FUZZ", "1"))
STREAMS = {"event.watch", "guest.follow", "job.watch"}
"""What may go on for ever: only its beginning is read."""
OWN_TOKEN = {"session.logout", "token.delete", "user.delete", "user.change"}
"""What could take the fuzzer's own token away: each request has a token made for it, of a user made for it."""
UNKNOWN_METHOD = 405
FAULTS = (
    ("--action", "refuse", "--rc", "400", "--rs", "12", "--probability", "0.05"),
    ("--action", "drop-after-work", "--probability", "0.02"),
    ("--action", "drop-before-id", "--probability", "0.02"),
    ("--action", "partial", "--probability", "0.01"),
    ("--action", "delay", "--delay", "0.3", "--probability", "0.02"),
    ("--action", "hang", "--probability", "0.01", "--count", str(max(1, EXAMPLES // 10))),
)
SMAPI_SECONDS = 2
"""After these the agent takes a function that hangs for lost."""


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with a guest, whose z/VM refuses, breaks off, delays and hangs."""
    state = tmp_path_factory.mktemp("fuzz") / "state"
    with running(state, "--smapi-seconds", str(SMAPI_SECONDS)) as stack:
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
    return httpx.Client(base_url=stack.facts["v1"], headers=headers, timeout=120)


class Asker:
    """Sends what the fuzzer makes up, and notes what should not have come back."""

    def __init__(self, stack: Stack) -> None:
        self._base, self._token = str(stack.facts["v1"]), stack.admin_token
        self._client = client(stack)
        self.sent: Counter[str] = Counter()
        self.wrong: list[str] = []

    def one(self, case: Case) -> None:
        name = case.operation.definition.raw["operationId"]
        self.sent[name] += 1
        token = self._another() if name in OWN_TOKEN else self._token
        headers = {"Authorization": f"Bearer {token}"}
        declared = {int(status) for status in case.operation.definition.raw["responses"]}
        if name in STREAMS:
            self._begins(case, headers, declared)
            return
        answer = case.call(base_url=self._base, headers=headers, timeout=120)
        if not str(answer.request.url).startswith(f"{self._base}/"):
            return  # dots in the path led to the other door
        shown = f"{name} {case.method} {case.formatted_path}: {answer.status_code}"
        media = answer.headers.get("content-type", [""])[0]
        if answer.status_code not in declared | {UNKNOWN_METHOD}:
            self.wrong.append(f"{shown} {answer.text[:300]}")
        elif answer.status_code >= 400 and media != "application/problem+json":
            self.wrong.append(f"{shown} {answer.headers}")
        elif media == "application/json":
            self._conforms(case, answer, shown)

    def _begins(self, case: Case, headers: dict[str, str], declared: set[int]) -> None:
        """The status of a stream, and what kind it is; the rest is left unread."""
        words = case.as_transport_kwargs(base_url=self._base, headers=headers)
        with requests.request(**words, stream=True, timeout=120) as answer:
            media = answer.headers.get("content-type", "").partition(";")[0]
            expected = "text/event-stream" if answer.ok else "application/problem+json"
            if not str(answer.request.url).startswith(f"{self._base}/"):
                return
            if answer.status_code not in declared or media != expected:
                self.wrong.append(f"{case.method} {case.formatted_path}: {answer.status_code} {media}")

    def _conforms(self, case: Case, answer: Any, shown: str) -> None:
        """Whether the answer has the form that the document gives it."""
        try:
            case.validate_response(answer, checks=[response_schema_conformance, content_type_conformance])
        except (AssertionError, FailureGroup) as problem:
            self.wrong.append(f"{shown}: {problem}")

    def _another(self) -> str:
        """A token that may be lost."""
        name = f"fuzz-{uuid.uuid4().hex[:12]}"
        assert self._client.post("/users", json={"name": name, "role": "admin"}).status_code == 201
        made = self._client.post("/tokens", json={"name": "fuzz", "user": name})
        assert made.status_code == 201, made.text
        return str(made.json()["token"])


def test_nothing_but_what_is_declared_comes_back(troubled: Stack) -> None:
    """Every operation of the document: the statuses it declares and no others, problems as problem documents, answers
    in the form that the document gives."""
    document = httpx.get(f"{troubled.facts['v1']}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    asker = Asker(troubled)
    names = set()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        names.add(operation.definition.raw["operationId"])
        _given(operation.as_strategy(), asker.one)()
    sys.stdout.write(f"{asker.sent.total()} requests to {len(asker.sent)} operations\n")
    assert not asker.wrong, "\n".join(asker.wrong)
    assert set(asker.sent) == names, "none is left out"


def _given(strategy: SearchStrategy[Case], function: Callable[[Case], None]) -> Callable[[], None]:
    quiet = settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=EXAMPLES < 10,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run: Callable[[], None] = quiet(given(case=strategy)(function))
    return run
