"""What glance tells of its images, as nova and cinder pass it on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def digest(facts: Mapping[str, Any]) -> dict[str, str]:
    """What glance says the bytes of an image are, by algorithm: its secure hash if the manager knows it, else its
    checksum; nothing when it has neither."""
    properties: Mapping[str, Any] = facts.get("properties") or {}
    algorithm = facts.get("os_hash_algo") or properties.get("os_hash_algo")
    value = facts.get("os_hash_value") or properties.get("os_hash_value")
    if algorithm in {"sha256", "sha512"} and value:
        return {str(algorithm): str(value)}
    return {"md5": str(facts["checksum"])} if facts.get("checksum") else {}
