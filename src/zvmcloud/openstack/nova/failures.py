"""Nova's errors, made from the manager's: each says what z/VM said, what to do, and which job has the details."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nova import exception

from zvmcloud.client import ClientError, ProblemError
from zvmcloud.openstack.failures import text

__all__ = ["ZVMError", "of_spawn", "text", "told"]


class ZVMError(exception.NovaException):
    """The manager refused or a job failed. Its text becomes the fault of the instance, of which nova keeps 255
    characters, so what z/VM said comes first and the remedy next."""

    msg_fmt = "%(reason)s"


_IMAGES = {
    "digest-mismatch", "disk-type", "image-damaged", "image-empty", "image-format", "image-header",
    "image-kind-mismatch", "image-layout", "image-missing", "image-size", "image-truncated", "image-unknown",
    "image-unusable",
}  # fmt: skip
"""The image is at fault; every system of the manager has the same one."""


@contextmanager
def told(what: str) -> Iterator[None]:
    """Raise ZVMError for what the client raises; ``what`` was being done."""
    try:
        yield
    except ClientError as error:
        raise ZVMError(reason=f"{what}: {text(error)}") from error


def of_spawn(error: ClientError, image: str, instance: str) -> exception.NovaException:
    """The error of a build. What no other host can do better ends the build; anything else is tried elsewhere."""
    code = error.code if isinstance(error, ProblemError) else ""
    if code in {"disk-too-small", "image-too-large"}:
        return exception.InvalidDiskInfo(reason=text(error))
    if code in _IMAGES:
        return exception.ImageUnacceptable(image_id=image, reason=text(error))
    if code in {"bad-input", "role", "project-unknown"}:
        return exception.BuildAbortException(instance_uuid=instance, reason=text(error))
    if code in {"quota", "pool-full"} or not isinstance(error, ProblemError) or error.retryable:
        return exception.ComputeResourcesUnavailable(reason=text(error))
    return ZVMError(reason=text(error))
