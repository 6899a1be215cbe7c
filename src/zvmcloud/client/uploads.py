"""An image on its way to the manager, written like a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from zvmcloud.client.errors import ClientError, ConnectionFailed, Json, ProblemError
from zvmcloud.client.http import Client, Document
from zvmcloud.client.work import ended

PIECE = 16 * 2**20
"""Bytes that are sent at once, and sent again after a lost connection."""


class ImageUpload:
    """Takes the bytes of an image in order, sends them in pieces, and goes on where a lost connection stopped.

    ``about``: name, bytes, one of sha256, sha512 and md5, and what else POST /uploads takes. Not for several threads.
    """

    def __init__(self, client: Client, about: Mapping[str, Json], piece: int = PIECE) -> None:
        """Announce the image. Raises ProblemError: image-exists, upload-exists, ..."""
        self._begin(client, client.ask("POST", "/uploads", body=dict(about)), piece)

    @classmethod
    def taken_up(cls, client: Client, upload: Document, piece: int = PIECE) -> Self:
        """An upload that was announced before: its bytes go on behind `sent`."""
        made = cls.__new__(cls)
        made._begin(client, upload, piece)
        return made

    def _begin(self, client: Client, upload: Document, piece: int) -> None:
        self._client = client
        self._id, self._bytes, self._piece = str(upload["id"]), int(upload["bytes"]), piece
        self._sent, self._waiting = int(upload.get("offset", 0)), bytearray()

    @property
    def id(self) -> str:
        """Of the upload, and of the job that checks it when all came."""
        return self._id

    @property
    def sent(self) -> int:
        """Bytes that the manager has."""
        return self._sent

    def write(self, data: bytes) -> int:
        """Take the next bytes; how many. Raises ClientError."""
        self._waiting += data
        while len(self._waiting) >= self._piece:
            self._send(bytes(self._waiting[: self._piece]))
            del self._waiting[: self._piece]
        return len(data)

    def finish(self) -> Document:
        """Send the rest, wait until the manager has checked all of it, and return the job. Raises ClientError, of these
        JobFailed when the bytes are not what was announced."""
        self.flush()
        return ended(self._client, self._id)

    def flush(self) -> None:
        """Send what was taken. Raises ClientError."""
        if self._waiting:
            self._send(bytes(self._waiting))
            self._waiting.clear()

    def abort(self) -> None:
        """Forget the upload, as far as the manager can be told."""
        try:
            self._client.call("DELETE", f"/uploads/{self._id}")
        except ClientError:
            return

    def _send(self, data: bytes) -> None:
        first, end = self._sent, self._sent + len(data)
        lost: ConnectionFailed | None = None
        while first < end:
            part = f"bytes {first}-{end - 1}/{self._bytes}"
            try:
                self._client.call("PUT", f"/uploads/{self._id}", content=data[first - self._sent :], part=part)
                break
            except ConnectionFailed as error:
                if lost is not None:
                    raise
                lost = error
            except ProblemError as error:
                if error.code not in {"upload-offset", "upload-complete"} or lost is None:
                    raise
            first = self._arrived(end)
        self._sent = end

    def _arrived(self, end: int) -> int:
        """How many bytes the manager has: the answer to a piece was lost, not always the piece."""
        found = self._client.ask("GET", f"/uploads/{self._id}")
        return end if found["job"] else min(int(found["offset"]), end)
