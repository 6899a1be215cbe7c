"""What the image cache holds, listed and emptied. Only the agent's own disk is concerned, nothing on z/VM."""

from __future__ import annotations

import asyncio
import re

from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.image_cache import ImageCache

_DIGEST = re.compile(r"(sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128}|md5-[0-9a-f]{32})\Z")


async def listing(cache: ImageCache) -> dict[str, Json]:
    """The limit, what is used of it, and the images: digest, bytes, whether whole and in use, when last used."""
    images = await asyncio.to_thread(_images, cache)
    return {"limit_bytes": cache.limit, "used_bytes": sum(size for size, _ in images.values()), "images": [
        {"digest": name.removesuffix(".partial"), "bytes": size, "whole": not name.endswith(".partial"),
         "in_use": name.removesuffix(".partial") in cache.in_use, "used_at_seconds": round(used, 3)}
        for name, (size, used) in sorted(images.items())
    ]}  # fmt: skip


async def purge(cache: ImageCache, digest: str = "") -> dict[str, Json]:
    """Delete an image, or all of them; those in use stay when all are meant, and are named.

    FieldError; AgentError 404 `image-missing`, 409 `image-in-use`.
    """
    if digest and not _DIGEST.match(digest):
        raise FieldError("digest", digest, "such as sha256- and 64 lower-case hexadecimal digits")
    images = await asyncio.to_thread(_images, cache)
    names = {name.removesuffix(".partial") for name in images}
    wanted = sorted(names & {digest} if digest else names)
    if digest and not wanted:
        raise AgentError(404, "image-missing", f"the image cache has no {digest}", remedy="see GET /v1/cache")
    if digest in cache.in_use:
        raise AgentError(
            409, "image-in-use", f"{digest} is being copied", retryable=True, remedy="wait for the end of the operation"
        )
    freed, deleted, kept = 0, list[Json](), list[Json]()
    for name in wanted:
        # Whether it is in use is asked right before it goes, without a pause in between.
        if name in cache.in_use:
            kept.append(name)
        else:
            freed += cache.delete(name)
            deleted.append(name)
    return {"deleted": deleted, "kept": kept, "freed_bytes": freed}


def _images(cache: ImageCache) -> dict[str, tuple[int, float]]:
    return {path.name: (path.stat().st_size, path.stat().st_mtime) for path in cache.files()}
