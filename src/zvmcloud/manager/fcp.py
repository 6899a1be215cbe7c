"""FCP devices of a z/VM system: templates that group them into paths, and who has which.

The table holds intent (reserved, connections, of which guest, from which template) and what z/VM said last (state,
owner, WWPNs, channels). A device belongs to one guest at most: each change is one transaction under one lock, and
takes a device only while nobody has it.
"""

from __future__ import annotations

import uuid
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from zvmcloud.manager import fcp_choice, fcp_rows
from zvmcloud.manager.core import Core, userid
from zvmcloud.manager.errors import BadInput, Conflict, NotFound
from zvmcloud.manager.facts import Document
from zvmcloud.manager.fcp_choice import Device, FcpListError
from zvmcloud.manager.fcp_rows import Template
from zvmcloud.manager.identity.quotas import kept
from zvmcloud.manager.storage.homes import homes_of
from zvmcloud.manager.tables import fcp_devices, fcp_paths, fcp_templates

_LOCK = "#FCP"


class _Any:
    """Has everything in it."""

    def __contains__(self, item: object) -> bool:
        return True


ANY = _Any()


@dataclass(frozen=True, slots=True)
class TemplateChange:
    """What a request says about a template; None leaves a field as it is."""

    name: str | None = None
    description: str | None = None
    devices: str | None = None
    host_default: bool | None = None
    providers: tuple[str, ...] | None = None
    min_paths: int | None = None


@dataclass(frozen=True, slots=True)
class Connector:
    """The devices of a guest: what a storage driver makes a connection with."""

    devices: tuple[Device, ...]
    template: str
    changed: bool
    why_empty: str = ""


