"""Handlers for guests: define, delete, look at, disks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from zvmcloud.api.connector.ask import Ask, count, megabytes, objects, text, texts
from zvmcloud.api.connector.envelope import Reply
from zvmcloud.api.connector.schemas import truth
from zvmcloud.manager.disks import Disk, disk_kind, disk_request, human
from zvmcloud.manager.errors import AgentFailure, BadInput, ManagerError
from zvmcloud.manager.facts import Document
from zvmcloud.manager.guest_plans import GuestRequest, powered
from zvmcloud.manager.jobs.plan import Json

_PLAIN = re.compile(r"\d+")
_TRAFFIC = ("fr_rx", "fr_tx", "fr_rx_dsc", "fr_tx_dsc", "fr_rx_err", "fr_tx_err", "rx", "tx")


async def list_guests(ask: Ask) -> Reply:
    return Reply(document=(await ask.node.guests.list(ask.system, ask.caller.sees)).document)


async def create_guest(ask: Ask) -> Reply:
    guest = ask.member("guest")
    sources = objects(guest.get("disk_list"))
    vdevs = texts(guest.get("dedicate_vdevs"))
    if guest.get("pcif"):
        raise BadInput("pcif", guest["pcif"], "PCI functions are not supported")
    request = GuestRequest(
        userid=text(guest["userid"]),
        vcpus=count(guest["vcpus"]),
        memory_mb=count(guest["memory"]),
        disks=tuple(disk_request(source, truth(source.get("is_boot_disk"))) for source in sources),
        max_cpus=count(guest.get("max_cpu")),
        max_memory_mb=megabytes(guest.get("max_mem")),
        profile=text(guest.get("user_profile")),
        ipl=text(guest.get("ipl_from")),
        ipl_parm=text(guest.get("ipl_param")),
        loadparm=text(guest.get("ipl_loadparam")),
        account=text(guest.get("account")),
        comments=texts(guest.get("comments")) or texts(guest.get("comment_list")),
        share=text(guest.get("cshare")),
        cpu_pool=text(guest.get("cschedule")),
        relocation_domain=text(guest.get("rdomain")),
        dedicate=tuple((vdev, vdev) for vdev in vdevs),
        loaddev={name: text(value) for name, value in _mapping(guest.get("loaddev")).items()},
    )
    disks, job = await ask.node.guests.create(ask.system, request, origin=ask.origin)
    return Reply(_disk_list(sources, disks), job.id)


async def delete_guest(ask: Ask) -> Reply:
    job = await ask.node.guests.delete(ask.system, ask.userid, origin=ask.origin)
    return Reply(job=job.id if job else "")


async def definition(ask: Ask) -> Reply:
    """The directory entry of a guest of ours. The password is masked here too: no client needs it."""
    await ask.node.core.owned(ask.system, ask.userid)
    return await user_direct(ask)


async def user_direct(ask: Ask) -> Reply:
    """The directory entry of any userid, password masked."""
    facts = await ask.node.guests.facts(ask.system, ask.userid)
    return Reply({"user_direct": [_masked(line) for line in facts.texts("entry")]})


async def power_state(ask: Ask) -> Reply:
    await ask.node.core.owned(ask.system, ask.userid)
    return await power_state_real(ask)


async def power_state_real(ask: Ask) -> Reply:
    return Reply("on" if await ask.node.guests.is_on(ask.system, ask.userid) else "off")


async def info(ask: Ask) -> Reply:
    """Size and use. For a guest that is off the live numbers are 0 and the texts are ""."""
    await ask.node.core.owned(ask.system, ask.userid)
    facts = await ask.node.guests.facts(ask.system, ask.userid)
    on = powered(facts)
    live = facts.document("live")
    inside = await _inside(ask) if on else {"online_cpu_num": 0, "os_distro": "", "kernel_info": ""}
    return Reply(
        {
            "power_state": "on" if on else "off",
            "max_mem_kb": live.number("memory_max_kb") or facts.number("memory_mb") * 1024,
            "mem_kb": live.number("memory_used_kb"),
            "num_cpu": live.number("cpus") or facts.number("vcpus"),
            "cpu_time_us": live.number("cpu_time_us"),
            **inside,
        }
    )


async def os_info(ask: Ask) -> Reply:
    await ask.node.core.owned(ask.system, ask.userid)
    distro, kernel = await asyncio.gather(_distro(ask), _command(ask, "uname -srm"))
    return Reply({"os_distro": distro, "kernel_info": kernel})


async def online_cpu_num(ask: Ask) -> Reply:
    await ask.node.core.owned(ask.system, ask.userid)
    return Reply(_cpus(await _command(ask, "lscpu --parse=ADDRESS")))


async def adapters(ask: Ask) -> Reply:
    """Adapters with the addresses seen on them. No NIC at all is an error for the clients (300/10/300/5)."""
    await ask.node.core.owned(ask.system, ask.userid)
    found = [_adapter(item) for item in await ask.node.guests.adapters(ask.system, ask.userid)]
    if not found:
        raise AgentFailure({"status": 500, "code": "no-nic", "detail": f"No NIC found on userid {ask.userid}"})
    return Reply({"adapters": found})


async def list_disks(ask: Ask) -> Reply:
    await ask.node.core.owned(ask.system, ask.userid)
    return Reply({"minidisks": [_minidisk(disk) for disk in await ask.node.disks.of_guest(ask.system, ask.userid)]})


async def create_disks(ask: Ask) -> Reply:
    sources = objects(ask.member("disk_info").get("disk_list"))
    disks, job = await ask.node.disks.add(
        ask.system,
        ask.userid,
        [disk_request(source, truth(source.get("is_boot_disk"))) for source in sources],
        origin=ask.origin,
    )
    return Reply(_disk_list(sources, disks), job.id)


async def config_disks(ask: Ask) -> Reply:
    job = await ask.node.disks.configure(
        ask.system,
        ask.userid,
        [
            (text(disk.get("vdev")), text(disk["format"]), text(disk.get("mntdir")))
            for disk in objects(ask.member("disk_info").get("disk_list"))
        ],
        origin=ask.origin,
    )
    return Reply(job=job.id)


async def delete_disks(ask: Ask) -> Reply:
    job = await ask.node.disks.remove(
        ask.system, ask.userid, texts(ask.member("vdev_info").get("vdev_list")), origin=ask.origin
    )
    return Reply(job=job.id)


async def stats(ask: Ask) -> Reply:
    """Performance figures of the guests that are on, by userid."""
    names = _userids(ask)
    answers = await asyncio.gather(*(_owned_facts(ask, name) for name in names))
    output: dict[str, Json] = {}
    for name, facts in zip(names, answers, strict=True):
        if not powered(facts):
            continue
        live = facts.document("live")
        output[name] = {
            "guest_cpus": live.number("cpus") or facts.number("vcpus"),
            "used_cpu_time_us": live.number("cpu_time_us"),
            "elapsed_cpu_time_us": live.number("elapsed_us"),
            "min_cpu_count": live.number("min_cpus"),
            "max_cpu_limit": live.number("cpu_limit"),
            "samples_cpu_in_use": live.number("samples_cpu_in_use"),
            "samples_cpu_delay": live.number("samples_cpu_delay"),
            "used_mem_kb": live.number("memory_used_kb"),
            "max_mem_kb": live.number("memory_max_kb") or facts.number("memory_mb") * 1024,
            "min_mem_kb": live.number("memory_min_kb"),
            "shared_mem_kb": live.number("memory_shared_kb"),
        }
    return Reply(output)


async def interface_stats(ask: Ask) -> Reply:
    """Frames and bytes of the network adapters of the guests that are on and coupled, by userid."""
    names = _userids(ask)
    await asyncio.gather(*(ask.node.core.owned(ask.system, name) for name in names))
    output: dict[str, list[Json]] = {}
    for nic in await ask.node.hosts.traffic(ask.system) if names else ():
        if nic.text("userid") in names:
            output.setdefault(nic.text("userid"), []).append(
                {
                    "vswitch_name": nic.text("vswitch"),
                    "nic_vdev": nic.text("vdev"),
                    **{f"nic_{name}": nic.number(name) for name in _TRAFFIC},
                }
            )
    return Reply({name: output[name] for name in names if name in output})


async def nic_rows(ask: Ask) -> Reply:
    rows = await ask.node.networks.nics(
        ask.system,
        userid=ask.query.get("userid", ""),
        nic_id=ask.query.get("nic_id", ""),
        vswitch=ask.query.get("vswitch", ""),
        projects=ask.caller.sees,
    )
    return Reply(
        [
            {
                "userid": row.userid,
                "interface": row.vdev,
                "switch": row.vswitch,
                "port": row.nic_id,
                "comments": row.comments,
            }
            for row in rows
        ]
    )


async def _owned_facts(ask: Ask, name: str) -> Document:
    await ask.node.core.owned(ask.system, name)
    return await ask.node.guests.facts(ask.system, name)


def _userids(ask: Ask) -> tuple[str, ...]:
    return tuple(part.strip().upper() for part in ask.query.get("userid", "").split(",") if part.strip())


async def _inside(ask: Ask) -> dict[str, Json]:
    """What only the guest itself knows; empty where it does not answer."""
    cpus, distro, kernel = await asyncio.gather(
        _command(ask, "lscpu --parse=ADDRESS"), _distro(ask), _command(ask, "uname -srm"), return_exceptions=True
    )
    for outcome in (cpus, distro, kernel):
        if isinstance(outcome, BaseException) and not isinstance(outcome, ManagerError):
            raise outcome
    return {
        "online_cpu_num": _cpus(cpus) if isinstance(cpus, str) else 0,
        "os_distro": distro if isinstance(distro, str) else "",
        "kernel_info": kernel if isinstance(kernel, str) else "",
    }


async def _command(ask: Ask, command: str) -> str:
    answer = await ask.node.guests.command(ask.system, ask.userid, command)
    return answer.text("output").strip() if answer.number("rc") == 0 else ""


async def _distro(ask: Ask) -> str:
    """ID and VERSION_ID of the guest's os-release, as in "rhel8.6". The text is parsed, never evaluated."""
    values: dict[str, str] = {}
    for line in (await _command(ask, "cat /etc/os-release")).splitlines():
        key, separator, value = line.partition("=")
        if separator:
            values[key.strip()] = value.strip().strip("\"'")
    return values.get("ID", "") + values.get("VERSION_ID", "")


