"""LUNs of an agent in memory: what is on each, by its number."""

from __future__ import annotations

from typing import Any


class FakeLuns:
    """The disk operations of an agent on SCSI volumes."""

    def __init__(self) -> None:
        self.luns: dict[str, str] = {}
        """What was written to a LUN: the digest of an image, or what was copied."""
        self.access: list[dict[str, Any]] = []
        """Where bytes were sent to and fetched from, outside of the manager."""

    def _do_disk_erase(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters.get("volume"):
            self.luns.pop(parameters["volume"]["lun"], None)
        else:
            self._known(parameters)
        return {}

    def _do_disk_write_image(self, parameters: dict[str, Any]) -> dict[str, Any]:
        source = parameters["source"]
        digest = source.get("sha512") or source["sha256"]
        if parameters.get("volume"):
            self.luns[parameters["volume"]["lun"]] = digest
            self.access.append(source)
        else:
            self._known(parameters)["image"] = digest
        return {}

    def _do_disk_clone(self, parameters: dict[str, Any]) -> dict[str, Any]:
        source, copy = parameters["source_volume"]["lun"], parameters["volume"]["lun"]
        self.luns[copy] = self.luns.get(source, "")
        return {"method": "copy"}

    def _do_disk_read_image(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self.access.append(parameters["target"])
        return {"sha256": "5" * 64, "sha512": "6" * 128, "file_bytes": parameters["least_bytes"]}

    def _known(self, parameters: Any) -> dict[str, Any]:
        raise AssertionError("the agent knows its guests")
