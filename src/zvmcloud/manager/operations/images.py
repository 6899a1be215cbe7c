"""Guests and images: written to a disk, made of a disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from zvmcloud.manager.deploys import DeployRequest
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.images.about import About
from zvmcloud.manager.inventory.marks import checked
from zvmcloud.manager.operations.declare import GUEST, Prepared, Target, Uses, guest_of, operation
from zvmcloud.manager.operations.provisioning import decoded

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class Deploy:
    """An image to write to a disk of a guest that is off. ``vdev`` "" is the boot disk; ``hostname`` is set at the
    first boot. CoreOS goes to an ECKD minidisk, or to the SCSI volume that LOADDEV of the guest's entry names, where
    ``vdev`` is an FCP device of the guest; ``ignition`` is the file that the first start reads (base64)."""

    image: str
    vdev: str = ""
    hostname: str = ""
    ignition: str = field(default="", repr=False)


@operation("guest.deploy", "POST", f"{GUEST}/deploy", Deploy)
async def deploy(node: Node, caller: Caller, target: Target, wanted: Deploy) -> Prepared:
    """Write an image to a disk of the guest; undone by emptying the disk, and by taking the file with the host name out
    of its reader, if the guest has not read it."""
    owner, project = await guest_of(node, caller, target)
    await node.images.seen_by(caller, wanted.image)
    config = decoded("ignition", wanted.ignition)
    request = DeployRequest(owner, wanted.image, vdev=wanted.vdev, hostname=wanted.hostname, ignition=config)
    plan, files = await node.deploys.plan_deploy(target.system, request)
    return Prepared(plan, project, files)


@dataclass(frozen=True, slots=True)
class Capture:
    """``image``: the name that the guest's boot disk gets in the repository. ``compression`` 0 to 9, of ``codec``.
    ``os_version`` "": what the running guest says, or what was deployed to it. ``public``: every project sees it (only
    an operator may say so); ``protected``: it is neither deleted nor pruned."""

    image: str
    codec: Literal["gzip", "zstd"] = "gzip"
    compression: int = 6
    os_version: str = ""
    comments: str = ""
    public: bool = False
    protected: bool = False
    tags: dict[str, str] = field(default_factory=dict)


@operation(
    "guest.capture",
    "POST",
    f"{GUEST}/capture",
    Capture,
)
async def capture(node: Node, caller: Caller, target: Target, wanted: Capture) -> Prepared:
    """Make the guest's boot disk an image of its project; a guest that is on is shut down for it and started again.
    Undone by removing the image, if it is neither protected nor in use."""
    owner, project = await guest_of(node, caller, target)
    if wanted.public:
        caller.needs(Role.OPERATOR)
    about = About(
        wanted.image,
        project,
        os_version=wanted.os_version,
        comments=wanted.comments or None,
        public=wanted.public,
        protected=wanted.protected,
        tags=checked(wanted.tags),
    )
    plan = await node.captures.plan_capture(
        target.system, owner, about, codec=wanted.codec, compression=wanted.compression
    )
    return Prepared(plan, project, uses=Uses(image_mb=1))  # its size is known, and counted, when the bytes came
