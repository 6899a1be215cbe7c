"""The client library against a scripted manager: answers, problems, retries, watching."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from zvmcloud.client import AnswerError, Client, ConnectionFailed, ProblemError

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, pauses: list[float] | None = None) -> Client:
    pauses = pauses if pauses is not None else []
    return Client("http://manager:8080/", "tok", transport=httpx.MockTransport(handler), sleep=pauses.append)


def test_calls_carry_the_token_and_ask_below_v1() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer tok"
        assert str(request.url) == "http://manager:8080/v1/jobs?limit=20&userid=LINUX01"
        return httpx.Response(200, json={"items": [{"id": "1"}], "next": None})

    with client(answer) as found:
        assert found.jobs(userid="LINUX01", limit=20) == [{"id": "1"}]
        assert "tok" not in repr(found)


def test_a_list_is_fetched_page_by_page_as_it_is_read() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("cursor", ""))
        more = {"": "b", "b": "c"}.get(asked[-1])
        return httpx.Response(200, json={"items": [{"userid": f"L{len(asked)}"}], "next": more})

    found = client(answer).guests()
    assert next(found) == {"userid": "L1"}
    assert asked == [""]
    assert [guest["userid"] for guest in found] == ["L2", "L3"]
    assert asked == ["", "b", "c"]


def test_names_cannot_leave_their_place_in_the_path() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.raw_path == b"/v1/images/a%2F..%2Fb%3Fc"
        return httpx.Response(200, json={})

    client(answer).image("a/../b?c")


def test_a_problem_becomes_an_error_with_remedy() -> None:
    problem = {"status": 404, "code": "job-unknown", "detail": "no job has that id", "remedy": "look at the list"}
    with pytest.raises(ProblemError, match="no job has that id \\(look at the list\\)") as caught:
        client(lambda _: httpx.Response(404, json=problem)).job("x")
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (404, "job-unknown", False)


def test_503_is_tried_again_with_growing_pauses() -> None:
    pauses: list[float] = []
    answers = [httpx.Response(503, json={}), httpx.Response(503, json={}), httpx.Response(200, json=[])]
    assert client(lambda _: answers.pop(0), pauses).systems() == []
    assert pauses == [0.2, 0.4]


def test_a_lost_connection_is_tried_again_for_calls_that_can_be_made_twice() -> None:
    seen: list[tuple[str, str]] = []

    def lose(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.headers.get("idempotency-key", "")))
        raise httpx.ReadError("connection reset")

    with pytest.raises(ConnectionFailed):
        list(client(lose).guests())
    assert seen == [("GET", "")] * 4
    seen.clear()
    with pytest.raises(ConnectionFailed):
        client(lose).cancel("1")
    assert len(seen) == 4
    assert len(set(seen)) == 1, "always with the same key: the manager may have got the first"
    seen.clear()
    with pytest.raises(ConnectionFailed):
        client(lose).call("PATCH", "/guests/ZVM1/LINUX01", body={"tags": {}})
    assert seen == [("PATCH", "")], "nothing tells the manager that it is the same call"


def test_an_answer_that_is_not_json_names_the_url() -> None:
    with pytest.raises(AnswerError, match="manager:8080"):
        client(lambda _: httpx.Response(200, text="<html>")).health()


def test_watching_goes_on_after_a_lost_stream_and_ends_with_the_job() -> None:
    def event(state: str) -> str:
        return f"event: job\ndata: {json.dumps({'id': '1', 'state': state})}\n\n"

    streams = [event("running"), event("running") + event("done")]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/events"):
            return httpx.Response(200, text=streams.pop(0), headers={"content-type": "text/event-stream"})
        return httpx.Response(200, json={"id": "1", "state": "done", "steps": []})

    found = client(answer)
    assert [job["state"] for job in found.watch("1")] == ["running", "running", "done"]
    streams[:] = [event("done")]
    assert found.wait("1")["steps"] == []


def test_watching_an_unknown_job_is_a_problem() -> None:
    with pytest.raises(ProblemError):
        list(client(lambda _: httpx.Response(404, json={"code": "job-unknown"})).watch("x"))
