"""Captures: the boot disk of a guest becomes an image of the repository.

A durable job, as a deploy is: shut the guest down, have its agent read the disk and send it here, start the guest
again, record the image. Which disk it is the IPL statement of its directory entry says. An undo removes the image while
nobody uses it; a guest that was shut down for it is on again anyway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from zvmcloud.manager.core import Core, vdev
from zvmcloud.manager.distributions import Distribution
from zvmcloud.manager.errors import AgentFailure, BadInput, Conflict, ManagerError, NotSupported, from_problem
from zvmcloud.manager.facts import Document
from zvmcloud.manager.guest_plans import powered
from zvmcloud.manager.guests import Guests
from zvmcloud.manager.images import Images
from zvmcloud.manager.images.about import About
from zvmcloud.manager.images.about import check as check_about
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import NOTHING, JobRecord, Json, Plan, Step
from zvmcloud.manager.jobs.remote import check
from zvmcloud.manager.jobs.work import WorkContext

_VDEV = re.compile(r"[0-9A-Fa-f]{3,4}")
_TAKEN_BACK = "manager.image_taken_back"


class Captures:
    """Plans captures, hands them to the durable engine, and waits for them."""

    def __init__(self, core: Core, guests: Guests, images: Images) -> None:
        self._core = core
        self._guests = guests
        self._images = images
        core.runner.works.offer(_TAKEN_BACK, self._taken_back)

    async def capture(
        self, system: str, name: str, image: str, *, kind: str = "rootonly", compression: int = 6, origin: str = ""
    ) -> JobRecord:
        """Capture a guest's boot disk as ``image`` and wait for the end. The job goes on if the caller goes away.

        The guest must be on and its agent must answer, unless the setting ``capture_stopped`` allows one that is off.
        Raises NotFound (guest-unknown), NotSupported for all disks, Conflict (image-exists, guest-inactive,
        capture-failed, guest-busy), or the error of the step that failed.
        """
        job = await self.begin(system, name, image, kind=kind, compression=compression, origin=origin)
        async for record in self._core.journal.watch(job):
            if record.over:
                if record.state != "done":
                    raise from_problem(record.error or {"detail": f"the job ended as {record.state}"}, job=job)
                return record
        raise AssertionError("a watch ends only with a job that is over")

    async def begin(
        self, system: str, name: str, image: str, *, kind: str = "rootonly", compression: int = 6, origin: str = ""
    ) -> str:
        """Plan a capture and hand it to the engine; returns the job's id at once. The image is the guest's project's.
        Raises what :meth:`capture` says."""
        row = await self._core.owned(system, name)
        if kind != "rootonly":
            raise NotSupported(
                "The requested function: capture with alldisks has not been implemented in current release"
            )
        if not 0 <= compression <= 9:
            raise BadInput("compression", compression, "0 to 9")
        stopped = self._core.settings.connector.capture_stopped
        about = About(image, row["project"])
        plan = await self.plan_capture(system, name, about, compression=compression, stopped=stopped)
        check(plan)
        job = new_job()
        await self._core.begin(plan, origin, job)
        return job

    async def plan_capture(
        self,
        system: str,
        name: str,
        about: About,
        *,
        codec: str = "gzip",
        compression: int = 6,
        stopped: bool = True,
    ) -> Plan:
        """Make a guest's boot disk an image; one that is on is shut down for it and started again.

        ``about``: what is said of the image; without ``os_version`` the guest is asked, or what was deployed counts.
        ``stopped``: a guest that is off will do. Raises NotFound (guest-unknown), BadInput, Conflict (image-exists,
        guest-inactive, capture-failed).
        """
        row = await self._core.owned(system, name)
        owner, image = str(row["userid"]), about.name
        check_about(about, "image")
        await self._images.must_be_new(image, "image")
        facts = await self._guests.facts(system, owner)
        on = powered(facts)
        if not on and not stopped:
            raise Conflict(f"Guest '{owner}' is not in active status.", code="guest-inactive", subject=owner)
        number = _boot_disk(owner, facts)
        version = about.os_version or await self._version(system, owner, on, str(row["os_version"] or ""))
        settings = self._core.settings.connector
        steps = [
            Step(
                "read-image",
                f"read disk {number} of {owner} as image {image}",
                "disk.read_image",
                {"userid": owner, "vdev": number, "compression": compression, "codec": codec},
                NOTHING,
            ),
            Step(
                "record",
                f"record image {image}",
                "manager.image_captured",
                {**about.row(), "os_version": version},
                _TAKEN_BACK,
                {"name": image},
            ),
        ]
        if on:
            stop = {"userid": owner, "timeout": settings.softstop_seconds, "poll": settings.softstop_poll}
            start = {"userid": owner}
            steps.insert(0, Step("shutdown", f"shut {owner} down", "guest.shutdown", stop, "guest.start", start))
            steps.insert(2, Step("start", f"start {owner} again", "guest.start", start, NOTHING))
        return Plan("guest.capture", f"Capture {owner} as image {image}", system, tuple(steps), owner, durable=True)

    async def _taken_back(self, context: WorkContext, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """The undo of a capture: its image goes. Raises Conflict (image-in-use, image-protected)."""
        recorded = context.results["record"]
        name, created = str(parameters["name"]), float(str(recorded["created"]))
        await self._images.take_back(name, str(recorded["sha256"]), created, context.job)
        return {}

    async def _version(self, system: str, owner: str, on: bool, recorded: str) -> str:
        """The distribution: what the running guest says when clients know it, else what was deployed."""
        said = await self._said(system, owner) if on else ""
        version = said if Distribution.is_named(said) else recorded or said
        if not version:
            raise _failed(
                owner, "its operating system is not known", "start the guest, or register it with its version"
            )
        return version[:64]

    async def _said(self, system: str, owner: str) -> str:
        try:
            answer = await self._guests.command(system, owner, "cat /etc/os-release")
        except AgentFailure as error:
            raise _failed(owner, error.detail, "wait until the guest has booted") from error
        if answer.number("rc") != 0:
            raise _failed(owner, answer.text("output")[:200], "let the guest's agent trust the zHCP's userid")
        values: dict[str, str] = {}
        for line in answer.text("output").splitlines():
            key, separator, value = line.partition("=")
            if separator:
                values[key.strip()] = value.strip().strip("\"'")
        return values.get("ID", "") + values.get("VERSION_ID", "")


def _boot_disk(owner: str, facts: Document) -> str:
    """The virtual device number that the IPL statement names, if it is a minidisk of the guest."""
    source = facts.text("ipl")
    number = vdev(source) if _VDEV.fullmatch(source) else ""
    disks = [disk.text("vdev").upper().zfill(4) for disk in facts.documents("disks")]
    if not number or number not in disks:
        said = f"its IPL statement says {source!r}" if source else "its entry has no IPL statement"
        raise _failed(owner, f"{said}, which is no minidisk of the guest", "let the entry IPL from the root disk")
    return number


def _failed(owner: str, why: str, remedy: str) -> ManagerError:
    return Conflict(
        f"Failed to capture userid {owner} to generate image, error: {why}",
        code="capture-failed",
        remedy=remedy,
        subject=owner,
    )
