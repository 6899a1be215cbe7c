"""The journal: one key is one operation, and an older epoch changes nothing."""

import asyncio
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from zvmcloud.zhcp import commits
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.journal import Journal, digest


async def test_a_key_is_admitted_once_and_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = Journal(path)
    body = digest("guest.start", {"userid": "A"})
    assert await journal.admit("job", "step", 1, "guest.start", body) is None
    known = await journal.admit("job", "step", 1, "guest.start", body)
    assert known is not None
    assert known.state == "running"
    await journal.note("job/step", "entry")
    await journal.linking("F000", "A", "0100")
    await journal.close()
    journal = Journal(path)
    assert journal.notes("job/step") == {"entry": ""}
    (link,) = journal.links()
    assert (link.vdev, link.owner, link.disk) == ("F000", "A", "0100")
    await journal.unlinked("F000")
    assert journal.links() == (link,), "a row of another run is not ours to delete"
    await journal.unlinked("F000", link.run)
    await journal.finish("job/step", "done", '{"state": "done"}')
    assert journal.notes("job/step") == {}
    assert journal.links() == ()
    known = await journal.admit("job", "step", 2, "guest.start", body)
    assert known is not None
    assert (known.state, known.outcome) == ("done", {"state": "done"})


async def test_an_older_epoch_and_other_parameters_are_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    body = digest("guest.start", {"userid": "A"})
    await journal.admit("job", "step", 5, "guest.start", body)
    with pytest.raises(AgentError) as stale:
        await journal.admit("job", "other", 4, "guest.start", body)
    assert stale.value.problem.code == "stale-epoch"
    assert journal.get("job/other") is None
    with pytest.raises(AgentError) as mismatch:
        await journal.admit("job", "step", 5, "guest.start", digest("guest.start", {"userid": "B"}))
    assert mismatch.value.problem.code == "operation-mismatch"


