"""How the agent of z/VM reaches the bytes of an image: glance's address and the token of the request.

The agent fetches from glance and writes to the LUN, or reads the LUN and sends to glance. Nothing passes the cinder
host, which therefore needs neither paths to the LUNs nor qemu-img.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinder import exception, service_auth
from cinder.context import RequestContext
from cinder.image import glance

from zvmcloud.openstack.glance import digest

FORMATS = frozenset({"raw", "qcow2"})


def address(context: RequestContext, image: str) -> str:
    """Where the bytes of an image are. Raises InvalidConfigurationValue when no glance is known."""
    try:
        place, tls = next(iter(glance.get_api_servers(context)))
    except StopIteration:
        raise exception.InvalidConfigurationValue(option="glance_api_servers", value="") from None
    return f"{'https' if tls else 'http'}://{place.rstrip('/')}/v2/images/{image}/file"


def headers(context: RequestContext) -> dict[str, str]:
    """Who asks: the user's token, and cinder's own behind it where that is configured. They are secret. Raises
    NotAuthorized for a request without a user."""
    if not context.auth_token:
        raise exception.NotAuthorized(message="the request has no token that glance would take")
    found = {"X-Auth-Token": str(context.auth_token)}
    service = service_auth.get_service_auth_plugin()
    if service is not None:
        found["X-Service-Token"] = service.get_token(service_auth.get_service_session())
    return found


def source(context: RequestContext, image: Mapping[str, Any]) -> dict[str, Any]:
    """What the agent has to know to fetch an image. Raises ImageUnacceptable, InvalidConfigurationValue,
    NotAuthorized."""
    name, form = str(image["id"]), image.get("disk_format")
    if form not in FORMATS:
        raise exception.ImageUnacceptable(
            image_id=name, reason=f"its format is {form}; z/VM volumes are written from {' and '.join(sorted(FORMATS))}"
        )
    found = digest(image)
    if not found:
        raise exception.ImageUnacceptable(image_id=name, reason="glance has no digest of it")
    return {"url": address(context, name), "headers": headers(context), "disk_format": form, **found}


def target(context: RequestContext, image: Mapping[str, Any]) -> dict[str, Any]:
    """What the agent has to know to send the bytes of a volume. Raises ImageUnacceptable, InvalidConfigurationValue,
    NotAuthorized."""
    name, form = str(image["id"]), image.get("disk_format")
    if form != "raw":
        raise exception.ImageUnacceptable(image_id=name, reason=f"volumes are sent as raw images, not as {form}")
    found = headers(context)
    if image.get("store_id"):
        found["X-Image-Meta-Store"] = str(image["store_id"])
    return {"url": address(context, name), "headers": found}
