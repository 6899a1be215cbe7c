"""The simulator inside somebody else's tests: the fixture, the model, functions of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from zvmcloud.simulator import Simulator, coverage
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.model import Authorization
from zvmcloud.simulator.presets import find_preset
from zvmcloud.simulator.pytest_plugin import RunningSystem
from zvmcloud.simulator.smapi.registry import HANDLERS, Call, Done, handles
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.blocking import BlockingClient
from zvmcloud.smapi.declare import Reply, Request, function, reply
from zvmcloud.smapi.layout import Array, Int, Text
from zvmcloud.smapi.registry import REGISTRY


@pytest.fixture
def client(zvm: RunningSystem) -> Iterator[BlockingClient]:
    with BlockingClient("127.0.0.1", zvm.smapi_port, userid="MAINT", password="MAINT") as opened:
        yield opened


def test_a_blocking_client_talks_to_the_fixture(client: BlockingClient) -> None:
    answer = client.call(f.ImageStatusQuery(target="TCPIP"))
    assert answer.reply.image_name_array == ("TCPIP",)


@pytest.mark.zvm(preset="small")
def test_the_mark_chooses_the_preset(zvm: RunningSystem) -> None:
    assert zvm.system.volumes["LX0001"].size == 21


def test_a_test_changes_the_model_in_a_transaction(zvm: RunningSystem) -> None:
    def allow(system: System) -> int:
        system.authorizations.put("A ALL ALL", Authorization("A", "ALL", "ALL"))
        return len(system.authorizations)

    assert zvm.do(allow) == len(zvm.system.authorizations)
    assert "A ALL ALL" in zvm.system.authorizations


async def test_state_and_model_may_be_texts(tmp_path: Path) -> None:
    async with Simulator(state=str(tmp_path / "state"), model="small") as sim:
        assert sim.system.volumes["LX0001"].size == 21
    with pytest.raises(ModelError, match="preset: 'nope' is not one of lpar"):
        Simulator(state=tmp_path, model="nope")


PAGES = Path(__file__).parents[2] / "docs"


def example(page: str, beginning: str) -> str:
    """The Python block of a page that begins so."""
    blocks = [block.split("```")[0] for block in (PAGES / page).read_text().split("```python\n")[1:]]
    (found,) = [block for block in blocks if block.startswith(beginning)]
    return found


class MyTool:
    """Stands for the tool of somebody else that the example of the page tests."""

    def connect(self, host: str, port: int, userid: str, password: str) -> MyTool:
        self._client = BlockingClient(host, port, userid=userid, password=password)
        return self

    def create_guest(self, name: str) -> None:
        with self._client as client:
            client.call(f.ImageCreateDM(target=name, image_record_array=(f"USER {name} LBYONLY 1G 2G G",)))


def test_the_page_shows_a_test_with_the_fixture(zvm: RunningSystem) -> None:
    namespace: dict[str, Any] = {"my_tool": MyTool()}
    exec(example("simulator.md", "def test_my_tool"), namespace)  # noqa: S102
    namespace["test_my_tool"](zvm)
    assert "LINUX01" in zvm.system.entries


@pytest.mark.parametrize(
    ("page", "beginning"),
    [
        ("simulator.md", "from zvmcloud.simulator import Simulator"),
        ("reference/clusters.md", "async with Simulator(state=path"),
    ],
)
async def test_the_page_shows_how_to_embed(tmp_path: Path, page: str, beginning: str) -> None:
    """The block runs as it is printed, inside a coroutine."""
    ports: list[int] = []

    async def use(port: int) -> None:
        ports.append(port)

    code = example(page, beginning).replace("\n", "\n    ")
    namespace: dict[str, Any] = {
        "folder": tmp_path, "path": tmp_path, "use": use, "Simulator": Simulator, "find_preset": find_preset,
    }  # fmt: skip
    exec(f"async def run():\n    {code}", namespace)  # noqa: S102
    await namespace["run"]()
    assert bool(ports) == (page == "simulator.md")
    assert any(tmp_path.rglob("*.sqlite"))


# The example of docs/simulator.md: a function that the site added to its SMAPI servers.


@reply
class SiteDisksReply(Reply):
    """Reply of Site_Disks."""

    disks: Annotated[tuple[str, ...], Array(Text()), "Address and size of each minidisk"]


@function("Site_Disks", family="site")
class SiteDisks(Request[SiteDisksReply]):
    """List the minidisks of a userid that have a smallest size."""

    smallest: Annotated[int, Int(4), "Cylinders"] = 1


def site_disks(call: Call, request: SiteDisks) -> Done:
    entry = call.system.entry(request.target)
    found = entry.mdisks if entry is not None else ()
    disks = tuple(f"{disk.vdev} {disk.size}" for disk in found if (disk.size or 0) >= request.smallest)
    return Done(SiteDisksReply(disks=disks))


@pytest.fixture
def site() -> Iterator[None]:
    REGISTRY.add(SiteDisks)
    handles(SiteDisks, authority="document")(site_disks)
    yield
    del HANDLERS["SITE_DISKS"]
    REGISTRY._functions.pop("SITE_DISKS")


@pytest.mark.usefixtures("site")
def test_a_function_of_the_site_is_served_and_listed(client: BlockingClient) -> None:
    answer = client.call(SiteDisks(target="MAINT", smallest=300))
    assert answer.reply.disks == ("019D 383", "019E 500")
    assert "Site_Disks" in {item.function for item in coverage.covered()}
