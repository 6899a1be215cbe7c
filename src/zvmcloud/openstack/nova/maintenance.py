"""Whether the scheduler may use this host: nova's record of the compute service, and why it is disabled."""

from __future__ import annotations

from nova import context, objects

MAINTENANCE = "z/VM is in maintenance"
DISABLED = "disabled by a call of os-hosts"


def enable(host: str, enabled: bool) -> None:
    """Let the scheduler use the host, or not. After `openstack compute service set` the service says so already; then
    nothing is changed, the operator's reason neither. Raises ComputeHostNotFound."""
    service = _service(host)
    if service.disabled == enabled:
        _disable(service, "" if enabled else DISABLED)


def switch(host: str, on: bool) -> None:
    """Before maintenance no new servers come; afterwards the host is used again. A host that an operator disabled for
    a reason of his own stays so, with his reason. Raises ComputeHostNotFound."""
    service = _service(host)
    if on and not service.disabled:
        _disable(service, MAINTENANCE)
    elif not on and service.disabled_reason == MAINTENANCE:
        _disable(service, "")


def _service(host: str) -> objects.Service:
    return objects.Service.get_by_compute_host(context.get_admin_context(), host)


def _disable(service: objects.Service, reason: str) -> None:
    """With a reason; "" enables the service."""
    service.disabled, service.disabled_reason = bool(reason), reason or None
    service.save()
