"""What can be wrong with an image."""

from __future__ import annotations

from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.sources import Digest


class ImageError(AgentError):
    """The image is at fault: 422 `image-damaged`."""

    def __init__(self, detail: str, code: str = "image-damaged", remedy: str = "") -> None:
        again = "import the image again and compare its digest with its origin's"
        super().__init__(422, code, detail, remedy=remedy or again)


def digest_mismatch(expected: Digest, found: str) -> ImageError:
    """422 `digest-mismatch`."""
    detail = f"the image's {expected.algorithm} is {found}, {expected.hex} was expected"
    return ImageError(detail, "digest-mismatch")


def too_large(size: str, room: int, unit: str, needed: int) -> AgentError:
    """409 `image-too-large`."""
    return AgentError(
        409, "image-too-large", f"the image has {size}, the disk holds {room} {unit}",
        remedy=f"deploy it to a disk of at least {needed} {unit}",
    )  # fmt: skip