def _cpus(listing: str) -> int:
    return sum(1 for line in listing.splitlines() if _PLAIN.fullmatch(line.strip().split(",")[0]))


def _masked(line: str) -> str:
    """A USER or IDENTITY statement with its third word masked."""
    words = line.split()
    if len(words) > 2 and words[0].upper() in {"USER", "IDENTITY"}:
        return " ".join([*words[:2], "******", *words[3:]])
    return line


def _disk_list(sources: tuple[Mapping[str, Json], ...], disks: tuple[Disk, ...]) -> list[Json]:
    """The caller's entries with nothing left open, in the caller's order; sizes given as counts come back in G or M."""
    output: list[Json] = []
    for source, disk in zip(sources, disks, strict=True):
        size = text(source["size"])
        output.append(
            {
                **source,
                "size": human(disk) if _PLAIN.fullmatch(size) else size,
                "format": disk.format,
                "disk_pool": f"{disk.type}:{disk.pool}",
                "vdev": disk.vdev,
            }
        )
    return output


def _adapter(item: Document) -> dict[str, Json]:
    """One adapter with the first of its MACs that has an IPv4 address, else an address, else the first."""
    macs = item.documents("macs")
    ranked = sorted(macs, key=lambda mac: (mac.text("mac_ip_version") != "4", not mac.text("mac_ip_address")))
    mac = ranked[0] if ranked else Document({})
    fields = {
        "adapter_address": item.text("adapter_address").zfill(4),
        "adapter_status": item.text("adapter_status"),
        "lan_owner": item.text("lan_owner"),
        "lan_name": item.text("lan_name"),
        "mac_address": _colons(mac.text("mac_address")),
        "mac_ip_version": mac.text("mac_ip_version"),
        "mac_ip_address": mac.text("mac_ip_address"),
    }
    return {name: value for name, value in fields.items() if value}


def _colons(mac: str) -> str:
    """A MAC address as six pairs with colons, whatever stood between them."""
    digits = mac.replace("-", "").replace(":", "")
    return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2))


def _minidisk(disk: Document) -> dict[str, Json]:
    kind = disk_kind(disk)
    return {
        "vdev": disk.text("vdev"),
        "rdev": disk.text("rdev"),
        "access_type": "R/O" if disk.text("mode").upper().startswith("R") else "R/W",
        "device_type": disk.text("device_type") or ("9336" if kind == "FBA" else "3390"),
        "device_size": disk.number("size"),
        "device_units": "Blocks" if kind == "FBA" else "Cylinders",
        "volume_label": disk.text("volume"),
    }


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
