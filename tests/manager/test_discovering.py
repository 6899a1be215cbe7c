"""LUNs that the storage shows: which of them pools have, and those taken into one."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.fake_zhcp import FakeZhcp
from manager.support import running
from manager.support import settings as node_settings
from manager.volume_support import PORTS, create, done, prepared
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.facts import Document
from zvmcloud.manager.node import Node
from zvmcloud.manager.storage.discovering import joined

FIRST, SECOND = PORTS.split(";")
NEW = "4010405000000000"
GIB = 2**30


def path(lun: str, wwpn: str = FIRST, *, uuid: str = "", gib: int = 10, device: str = "1A03") -> dict[str, object]:
    return {"device": device, "wwpn": wwpn, "lun": lun, "uuid": uuid or f"6005{lun}", "bytes": gib * GIB}


def number(index: int) -> str:
    """Of the LUNs of the pool in `volume_support`, which have 10, 20, 20 and 40 GB."""
    return f"40104004{index:08x}"


async def states(node: Node, pool: str = "p1", **words: object) -> dict[str, str]:
    found = await node.discovering.discover("ZVM1", pool, **words)  # type: ignore[arg-type]
    return {item.lun.lun: item.state for item in found}


def test_paths_that_end_at_one_disk_are_one_lun() -> None:
    ends = [path(NEW, device=device, wwpn=port) for device in ("1A03", "1B03") for port in (FIRST, SECOND)]
    ends.append(path("4010405100000000", SECOND, uuid=f"6005{NEW}"))
    ends.append(path("4010405200000000", uuid="another", gib=3))
    (one, other) = joined([Document(item) for item in ends])
    assert (one[0], one[1].lun, one[1].wwpns, one[1].size_mb) == (f"6005{NEW}", NEW, (FIRST, SECOND), 10 * 1024)
    assert (other[1].lun, other[1].wwpns, other[1].size_mb) == ("4010405200000000", (FIRST,), 3 * 1024)


def test_of_a_disk_that_tells_no_identifier_each_port_is_a_lun_of_its_own() -> None:
    ends = [{**path(NEW, port), "uuid": ""} for port in (FIRST, SECOND)]
    assert len(joined([Document(item) for item in ends])) == 2


async def test_what_is_found_is_told_and_added_when_asked_for(tmp_path: Path) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state")) as node:
        await prepared(node, zhcp, "A")
        await node.pools.load("ZVM1", "other", f"free,{FIRST},4010406000000000,1G,,,,\n")
        await create(node, "data", 35)
        await done(node, "volume.attach", "A", volume="data")
        rows = [path(number(0)), path(number(1), SECOND, gib=30), path(number(3), gib=50), path("4010406000000000")]
        rows += [path(NEW, port, gib=7) for port in (FIRST, SECOND)]
        zhcp.answers["luns"] = {"luns": rows}
        expected = {
            number(0): "known", number(1): "grown", number(2): "unseen", number(3): "grown", NEW: "new",
            "4010406000000000": "elsewhere",
        }  # fmt: skip
        assert await states(node) == expected
        assert await states(node) == expected, "asking changes nothing"
        with pytest.raises(BadInput, match="names of LUNs that were found"):
            await states(node, add=True, only=("4010409900000000",))
        assert (await states(node, add=True, only=(f"{NEW}-{FIRST}",)))[NEW] == "added"
        assert (await states(node))[number(1)] == "grown", "others were not asked for"
        await states(node, add=True)
        assert await states(node) == {**expected, NEW: "known", number(1): "known", number(3): "known"}
        view = await node.pools.pool("ZVM1", "p1")
        sizes = {lun.lun: (lun.state, lun.size_mb // 1024) for lun in view.luns.values()}
        assert sizes[NEW] == ("free", 7)
        assert (sizes[number(1)], sizes[number(3)]) == (("free", 30), ("used", 50))
        (volume,) = view.volumes.values()
        assert [item.userid for item in volume.attachments] == ["A"], "a volume on a LUN that grew keeps its guest"
        await done(node, "volume.extend", item="data", size_gb=50)


async def test_a_pool_is_made_of_what_is_found(tmp_path: Path) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state")) as node:
        zhcp.answers["luns"] = {"luns": [path(NEW), {**path("4010405100000000"), "bytes": 1000}]}
        assert await states(node, "fresh") == {NEW: "new", "4010405100000000": "new"}
        assert await node.pools.pools("ZVM1") == ()
        assert await states(node, "fresh", add=True) == {NEW: "added", "4010405100000000": "new"}
        assert [lun.lun for lun in (await node.pools.pool("ZVM1", "fresh")).luns.values()] == [NEW]
        with pytest.raises(BadInput):
            await states(node, "not/a/name")
