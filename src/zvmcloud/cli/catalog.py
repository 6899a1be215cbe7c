"""What the manager offers, asked of itself: its OpenAPI document, kept between two commands and asked for by ETag."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from zvmcloud.cli import profiles
from zvmcloud.client import ClientError, Operation, operations
from zvmcloud.client.http import Document

HIDDEN = frozenset({"session.login", "session.whoami", "session.logout"})
"""Operations that have a command of their own."""


def known(*, ask: bool = True) -> tuple[Operation, ...]:
    """The operations of the manager that is meant: as it says now, or (when it does not answer, or without ``ask``) as
    it said last; none when no manager is meant. Raises ClientError when it neither answers nor ever did."""
    profile = profiles.chosen()
    if profile is None:
        return ()
    file = profiles.cache() / f"{hashlib.sha256(profile.url.encode()).hexdigest()[:16]}.json"
    tag, kept = _kept(file)
    if ask or kept is None:
        try:
            with profile.client("", retries=0) as client:
                found, tag = client.document(tag)
        except ClientError:
            if kept is None:
                raise
            found = None
        if found is not None:
            kept = found
            profiles.private(file, json.dumps({"etag": tag, "document": kept}))
    return tuple(one for one in operations(kept or {"paths": {}}) if one.name not in HIDDEN)


def _kept(file: Path) -> tuple[str, Document | None]:
    try:
        found = json.loads(file.read_text())
        return str(found["etag"]), dict(found["document"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", None
