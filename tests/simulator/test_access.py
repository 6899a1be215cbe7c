"""Who may call what: AUTHLIST and NAMELIST, the trusted port, TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from simulator.support import codes, linux
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.model import Authorization, NameList
from zvmcloud.simulator.model_file import load_model
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.simulator.smapi.access import Access
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import IMPATIENT, Client, Tls
from zvmcloud.smapi.connection import RequestFrame, encode_request
from zvmcloud.smapi.program import app as smapi_program

NOT_AUTHORIZED = (100, 16)


@pytest.fixture
async def trusted(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with Simulator(state=tmp_path / "state", trusted_userid="zhcp") as simulator:
        yield simulator


async def exchange(port: int, request: bytes) -> bytes:
    """Send bytes, and read until the server closes; gives what follows the request id and length."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    data = await reader.read()
    writer.close()
    return data[12:]


def code(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")


# -- AUTHLIST and NAMELIST --------------------------------------------------------------------------------------------


@pytest.fixture
async def app(sim: Simulator, client: Client) -> Client:
    """A userid of the directory without any authorization."""
    records = ("USER APP SECRET 64M 64M G", "CONSOLE 0009 3215 T")
    await client.call(f.ImageCreateDM(target="APP", image_record_array=records))
    await client.call(f.ImageCreateDM(target="LINUX01", image_record_array=linux("LINUX01")))
    return Client("127.0.0.1", sim.smapi_port, userid="app", password="SECRET", patience=IMPATIENT)


def allow(requester: str, target: str, function: str) -> f.AuthorizationListAdd:
    return f.AuthorizationListAdd(target=requester, for_id=target, function_id=function)


async def member(client: Client, name: str, *members: str) -> None:
    for item in members:
        await client.call(f.NameListAdd(target=name, name=item))


async def test_an_equal_sign_means_oneself(client: Client, app: Client) -> None:
    own, other = f.ImageQueryDM(target="APP"), f.ImageQueryDM(target="LINUX01")
    assert await codes(app, own) == NOT_AUTHORIZED
    await client.call(allow("APP", "=", "Image_Query_DM"))
    assert await codes(app, own) == (0, 0)
    assert await codes(app, other) == NOT_AUTHORIZED
    assert await codes(app, f.ImageActivate(target="APP")) == NOT_AUTHORIZED
    shown = await client.call(f.AuthorizationListQuery(target="APP", for_id="*", function_id="*"))
    assert [item.for_userid for item in shown.reply.auth_record_array] == ["APP"]
    remove = f.AuthorizationListRemove(target="APP", for_id="=", function_id="Image_Query_DM")
    assert await codes(client, remove) == (0, 0)
    assert await codes(app, own) == NOT_AUTHORIZED


async def test_lists_of_users_and_functions_stand_for_their_members(client: Client, app: Client) -> None:
    await member(client, "APPS", "OTHER", "APP")
    await member(client, "LINUXES", "LINUX01")
    await member(client, "LOOK", "Image_Query_DM", "Image_Status_Query")
    await client.call(allow("APPS", "LINUXES", "LOOK"))
    assert await codes(app, f.ImageQueryDM(target="linux01")) == (0, 0)
    assert await codes(app, f.ImageStatusQuery(target="LINUX01")) == (0, 12)
    assert await codes(app, f.ImageActivate(target="LINUX01")) == NOT_AUTHORIZED
    assert await codes(app, f.ImageQueryDM(target="APP")) == NOT_AUTHORIZED
    await client.call(f.NameListRemove(target="APPS", name="APP"))
    assert await codes(app, f.ImageQueryDM(target="LINUX01")) == NOT_AUTHORIZED


async def test_lists_inside_lists_are_not_expanded(client: Client, app: Client) -> None:
    await member(client, "INNER", "LINUX01")
    await member(client, "OUTER", "INNER")
    await client.call(allow("APP", "OUTER", "ALL"))
    assert await codes(app, f.ImageQueryDM(target="LINUX01")) == NOT_AUTHORIZED
    # The inner list as a target is itself a member.
    assert await codes(app, f.ImageStatusQuery(target="INNER")) == (0, 0)


async def test_a_call_without_a_target_is_one_on_oneself(client: Client, app: Client) -> None:
    query = f.QueryAPIFunctionalLevel(target="")
    assert await codes(app, query) == NOT_AUTHORIZED
    await client.call(allow("APP", "=", "ALL"))
    assert (await codes(app, query))[0] == 0


USERS, FUNCTIONS = ("A", "B", "C"), ("Image_Activate", "Image_Query_DM", "Metadata_Get")
_lists = st.dictionaries(
    st.sampled_from(("L1", "L2", "L3")), st.lists(st.sampled_from((*USERS, *FUNCTIONS, "L1", "L2")), max_size=4)
)
_records = st.lists(
    st.tuples(
        st.sampled_from((*USERS, "L1", "L2", "L3")),
        st.sampled_from((*USERS, "L1", "L2", "L3", "ALL", "=")),
        st.sampled_from((*FUNCTIONS, "L1", "L2", "L3", "ALL")),
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> System:
    return open_system(tmp_path_factory.mktemp("access"), PRESETS["small"], clock=ManualClock())


@settings(max_examples=150)
@given(lists=_lists, records=_records)
def test_access_is_what_the_records_and_one_level_of_lists_say(
    empty: System, lists: dict[str, list[str]], records: list[tuple[str, str, str]]
) -> None:
    with empty.transaction():
        for key in list(empty.authorizations):
            empty.authorizations.remove(key)
        for key in list(empty.name_lists):
            empty.name_lists.remove(key)
        for name, members in lists.items():
            empty.name_lists.put(name, NameList(name, tuple(members)))
        for requester, target, function in records:
            empty.authorizations.put(f"{requester} {target} {function}", Authorization(requester, target, function))
    access = Access(empty)

    def names(word: str, whole: tuple[str, ...]) -> set[str]:
        return set(whole) if word == "ALL" else {word} | set(lists.get(word, ()))

    for user in USERS:
        for target in USERS:
            for function in FUNCTIONS:
                expected = any(
                    user in {requester, *lists.get(requester, ())}
                    and (target in names(wanted, USERS) or (wanted == "=" and target == user))
                    and function in names(permitted, FUNCTIONS)
                    for requester, wanted, permitted in records
                )
                assert access.allows(user, function, target) == expected


# -- the trusted port -------------------------------------------------------------------------------------------------


async def test_the_trusted_port_knows_its_peer(trusted: Simulator) -> None:
    request = encode_request(f.QueryAPIFunctionalLevel(target="ZHCP"))
    level = trusted.system.facts.level
    assert code(await exchange(trusted.trusted_port, request)) == (0, level)
    assert code(await exchange(trusted.smapi_port, request)) == (120, 0)
    given_too = encode_request(f.QueryAPIFunctionalLevel(target="ZHCP"), "MAINT", "MAINT")
    assert code(await exchange(trusted.trusted_port, given_too)) == (0, level)
    wrong = encode_request(f.QueryAPIFunctionalLevel(target="ZHCP"), "MAINT", "WRONG")
    assert code(await exchange(trusted.trusted_port, wrong)) == (120, 0)


async def test_the_program_speaks_to_the_trusted_port_without_credentials(trusted: Simulator) -> None:
    words = ["call", "Query_API_Functional_Level", "-T", "ZHCP", "--trusted", "--port", str(trusted.trusted_port)]
    ended = await asyncio.to_thread(CliRunner().invoke, smapi_program, words, env={"ZVM_SMAPI_PASSWORD": ""})
    assert (ended.exit_code, ended.output.split()[:2]) == (0, ["rc", "0,"]), ended.output


async def test_a_trusted_userid_must_be_in_the_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="trusted: NOBODY is not in the directory of ZVM1"):
        async with Simulator(state=tmp_path / "state", trusted_userid="NOBODY"):
            pass


async def test_a_model_file_authorizes_its_users(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text('authorized = ["mytool"]\n[users]\nMYTOOL = "SECRET"\nOTHER = "SECRET"\n')
    async with Simulator(state=tmp_path / "state", model=load_model(tmp_path / "model.toml", PRESETS["lpar"])) as sim:
        for userid, expected in (("MYTOOL", (0, 0)), ("OTHER", NOT_AUTHORIZED)):
            found = await exchange(sim.smapi_port, encode_request(f.ImageQueryDM(target="ZHCP"), userid, "SECRET"))
            assert code(found) == expected


async def test_legacy_requests_come_over_the_trusted_port_only(trusted: Simulator) -> None:
    for request in (
        encode_request(f.IPaddrGet(), legacy=True),
        encode_request(f.VirtualNetworkQueryOSA(), legacy=True),
        encode_request(f.SystemIOQuery(real_device_address="1F00"), legacy=True),
        encode_request(f.ImageIPLDeviceQuery(userid="TCPIP"), legacy=True),
        RequestFrame("System_Info_Query", "", "", "", b"", legacy=True).encode(),
    ):
        assert code(await exchange(trusted.trusted_port, request)) == (0, 0)
        assert code(await exchange(trusted.smapi_port, request)) == (120, 0)


async def test_the_peer_needs_an_authorization_too(trusted: Simulator) -> None:
    with trusted.system.transaction():
        trusted.system.authorizations.remove("ZHCP ALL ALL")
    request = encode_request(f.QueryAPIFunctionalLevel(target="ZHCP"))
    assert code(await exchange(trusted.trusted_port, request)) == NOT_AUTHORIZED


# -- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(chain),
            "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return chain, key


async def test_a_port_with_tls_speaks_nothing_else(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    request = f.QueryAPIFunctionalLevel(target="MAINT")
    async with Simulator(state=tmp_path / "state", tls=context, request_timeout=2) as sim:
        values = {"userid": "MAINT", "password": "MAINT", "patience": IMPATIENT}
        encrypted = Client("127.0.0.1", sim.smapi_port, tls=Tls(ca_file=certificate[0]), **values)  # type: ignore[arg-type]
        assert (await encrypted.call(request)).rs == sim.system.facts.level
        plain = encode_request(request, "MAINT", "MAINT")
        assert await exchange(sim.smapi_port, plain) == b""