async def test_the_journal_keeps_no_parameters(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    await journal.admit("job", "step", 1, "guest.create", digest("guest.create", {"password": "GEHEIM"}))
    await journal.close()
    assert all(b"GEHEIM" not in file.read_bytes() for file in tmp_path.iterdir())
    assert (tmp_path / "j.sqlite").stat().st_mode & 0o077 == 0


@pytest.fixture
def flushes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A file number for each wait for the disk."""
    waited: list[int] = []
    flush = os.fdatasync

    def fdatasync(file: int) -> None:
        waited.append(file)
        flush(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    return waited


async def test_what_is_written_at_the_same_time_waits_for_the_disk_together(tmp_path: Path, flushes: list[int]) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    body = digest("guest.start", {"userid": "A"})
    flushes.clear()
    admitted = await asyncio.gather(*(journal.admit("job", f"s{n}", 1, "guest.start", body) for n in range(50)))
    assert admitted == [None] * 50
    assert len(flushes) <= 2
    assert all(journal.get(f"job/s{n}") is not None for n in range(50))
    await journal.close()


async def test_what_nobody_waits_for_is_on_the_disk_a_little_later(tmp_path: Path, flushes: list[int]) -> None:
    """One flush for all of a while, and none without a change."""
    journal = Journal(tmp_path / "j.sqlite")
    body = digest("guest.start", {"userid": "A"})
    await journal.admit("job", "first", 1, "guest.start", body)
    flushes.clear()
    for number in range(10):
        await journal.admit("job", f"s{number}", 1, "guest.start", body)
        await journal.note(f"job/s{number}", "entry-made", sync=False)
    assert flushes == []
    await asyncio.sleep(3 * commits.LAG)
    assert len(flushes) == 1
    await asyncio.sleep(2 * commits.LAG)
    assert len(flushes) == 1
    await journal.admit("job", "last", 1, "guest.start", body)
    await journal.close()
    assert len(flushes) == 2, "what was not yet on the disk"


async def test_other_programs_may_open_it_while_it_is_written(tmp_path: Path) -> None:
    """SQLite's locks on the log's index are lost when this process closes any descriptor of that file."""
    journal = Journal(tmp_path / "j.sqlite")
    body = digest("guest.start", {"userid": "A"})
    index = (tmp_path / "j.sqlite-shm").stat().st_ino
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    assert any(line[4] == str(os.getpid()) and line[5].endswith(f":{index}") for line in locks)
    query = "SELECT count(*) FROM operation"
    count = f"import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute({query!r}).fetchone()[0])"
    for number in range(1, 6):
        await journal.admit("job", f"s{number}", 1, "guest.start", body)
        found = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", count, str(tmp_path / "j.sqlite")], capture_output=True, check=True
        )
        assert int(found.stdout) == number
    assert all(journal.get(f"job/s{number}") is not None for number in range(1, 6))
    await journal.close()


async def test_of_two_equal_requests_the_first_comes_back_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    body = digest("guest.start", {"userid": "A"})
    back: list[bool] = []

    async def admit(step: str) -> None:
        back.append(await journal.admit("job", step, 1, "guest.start", body) is None)

    other = asyncio.create_task(admit("other"))  # brings the epoch, so that later ones need not wait for the disk
    await asyncio.sleep(0)
    first = asyncio.create_task(admit("same"))
    await other
    await asyncio.gather(first, admit("same"))
    assert back == [True, True, False]
    await journal.close()


async def test_a_disk_that_failed_is_not_believed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "j.sqlite")

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fails)
        outcomes = await asyncio.gather(journal.note("a/b", "x"), journal.locking("A"), return_exceptions=True)
    assert all(isinstance(outcome, OSError) for outcome in outcomes)
    with pytest.raises(OSError, match="Input"):
        await journal.note("a/b", "y")
    await journal.close()
    journal = Journal(tmp_path / "j.sqlite")
    await journal.note("a/b", "z")
    await journal.close()


async def test_the_log_is_begun_anew_before_it_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "LOG_LIMIT", 100_000)
    monkeypatch.setattr(commits, "LOG_STEP", 20_000)
    journal = Journal(tmp_path / "j.sqlite")
    body = digest("guest.start", {"userid": "A"})
    sizes = []
    for number in range(100):
        await journal.admit("job", f"s{number}", 0, "guest.start", body)
        if number % 10 == 0:
            await journal.note(f"job/s{number}", "entry")
        sizes.append((tmp_path / "j.sqlite-wal").stat().st_size)
    assert max(sizes) < 200_000, sizes
    assert len(set(sizes[50:])) == 1, "what is there is overwritten"
    assert (tmp_path / "j.sqlite").stat().st_size > 8192
    await journal.close()
    journal = Journal(tmp_path / "j.sqlite")
    assert all(journal.get(f"job/s{number}") is not None for number in range(100))
    await journal.close()


async def test_after_a_loss_of_power_the_room_behind_the_log_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "LOG_LIMIT", 100_000)
    journal = Journal(tmp_path / "j.sqlite")
    (tmp_path / "later").mkdir()
    for number in range(60):
        await journal.note("job/step", f"disk-{number}")
        if number % 10 == 0:  # the log is new, has been begun anew, and is in between
            for name in ("j.sqlite", "j.sqlite-wal"):
                shutil.copy(tmp_path / name, tmp_path / "later" / name)
            later = Journal(tmp_path / "later" / "j.sqlite")
            assert later.notes("job/step") == journal.notes("job/step")
            await later.close()
    assert (tmp_path / "j.sqlite-wal").stat().st_size > commits.LOG_STEP
    await journal.close()


async def test_a_refusal_in_a_common_commit_is_nobody_elses(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    body, other = digest("guest.start", {"userid": "A"}), digest("guest.start", {"userid": "B"})
    await journal.admit("job", "known", 5, "guest.start", body)
    first, stale, mismatch, last = await asyncio.gather(
        journal.admit("job", "first", 5, "guest.start", body),
        journal.admit("job", "stale", 4, "guest.start", body),
        journal.admit("job", "known", 6, "guest.start", other),
        journal.admit("job", "last", 5, "guest.start", body),
        return_exceptions=True,
    )
    assert (first, last) == (None, None), "the refused request of epoch 6 raised no fence"
    assert isinstance(stale, AgentError)
    assert isinstance(mismatch, AgentError)
    assert journal.get("job/stale") is None
    await journal.close()


async def test_who_no_longer_waits_keeps_nobody_from_writing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    gone = asyncio.create_task(journal.note("job/step", "entry"))
    await asyncio.sleep(0)
    gone.cancel()
    await journal.note("job/step", "disk")
    assert journal.notes("job/step") == {"entry": "", "disk": ""}
    await journal.close()


async def test_a_journal_that_cannot_be_written_says_so_to_everyone_who_waits(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    journal._db.execute("PRAGMA query_only=ON")
    outcomes = await asyncio.gather(
        journal.note("a/b", "x"), journal.linking("F000", "A", "0100"), return_exceptions=True
    )
    assert all(isinstance(outcome, sqlite3.OperationalError) for outcome in outcomes)
    journal._db.execute("PRAGMA query_only=OFF")
    await journal.note("a/b", "x")
    assert journal.notes("a/b") == {"x": ""}
    await journal.close()


async def test_the_disk_is_waited_for_before_z_vm_is_changed_and_when_a_new_manager_comes(
    tmp_path: Path, flushes: list[int]
) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    body = digest("guest.start", {"userid": "A"})
    waits = []
    for change in (
        lambda: journal.admit("job", "first", 7, "guest.start", body),
        lambda: journal.admit("job", "second", 7, "guest.start", body),
        lambda: journal.admit("job", "third", 8, "guest.start", body),
        lambda: journal.note("job/second", "entry"),
        lambda: journal.linking("F000", "A", "0100"),
        lambda: journal.locking("A"),
        lambda: journal.finish("job/second", "done", "{}"),
        lambda: journal.fence(8),
    ):
        flushes.clear()
        await change()
        waits.append(bool(flushes))
    assert waits == [True, False, True, True, True, True, False, False]
    await journal.close()
    await (journal := Journal(tmp_path / "j.sqlite")).admit("job", "fourth", 8, "guest.start", body)
    with pytest.raises(AgentError, match="epoch"):
        await journal.admit("job", "fifth", 7, "guest.start", body)
    await journal.close()


def test_the_same_image_from_another_server_is_the_same_request() -> None:
    source = {"url": "http://one/image", "headers": {"token": "a"}, "sha256": "1" * 64}
    moved = {**source, "url": "http://two/image", "headers": {"token": "b"}}
    first = digest("disk.write_image", {"userid": "LINUX01", "source": source})
    assert digest("disk.write_image", {"userid": "LINUX01", "source": moved}) == first
    assert digest("disk.write_image", {"userid": "LINUX01", "source": {**moved, "sha256": "2" * 64}}) != first
    assert digest("guest.create", {"userid": "LINUX01", "url": "a"}) != digest(
        "guest.create", {"userid": "LINUX01", "url": "b"}
    )