class FcpPool:
    """Templates, usage and reservations of every system."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def sync(self, system: str) -> None:
        """Write down what z/VM says about its FCP devices now; those that it does not have any more are notfound. What
        a guest of ours was given in a relocation, instead of the device that is kept for it, is kept for it then."""
        found = Document(await self._core.agent(system).get("/v1/fcps")).documents("fcps")
        facts = ("npiv", "physical", "chpid", "pchid", "state", "owner")
        async with self._core.database.write() as connection:
            await connection.execute(
                sa.update(fcp_devices).where(fcp_devices.c.system == system).values(state="notfound", owner="")
            )
            for item in found:
                values = {name: item.text(name) for name in facts}
                await fcp_rows.upsert(connection, system, item.text("fcp").lower(), values)
            given = {item.text("fcp"): (item.text("owner"), item.text("vdev")) for item in found if item.text("vdev")}
            await fcp_rows.exchange(connection, system, given)

    # templates

    async def templates(self, system: str, ids: Sequence[str] = ()) -> tuple[Template, ...]:
        """The templates of a system, or those with these ids. Raises NotFound (fcp-template-unknown)."""
        async with self._core.database.read() as connection:
            found = await fcp_rows.all_templates(connection, system)
        missing = [wanted for wanted in ids if wanted not in found]
        if missing:
            raise _no_template(missing[0])
        return tuple(found[wanted] for wanted in ids) if ids else tuple(found.values())

    async def create(self, system: str, change: TemplateChange) -> Template:
        """Make a template. Raises BadInput, Conflict (fcp-template-conflict)."""
        if not change.name:
            raise BadInput("name", change.name, "a name of 1 to 255 characters")
        await self.sync(system)
        return await self._write(system, str(uuid.uuid4()), change, new=True)

    async def edit(self, system: str, template: str, change: TemplateChange) -> tuple[Template, Template]:
        """Change a template: as it was, as it is. Raises NotFound, BadInput, Conflict (fcp-template-conflict,
        fcp-template-used when a device that a guest has would go)."""
        (before,) = await self.templates(system, [template])
        await self.sync(system)
        return before, await self._write(system, template, change, new=False)

    async def delete(self, system: str, template: str) -> None:
        """Raises NotFound, Conflict (fcp-template-allocated) while a guest has a device from it."""
        async with self._core.exclusive(system, _LOCK), self._core.database.write() as connection:
            if template not in await fcp_rows.all_templates(connection, system):
                raise _no_template(template)
            used = [
                device.fcp.upper()
                for device in await fcp_rows.all_devices(connection, system)
                if device.template == template
            ]
            if used:
                raise Conflict(
                    f"Failed to delete FCP Multipath Template, error: The FCP devices ({', '.join(used)}) are "
                    f"allocated to virtual machines by the template {template}.",
                    code="fcp-template-allocated",
                    remedy="detach their volumes and unreserve them first",
                    subject=template,
                )
            await connection.execute(sa.delete(fcp_paths).where(fcp_paths.c.template == template))
            await connection.execute(sa.delete(fcp_templates).where(fcp_templates.c.id == template))
            await fcp_rows.noted(connection, "fcp-template.delete", system, template)

    async def _write(self, system: str, template: str, change: TemplateChange, *, new: bool) -> Template:
        paths = _parsed(change.devices)
        async with self._core.exclusive(system, _LOCK), self._core.database.write() as connection:
            existing = await fcp_rows.all_templates(connection, system)
            old = existing.get(template)
            count = len(paths) if paths is not None else len(old.paths) if old else 0
            least = change.min_paths if change.min_paths is not None else old.min_paths if old else -1
            if least > count:
                raise _template_conflict(f"min_fcp_paths_count {least} is more than the {count} path(s)")
            if paths is not None and not new:
                kept = {device for path in paths for device in path}
                held = [
                    item.fcp for item in await fcp_rows.all_devices(connection, system) if item.template == template
                ]
                lost = sorted(set(held) - kept)
                if lost:
                    raise Conflict(
                        f"Failed to edit FCP Multipath Template, error: The FCP devices "
                        f"({', '.join(lost).upper()}) are allocated to virtual machines and missing from the list.",
                        code="fcp-template-used",
                        remedy="keep them in the list, or detach their volumes and unreserve them first",
                        subject=template,
                    )
            values: dict[str, object] = {"min_paths": least}
            if change.name is not None:
                values["name"] = change.name
            if change.description is not None:
                values["description"] = change.description[:255]
            if change.host_default is not None:
                values["host_default"] = change.host_default
            if change.providers is not None:
                values["providers"] = list(change.providers)
            if change.host_default:
                await connection.execute(
                    sa.update(fcp_templates).where(fcp_templates.c.system == system).values(host_default=False)
                )
            for other in existing.values() if change.providers else ():
                rest = [name for name in other.providers if name not in (change.providers or ())]
                if other.id != template and len(rest) != len(other.providers):
                    await connection.execute(
                        sa.update(fcp_templates).where(fcp_templates.c.id == other.id).values(providers=rest)
                    )
            if new:
                row = {"id": template, "system": system, "description": "", "host_default": False, "providers": []}
                await connection.execute(sa.insert(fcp_templates), {**row, **values})
            else:
                await connection.execute(
                    sa.update(fcp_templates).where(fcp_templates.c.id == template).values(**values)
                )
            if paths is not None:
                await connection.execute(sa.delete(fcp_paths).where(fcp_paths.c.template == template))
                for number, path in enumerate(paths):
                    for device in path:
                        await fcp_rows.upsert(connection, system, device, {})
                        await connection.execute(
                            sa.insert(fcp_paths), {"template": template, "fcp": device, "path": number}
                        )
            action = "fcp-template.create" if new else "fcp-template.change"
            await fcp_rows.noted(connection, action, system, template, **values, devices=change.devices)
            return (await fcp_rows.all_templates(connection, system))[template]

    # usage

    async def usage(self, system: str, fcp: str) -> Device:
        """One device. Raises NotFound (fcp-unknown)."""
        async with self._core.database.read() as connection:
            found = {device.fcp: device for device in await fcp_rows.all_devices(connection, system)}
        device = found.get(fcp.lower())
        if device is None:
            raise NotFound(f"FCP with id: {fcp} does not exist.", code="fcp-unknown", subject=fcp)
        return device

    async def set_usage(
        self, system: str, fcp: str, assigner: str, *, reserved: bool, connections: int, template: str
    ) -> None:
        """Set what the table says about a device, as operators mend it. Nothing on z/VM is changed.

        Raises NotFound (fcp-unknown, fcp-template-unknown), BadInput.
        """
        if connections < 0:
            raise BadInput("connections", connections, "0 or more")
        used = reserved or connections > 0
        if used and not assigner:
            raise BadInput("userid", assigner, "the guest that has the device")
        await self.usage(system, fcp)
        async with self._core.exclusive(system, _LOCK), self._core.database.write() as connection:
            if template and template not in await fcp_rows.all_templates(connection, system):
                raise _no_template(template)
            await connection.execute(
                sa.update(fcp_devices)
                .where(fcp_devices.c.system == system, fcp_devices.c.fcp == fcp.lower())
                .values(
                    assigner=userid(assigner) if used else "",
                    reserved=reserved,
                    connections=connections,
                    template=template if used else "",
                    expires=None,
                    vdev="",
                )
            )
            told = {"userid": assigner, "reserved": reserved, "connections": connections, "template": template}
            await fcp_rows.noted(connection, "fcp.change", system, fcp.lower(), **told)

    async def devices(self, system: str) -> tuple[Device, ...]:
        """Every device, as z/VM and this manager know it now."""
        await self.sync(system)
        async with self._core.database.read() as connection:
            return await fcp_rows.all_devices(connection, system)

    async def of_guest(self, system: str, guest: str) -> tuple[Device, ...]:
        """The devices that are assigned to a guest."""
        async with self._core.database.read() as connection:
            return tuple(
                device for device in await fcp_rows.all_devices(connection, system) if device.assigner == guest
            )

    async def seen_by(self, system: str, owner: str, fcps: Sequence[str]) -> tuple[Device, ...]:
        """The devices that a guest has at these numbers; those so numbered where it has none. Raises NotFound
        (fcp-unknown)."""
        own = {device.at: device for device in await self.of_guest(system, owner)}
        return tuple([own.get(fcp) or await self.usage(system, fcp) for fcp in fcps])

    async def elsewhere(self, system: str, devices: Sequence[Device]) -> tuple[str, ...]:
        """The guests that have devices of the same numbers at other members of the cluster: in its one directory, their
        entries name them too."""
        async with self._core.database.read() as connection:
            members = (await homes_of(connection, system)).members
            query = sa.select(fcp_devices.c.assigner).distinct().where(
                fcp_devices.c.system.in_(members), fcp_devices.c.system != system, fcp_devices.c.assigner != "",
                fcp_devices.c.fcp.in_([device.fcp for device in devices]),
            )  # fmt: skip
            return tuple(sorted((await connection.execute(query)).scalars()))

    # reservations

    async def reserve(
        self,
        system: str,
        guest: str,
        *,
        template: str = "",
        provider: str = "",
        capacity: Mapping[str, int] | None = None,
    ) -> Connector:
        """Give a guest one device of each path of a template; the same ones when it has some already.

        Raises NotFound (fcp-template-unknown), Conflict (fcp-connector) without any template, QuotaExceeded (quota) of
        the guest's project. Too few free devices are no error: the connector is empty and says why.
        """
        owner = userid(guest)
        await self.sync(system)
        row = await self._core.owned_or_none(system, owner)
        projects = [row["project"]] if row is not None else []
        async with (
            self._core.exclusive(system, _LOCK), self._core.database.write() as connection, kept(connection, projects),
        ):  # fmt: skip
            chosen = _template_for(await fcp_rows.all_templates(connection, system), template, provider)
            held = tuple(item for item in chosen.devices if item.assigner == owner and item.template == chosen.id)
            if held:
                fresh = [device.fcp for device in held if not device.reserved]
                await fcp_rows.set_devices(connection, system, fresh, reserved=True)
                idle = [device.fcp for device in held if device.connections == 0]
                await fcp_rows.set_devices(connection, system, idle, expires=self._core.settings.reserved_until())
                await fcp_rows.noted(connection, "fcp.reserve", system, owner, fcps=[item.fcp for item in held])
                return Connector(held, chosen.id, changed=bool(fresh))
            missing = sorted(set(chosen.pchids) - set(capacity)) if capacity is not None else []
            if missing:
                raise Conflict(
                    f"Failed to get volume connector of {owner}: pchid_info does not say anything about the physical "
                    f"channel(s) {', '.join(missing)}",
                    code="fcp-connector",
                    subject=owner,
                )
            found = _chosen(chosen, await fcp_rows.all_devices(connection, system), capacity)
            if found.devices:
                until = self._core.settings.reserved_until()
                await fcp_rows.take(connection, system, owner, chosen.id, found.devices, until)
                await fcp_rows.noted(
                    connection, "fcp.reserve", system, owner, fcps=[item.fcp for item in found.devices]
                )
            return found

    async def pick(self, system: str, guest: str, *, template: str = "", within: Container[str] = ANY) -> Connector:
        """The devices that ``reserve`` would give a guest, of those within a set; nothing is reserved.

        Raises NotFound (fcp-template-unknown), Conflict (fcp-connector) without any template, or too few free devices.
        """
        owner = userid(guest)
        await self.sync(system)
        async with self._core.database.read() as connection:
            chosen = _template_for(await fcp_rows.all_templates(connection, system), template, "")
            devices = await fcp_rows.all_devices(connection, system)
        numbers = {item.at for item in devices if item.assigner == owner}
        paths = tuple(
            tuple(item for item in path if item.fcp in within and (item.assigner == owner or item.fcp not in numbers))
            for path in chosen.paths
        )
        chosen = replace(chosen, paths=paths)
        held = tuple(item for item in chosen.devices if item.assigner == owner and item.template == chosen.id)
        found = Connector(held, chosen.id, changed=False) if held else _chosen(chosen, devices, None)
        if not found.devices:
            raise Conflict(
                f"no FCP devices for {owner}: {found.why_empty}",
                code="fcp-connector",
                remedy="detach volumes, or add devices to the template",
                subject=owner,
            )
        return found

    async def unreserve(self, system: str, guest: str, *, template: str = "", provider: str = "") -> Connector:
        """Give back what a guest has reserved and not connected; the devices it had."""
        owner = userid(guest)
        await self.sync(system)
        async with self._core.exclusive(system, _LOCK), self._core.database.write() as connection:
            templates = await fcp_rows.all_templates(connection, system)
            chosen = _template_for(templates, template, provider) if template or provider else None
            held = tuple(
                device
                for device in await fcp_rows.all_devices(connection, system)
                if device.assigner == owner and (chosen is None or device.template == chosen.id)
            )
            back = [device.fcp for device in held if device.reserved and device.connections == 0]
            await fcp_rows.set_devices(connection, system, back, **fcp_rows.NOBODY)
            await fcp_rows.noted(connection, "fcp.unreserve", system, owner, fcps=back)
            used = chosen.id if chosen else next((device.template for device in held), "")
            return Connector(held, used, changed=bool(back))


def _chosen(template: Template, devices: Sequence[Device], capacity: Mapping[str, int] | None) -> Connector:
    """A free device of each path, on the channels that others use least."""
    busy = [device.chpid for device in devices if device.allocated]
    found = fcp_choice.choose(template.paths, least=template.min_paths, busy=busy, capacity=capacity)
    if found:
        return Connector(found, template.id, changed=True)
    wanted = template.min_paths if template.min_paths > 0 else len(template.paths)
    free = sum(any(device.available for device in path) for path in template.paths)
    return Connector((), template.id, changed=False, why_empty=f"{free} of {wanted} paths have a free device")


def _parsed(text: str | None) -> tuple[tuple[str, ...], ...] | None:
    if text is None:
        return None
    try:
        return fcp_choice.parse_devices(text)
    except FcpListError as error:
        if "more than one path" in str(error):
            raise _template_conflict(str(error)) from error
        raise BadInput("fcp_devices", text, f"such as 1a00-1a0f;1b00-1b0f ({error})") from error


def _template_for(templates: Mapping[str, Template], wanted: str, provider: str) -> Template:
    """The template asked for, else the provider's, else the host's default one."""
    if wanted:
        if wanted not in templates:
            raise _no_template(wanted)
        return templates[wanted]
    mine = next((item for item in templates.values() if provider and provider in item.providers), None)
    found = mine or next((item for item in templates.values() if item.host_default), None)
    if found is None:
        raise Conflict(
            "Failed to get volume connector: no FCP Multipath Template was named and there is no default one",
            code="fcp-connector",
            remedy="name a template, or make one the host's default",
        )
    return found


def _no_template(template: str) -> NotFound:
    return NotFound(f"FCP Multipath Template with id: {template} does not exist.", code="fcp-template-unknown")


def _template_conflict(why: str) -> Conflict:
    return Conflict(f"Failed to create or update FCP Multipath Template, error: {why}", code="fcp-template-conflict")
