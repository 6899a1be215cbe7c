"""`expect_entries`: what the directory entries must still be when an operation begins, a parameter of every operation.

    {"expect_entries": {"LINUX01": "<digest>", "LINUX02": "absent"}, ...}

The digest is that of the entry as GET /v1/guests/{userid} shows it, passwords masked. It is compared while the entry
is held, so nothing comes between the comparison and the change. A run that goes on after a crash compares nothing:
what changed since then may be its own work.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.fields import USERID

NAME = "expect_entries"
ABSENT = "absent"
"""The digest of an entry that is not there."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def entry_digest(statements: Sequence[str]) -> str:
    """The digest of an entry, given its masked statements."""
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()


def taken_out(parameters: Any) -> tuple[Any, dict[str, str]]:
    """The parameters without `expect_entries`, and what that says. FieldError."""
    if not isinstance(parameters, Mapping) or NAME not in parameters:
        return parameters, {}
    given = parameters[NAME]
    if not isinstance(given, Mapping):
        raise FieldError(f"parameters.{NAME}", type(given).__name__, "an object of userids and digests")
    for userid, digest in given.items():
        if not re.fullmatch(USERID, str(userid)):
            raise FieldError(f"parameters.{NAME}", userid, "userids")
        if not isinstance(digest, str) or (digest != ABSENT and not _DIGEST.fullmatch(digest)):
            raise FieldError(f"parameters.{NAME}.{userid}", digest, f"64 hexadecimal digits, or {ABSENT}")
    return {key: value for key, value in parameters.items() if key != NAME}, {**given}
