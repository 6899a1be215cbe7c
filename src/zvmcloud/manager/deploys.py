"""Deploys: an image onto a guest's disk, and the files that its first boot reads into its reader.

A deploy is a durable job, because writing a disk takes minutes and must survive a restart of the manager. Everything
that can be checked is checked before the job begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from zvmcloud.images.coreos import MAX_CONFIG
from zvmcloud.manager import coreos_plans
from zvmcloud.manager.confined import Confined
from zvmcloud.manager.core import Core, vdev
from zvmcloud.manager.disks import disk_kind, punch_step
from zvmcloud.manager.distributions import Distribution
from zvmcloud.manager.downloads import Limits, download
from zvmcloud.manager.errors import BadInput, Conflict, ImageUnusable, NotFound, from_problem
from zvmcloud.manager.guest_plans import powered
from zvmcloud.manager.guests import Guests
from zvmcloud.manager.images import Image, Images
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import NOTHING, JobRecord, Json, Plan, Step
from zvmcloud.manager.jobs.remote import check
from zvmcloud.manager.tables import nics

_MAX_PUNCH = 64 * 2**20


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """An image to put on a guest's disk, with the files its first boot reads.

    ``skip_copy``: the disk holds its system already, and ``image`` names that (``rhel8.6``); the name of an image means
    the system of that image. CoreOS: ``transport`` is its Ignition file (a path or a URL), or ``ignition`` that file's
    bytes; without either it is refused.
    """

    userid: str
    image: str
    transport: str = ""
    remote_host: str = ""
    vdev: str = ""
    hostname: str = ""
    skip_copy: bool = False
    ignition: bytes = field(default=b"", repr=False)


class Deploys:
    """Plans deploys, hands them to the durable engine, and waits for them."""

    def __init__(self, core: Core, guests: Guests, images: Images) -> None:
        self._core = core
        self._guests = guests
        self._images = images

    async def plan_deploy(self, system: str, request: DeployRequest) -> tuple[Plan, Mapping[str, bytes]]:
        """Check everything that can be checked before anything runs, and make the plan and the files it needs.

        Raises NotFound (guest-unknown, image-unknown, disk-unknown, file-unknown), Conflict (guest-active,
        disk-too-small, disk-type; of CoreOS: ignition-missing, loaddev-missing, coreos-network), ImageUnusable,
        NotAllowed, BadInput.
        """
        row = await self._core.owned(system, request.userid)
        owner = row["userid"]
        image = await self._image(request)
        os_version = image.os_version if image else request.image
        if Distribution.of(os_version).is_coreos:
            return await self._plan_coreos(system, request, row, image, os_version)
        if request.ignition:
            raise BadInput("ignition", "(not shown)", f"for CoreOS only; {os_version} reads none")
        number = vdev(request.vdev or self._core.settings.defaults.root_vdev)
        files: dict[str, bytes] = {}
        steps: list[Step] = []
        if image is not None and not request.skip_copy:
            await self._check_disk(system, owner, number, image)
            steps.append(write_step(owner, number, image))
        if request.transport:
            file = self._images.files.existing(request.transport, "transportfiles", remote_host=request.remote_host)
            data = await asyncio.to_thread(_read_small, file)
            name, _, kind = file.path.name.rpartition(".")
            name, kind = (name, kind) if name else (kind, "FILE")
            files["transport"] = data
            steps.append(punch_step(owner, name, kind, "transport", len(data)))
        elif request.hostname:
            files["hostname.sh"] = _hostname_script(request.hostname)
            steps.append(punch_step(owner, "hostname", "sh", "hostname.sh", len(files["hostname.sh"])))
        steps.append(deployed_step(owner, image, row) if image else _skipped_step(owner, os_version, row))
        return _plan(system, request, owner, image, steps), files

    async def _plan_coreos(
        self, system: str, request: DeployRequest, row: sa.RowMapping, image: Image | None, os_version: str
    ) -> tuple[Plan, Mapping[str, bytes]]:
        """See :mod:`zvmcloud.manager.coreos_plans`."""
        owner = row["userid"]
        if not request.transport and not request.ignition:
            raise Conflict(
                f"Failed to deploy image to userid: '{owner}', ignition file is required when deploying RHCOS image",
                code="ignition-missing",
                remedy="name it in transportfiles, or send it as ignition",
                subject="transportfiles",
            )
        eckd = image.disk_type == "ECKD" if image is not None else None
        number = request.vdev or (self._core.settings.defaults.root_vdev if eckd else "")
        number = vdev(number) if number else ""
        disk = coreos_plans.boot_disk(owner, await self._guests.facts(system, owner), number, eckd=eckd)
        async with self._core.database.read() as connection:
            query = sa.select(nics).where(nics.c.system == system, nics.c.userid == owner).order_by(nics.c.vdev)
            adapters = [dict(item) for item in (await connection.execute(query)).mappings().all()]
        words = coreos_plans.network_words(owner, os_version, adapters, request.hostname)
        copied = image is not None and not request.skip_copy
        steps = [coreos_plans.write_step(owner, disk, image)] if image is not None and copied else []
        steps.append(deployed_step(owner, image, row) if image else _skipped_step(owner, os_version, row))
        steps.append(coreos_plans.ignition_step(owner, disk, words, copied=copied))
        config = request.ignition or await self.ignition(request.transport, request.remote_host)
        return _plan(system, request, owner, image, steps), {coreos_plans.STORED: config}

    async def ignition(self, transport: str, remote_host: str = "") -> bytes:
        """The Ignition file behind a path or an http(s) URL. Raises NotFound (file-unknown), NotAllowed, ImageUnusable
        (download-failed), BadInput."""
        if transport.startswith(("http://", "https://")):
            settings = self._core.settings
            data = bytearray()

            async def write(piece: bytes) -> None:
                data.extend(piece)

            await download(transport, Limits(settings.import_hosts, MAX_CONFIG, settings.import_seconds), write)
            return bytes(data)
        file = self._images.files.existing(transport, "transportfiles", remote_host=remote_host)
        config = await asyncio.to_thread(_read_small, file)
        if len(config) > MAX_CONFIG:
            raise BadInput("transportfiles", f"{len(config)} bytes", f"at most {MAX_CONFIG} bytes")
        return config

    async def _image(self, request: DeployRequest) -> Image | None:
        """The image; None where nothing is copied and the system is named itself. Raises NotFound (image-unknown)."""
        try:
            return await self._images.get(request.image)
        except NotFound:
            if request.skip_copy and Distribution.is_named(request.image):
                return None
            raise

    async def begin_deploy(self, system: str, request: DeployRequest, *, origin: str = "") -> str:
        """Plan a deploy and hand it to the engine; returns the job's id at once.

        Raises what :meth:`plan_deploy` raises, and Conflict (guest-busy) while another job changes the guest.
        """
        plan, files = await self.plan_deploy(system, request)
        check(plan)
        job = new_job()
        if plan.image_sha256 is None:
            await self._core.begin(plan, origin, job, files)
            return job
        async with self._core.image_lock(plan.image_sha256):
            if (await self._images.get(request.image)).sha256 != plan.image_sha256:
                raise Conflict(
                    f"image {request.image} was replaced just now",
                    code="image-in-use",
                    remedy="repeat the request",
                    subject=request.image,
                )
            await self._core.begin(plan, origin, job, files)
        return job

    async def deploy(self, system: str, request: DeployRequest, *, origin: str = "") -> JobRecord:
        """Deploy and wait for the end. The job goes on if the caller goes away. Raises the error of the step that
        failed."""
        job = await self.begin_deploy(system, request, origin=origin)
        async for record in self._core.journal.watch(job):
            if record.over:
                if record.state != "done":
                    raise from_problem(record.error or {"detail": f"the job ended as {record.state}"}, job=job)
                return record
        raise AssertionError("a watch ends only with a job that is over")

    async def _check_disk(self, system: str, owner: str, number: str, image: Image) -> None:
        if image.units < 1:
            raise ImageUnusable(
                f"image {image.name} holds no disk data ({image.units} {image.kind})",
                code="image-empty",
                subject=image.name,
            )
        facts = await self._guests.facts(system, owner)
        if powered(facts):
            raise Conflict(
                f"guest {owner} is logged on; its disk cannot be written",
                code="guest-active",
                remedy="stop the guest first",
                subject=owner,
            )
        disk = next((item for item in facts.documents("disks") if item.text("vdev").upper().zfill(4) == number), None)
        if disk is None:
            raise NotFound(f"{owner} {number} not linked; not in CP directory", code="disk-unknown", subject=number)
        size = disk.number("size")
        kind = disk_kind(disk)
        needed = image.needs(kind) if kind else image.units
        if needed is None:
            raise Conflict(
                f"image {image.name} is for {image.disk_type} disks, {owner} {number} is {kind}",
                code="disk-type",
                subject=number,
            )
        if size and size < needed:
            raise Conflict(
                f"image {image.name} needs {needed} {'CYL' if kind == 'ECKD' else 'BLK'}, {owner} {number} has {size}",
                code="disk-too-small",
                remedy="create the guest with a disk of the size that GET /v1/images/{name} tells",
                subject=number,
            )


def write_step(owner: str, number: str, image: Image) -> Step:
    """Write an image to a disk; undone by emptying the disk."""
    source = {"image": image.name, "sha256": image.sha256, "bytes": image.bytes}
    return Step(
        "write-image",
        f"write {image.name} ({image.units} {image.kind}) to {owner} {number}",
        "disk.write_image",
        {"userid": owner, "vdev": number, "source": source},
        undo_kind="disk.erase",
        undo_parameters={"userid": owner, "vdev": number},
    )


def deployed_step(owner: str, image: Image, before: sa.RowMapping | None = None) -> Step:
    """Record what the guest runs. ``before``: the guest's row, None for a new one, which the undo takes away as a
    whole."""
    record = {"image": image.name, "sha256": image.sha256, "os_version": image.os_version}
    title = f"record that {owner} runs {image.os_version}"
    if before is None:
        return Step("deployed", title, "manager.guest_deployed", record, NOTHING)
    return Step("deployed", title, "manager.guest_deployed", record, "manager.guest_deployed", _as_before(before))


def _skipped_step(owner: str, os_version: str, before: sa.RowMapping) -> Step:
    """Record what a guest runs whose disk is left as it is."""
    back = _as_before(before)
    title = f"record that {owner} runs {os_version}"
    record = {**back, "os_version": os_version}
    return Step("deployed", title, "manager.guest_deployed", record, "manager.guest_deployed", back)


def _as_before(row: sa.RowMapping) -> dict[str, Json]:
    return {"image": "", "sha256": row["image_sha256"], "os_version": row["os_version"]}


def _plan(system: str, request: DeployRequest, owner: str, image: Image | None, steps: Sequence[Step]) -> Plan:
    return Plan(
        kind="guest.deploy",
        title=f"Deploy {request.image} to {owner}",
        system=system,
        steps=tuple(steps),
        userid=owner,
        durable=True,
        image_sha256=image.sha256 if image else None,
    )


def _read_small(file: Confined) -> bytes:
    try:
        with file.open() as reader:
            data = reader.read(_MAX_PUNCH + 1)
    except OSError as error:
        raise NotFound(
            f"transportfiles: {file.path} cannot be read: {error.strerror}", code="file-unknown", subject=str(file.path)
        ) from error
    if len(data) > _MAX_PUNCH:
        raise BadInput("transportfiles", file.path.name, f"at most {_MAX_PUNCH} bytes; this one has more")
    return data


def _hostname_script(hostname: str) -> bytes:
    return (
        "#!/bin/bash\n"
        f"echo '{hostname}' > /etc/hostname\n"
        f"hostname '{hostname}'\n"
        f"command -v hostnamectl >/dev/null && hostnamectl set-hostname '{hostname}'\n"
        "exit 0\n"
    ).encode()
