"""The journal: one key is one operation, and an older epoch changes nothing."""

from pathlib import Path

import pytest

from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.journal import Journal, digest


def test_a_key_is_admitted_once_and_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = Journal(path)
    body = digest("guest.start", {"userid": "A"})
    assert journal.admit("job", "step", 1, "guest.start", body) is None
    known = journal.admit("job", "step", 1, "guest.start", body)
    assert known is not None
    assert known.state == "running"
    journal.note("job/step", "entry")
    journal.linking("F000", "A", "0100")
    journal.close()
    journal = Journal(path)
    assert journal.notes("job/step") == {"entry": ""}
    (link,) = journal.links()
    assert (link.vdev, link.owner, link.disk) == ("F000", "A", "0100")
    journal.unlinked("F000")
    assert journal.links() == (link,), "a row of another run is not ours to delete"
    journal.unlinked("F000", link.run)
    journal.finish("job/step", "done", {"state": "done"})
    assert journal.notes("job/step") == {}
    assert journal.links() == ()
    known = journal.admit("job", "step", 2, "guest.start", body)
    assert known is not None
    assert (known.state, known.outcome) == ("done", {"state": "done"})


def test_an_older_epoch_and_other_parameters_are_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    body = digest("guest.start", {"userid": "A"})
    journal.admit("job", "step", 5, "guest.start", body)
    with pytest.raises(AgentError) as stale:
        journal.admit("job", "other", 4, "guest.start", body)
    assert stale.value.problem.code == "stale-epoch"
    assert journal.get("job/other") is None
    with pytest.raises(AgentError) as mismatch:
        journal.admit("job", "step", 5, "guest.start", digest("guest.start", {"userid": "B"}))
    assert mismatch.value.problem.code == "operation-mismatch"


def test_the_journal_keeps_no_parameters(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    journal.admit("job", "step", 1, "guest.create", digest("guest.create", {"password": "GEHEIM"}))
    journal.close()
    assert all(b"GEHEIM" not in file.read_bytes() for file in tmp_path.iterdir())
    assert (tmp_path / "j.sqlite").stat().st_mode & 0o077 == 0
