"""Images of glance in the manager's repository, where every system of the manager finds them: the image cache."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nova import exception
from nova.context import RequestContext
from nova.image import glance
from oslo_log import log as logging

from zvmcloud.client import Client, ClientError, ImageUpload, ProblemError
from zvmcloud.client.http import Document
from zvmcloud.openstack.glance import digest

LOG = logging.getLogger(__name__)

TAG = "openstack_image"
_PREFIX = "openstack-"
_STALLED = 120.0
"""Seconds after which an upload that nobody continues is taken for one whose nova-compute died."""


class ImageCache:
    """The images that this manager has of glance. May be used by several threads."""

    def __init__(self, client: Client, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep
        self._locks: dict[str, threading.Lock] = {}
        self._all = threading.Lock()

    @staticmethod
    def name(image: str) -> str:
        """What an image of glance is called in the repository."""
        return f"{_PREFIX}{image}"

    def ensure(self, context: RequestContext, image: str) -> Document:
        """The image in the repository, fetched from glance if it is not there yet.

        Raises ImageUnacceptable for one without bytes or digest, ImageNotFound, ClientError.
        """
        with self._all:
            lock = self._locks.setdefault(image, threading.Lock())
        with lock:
            watched: tuple[str, int, float] = ("", -1, 0.0)
            while True:
                found = self._found(image)
                if found is not None:
                    return found
                try:
                    self._fetch(context, image)
                except ProblemError as error:
                    if error.code not in {"image-exists", "upload-exists"}:
                        raise
                    watched = self._watch(image, watched)
                    self._sleep(1.0)

    def fetched(self, context: RequestContext, image: str) -> bool:
        """Have the image; whether it had to be fetched. Raises what ``ensure`` raises."""
        if self._found(image) is not None:
            return False
        self.ensure(context, image)
        return True

    def _found(self, image: str) -> Document | None:
        try:
            return self._client.image(self.name(image))
        except ProblemError as error:
            if error.status != 404:
                raise
        return None

    def _fetch(self, context: RequestContext, image: str) -> None:
        service, _ = glance.get_remote_image_service(context, image)
        facts = service.show(context, image)
        size = int(facts.get("size") or 0)
        if not size:
            raise exception.ImageUnacceptable(image_id=image, reason="it has no bytes")
        about: dict[str, object] = {
            "name": self.name(image),
            "bytes": size,
            "os_version": _os_version(facts),
            "comments": str(facts.get("name") or "")[:255],
            "tags": {TAG: image},
            **_digest(image, facts),
        }
        upload = ImageUpload(self._client, about)
        try:
            service.download(context, image, data=_Sink(upload))
            upload.finish()
        except BaseException:
            upload.abort()
            raise
        LOG.info("image %s is in the manager's repository, %d bytes", image, size)

    def _watch(self, image: str, before: tuple[str, int, float]) -> tuple[str, int, float]:
        """Another nova-compute fetches the image; one that died leaves an upload that does not grow."""
        for item in self._client.pages("/uploads", {}):
            if item["name"] != self.name(image):
                continue
            upload, offset = str(item["id"]), int(item["offset"])
            if (upload, offset) != before[:2]:
                return upload, offset, time.monotonic()
            if item["job"] is None and time.monotonic() - before[2] > _STALLED:
                LOG.warning("upload %s of image %s has stalled; it is begun anew", upload, image)
                self._client.call("DELETE", f"/uploads/{upload}")
        return before

    def clean(self, used: Iterable[str], age: float) -> list[str]:
        """Remove images of glance that none of ``used`` names and nobody deployed for ``age`` seconds; which."""
        kept, now, gone = set(used), time.time(), []
        for item in self._client.images():
            image = item["tags"].get(TAG, "")
            if not image or image in kept or now - max(item["last_used"], item["created"]) < age:
                continue
            try:
                self._client.call("DELETE", f"/images/{item['name']}")
            except ClientError as error:
                LOG.info("image %s stays in the repository: %s", item["name"], error)
            else:
                gone.append(image)
        return gone


def _digest(image: str, facts: Mapping[str, Any]) -> dict[str, str]:
    found = digest(facts)
    if not found:
        raise exception.ImageUnacceptable(image_id=image, reason="glance has no digest of it")
    return found


def _os_version(facts: Mapping[str, Any]) -> str:
    """Distribution and release as the manager writes them, of the properties os_distro and os_version."""
    properties: Mapping[str, Any] = facts.get("properties") or {}
    found = f"{properties.get('os_distro') or ''}{properties.get('os_version') or ''}"
    return found[:64] or "linux"


class _Sink:
    """The file that nova's image service writes a download to."""

    def __init__(self, upload: ImageUpload) -> None:
        self._upload = upload

    def write(self, data: bytes) -> int:
        return self._upload.write(data)

    def truncate(self, _size: int) -> None:
        """The signature did not hold: nothing of it may be kept."""
        self._upload.abort()
