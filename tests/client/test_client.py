"""The client library against a scripted manager: answers, problems, retries, watching."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from zvmcloud.client import AnswerError, Client, ConnectionFailed, ImageUpload, JobFailed, ProblemError, change

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


class Receiver:
    """A manager that takes an upload; the answer to the first piece is lost, after ``kept`` bytes have come."""

    def __init__(self, kept: int, state: str = "done") -> None:
        self.data, self.kept, self.state, self.calls = b"", kept, state, list[str]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(f"{request.method} {request.url.path}")
        about = {"id": "u1", "bytes": 10, "offset": len(self.data), "job": "u1" if len(self.data) == 10 else None}
        if request.method == "PUT":
            first = int(request.headers["content-range"].removeprefix("bytes ").partition("-")[0])
            assert first == len(self.data)
            if self.kept >= 0:
                self.data, self.kept = self.data + request.content[: self.kept], -1
                raise httpx.ReadError("connection reset")
            self.data += request.content
        elif request.url.path.endswith("/events"):
            event = f"event: job\ndata: {json.dumps({'id': 'u1', 'state': self.state})}\n\n"
            return httpx.Response(200, text=event, headers={"content-type": "text/event-stream"})
        elif "/jobs/" in request.url.path:
            error = (
                None if self.state == "done" else {"code": "digest-mismatch", "detail": "other bytes", "status": 422}
            )
            return httpx.Response(200, json={"id": "u1", "state": self.state, "steps": [], "error": error})
        return httpx.Response(200, json=about)


@pytest.mark.parametrize("kept", [0, 2, 4])
def test_an_upload_goes_on_where_a_lost_connection_stopped_it(kept: int) -> None:
    manager = Receiver(kept)
    upload = ImageUpload(client(manager), {"name": "x", "bytes": 10, "md5": "0" * 32}, piece=4)
    for byte in b"0123456789":
        upload.write(bytes([byte]))
    assert upload.finish()["state"] == "done"
    assert manager.data == b"0123456789"


def test_an_upload_that_is_not_what_was_announced_fails_and_is_forgotten() -> None:
    manager = Receiver(-1, "failed")
    upload = ImageUpload(client(manager), {"name": "x", "bytes": 10, "md5": "0" * 32})
    upload.write(b"0123456789")
    with pytest.raises(JobFailed, match="other bytes") as caught:
        upload.finish()
    assert (caught.value.code, caught.value.status, caught.value.job["id"]) == ("digest-mismatch", 422, "u1")
    upload.abort()
    assert manager.calls[-1] == "DELETE /v1/uploads/u1"


def test_a_change_is_followed_to_the_end_of_its_job() -> None:
    good, bad = Receiver(-1), Receiver(-1, "cancelled")
    assert change(client(good), "POST", "/guests/ZVM1/A/start")["state"] == "done"
    with pytest.raises(JobFailed):
        change(client(bad), "POST", "/guests/ZVM1/A/start")
    with pytest.raises(AnswerError, match="is no job"):
        change(client(lambda _: httpx.Response(200, json={})), "POST", "/guests/ZVM1/A/start")
