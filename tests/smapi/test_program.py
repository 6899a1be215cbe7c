"""`zvm smapi` as a newcomer meets it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smapi.scripted import ScriptedServer, answers
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.errors import ParameterError
from zvmcloud.smapi.registry import REGISTRY
from zvmcloud.smapi.words import build_request


def zvm(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = "from zvmcloud.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120", **environment},
        timeout=60,
        check=False,
    )


def test_list_finds_functions_by_part_of_their_name() -> None:
    done = zvm("smapi", "list", "Image_Disk")
    assert done.returncode == 0
    assert "Image_Disk_Create_DM" in done.stdout
    assert "Event_Subscribe" not in done.stdout


def test_describe_shows_parameters_with_limits_and_the_reply() -> None:
    done = zvm("smapi", "describe", "image_disk_create_dm")
    assert done.returncode == 0
    for shown in ("image_disk_number", "1-4", "required", "operation_id", "AUTOG"):
        assert shown in done.stdout


def test_an_unknown_function_is_refused_with_a_hint() -> None:
    done = zvm("smapi", "describe", "Query_DM")
    assert done.returncode == 2
    assert "Image_Query_DM" in done.stderr


async def test_call_prints_the_reply_and_json() -> None:
    data = REGISTRY["Image_Query_DM"].encode_reply(f.ImageQueryDMReply(image_record_array=("USER A", "* B")))
    async with ScriptedServer(answers(0, 0, data)) as server:
        words = ("smapi", "call", "Image_Query_DM", "--target", "A", "--port", str(server.port), "-u", "MAINT")
        plain = await asyncio.to_thread(zvm, *words, ZVM_SMAPI_PASSWORD="hunter2")
        as_json = await asyncio.to_thread(zvm, *words, "--json", ZVM_SMAPI_PASSWORD="hunter2")
    assert plain.returncode == 0
    assert "rc 0, rs 0" in plain.stdout
    assert "USER A" in plain.stdout
    assert json.loads(as_json.stdout)["reply"] == {"image_record_array": ["USER A", "* B"]}
    assert server.frames[0].password == "hunter2"


async def test_a_refusal_exits_1_and_no_answer_exits_3() -> None:
    async with ScriptedServer(answers(400, 4)) as server:
        words = ("smapi", "call", "Image_Query_DM", "-T", "A", "--port", str(server.port), "-u", "M")
        refused = await asyncio.to_thread(zvm, *words, ZVM_SMAPI_PASSWORD="x")
    assert refused.returncode == 1
    assert "rc 400, rs 4" in refused.stderr
    alone = await asyncio.to_thread(zvm, *words, ZVM_SMAPI_PASSWORD="x")
    assert alone.returncode == 3
    assert "cannot connect" in alone.stderr
    assert "Traceback" not in alone.stderr


def test_call_asks_for_credentials_before_it_connects() -> None:
    nobody = zvm("smapi", "call", "Image_Query_DM", "-T", "A", "--port", "1")
    assert nobody.returncode == 2
    assert "--userid" in nobody.stderr
    no_password = zvm("smapi", "call", "Image_Query_DM", "-T", "A", "-u", "MAINT", "--port", "1")
    assert no_password.returncode == 2
    assert "password" in no_password.stderr
    too_long = zvm("smapi", "call", "Image_Query_DM", "-T", "TOOLONGNAME9", "-u", "M", "--port", "1")
    assert too_long.returncode == 2
    assert "at most 8" in too_long.stderr


def test_verify_passes_the_recording_and_fails_a_damaged_one(tmp_path: Path) -> None:
    recording = Path(__file__).with_name("recorded.jsonl")
    assert zvm("smapi", "verify", str(recording)).returncode == 0
    damaged = tmp_path / "damaged.jsonl"
    line = json.loads(recording.read_text().splitlines()[0])
    line["recv_hex"] += "00"
    damaged.write_text(json.dumps(line))
    done = zvm("smapi", "verify", str(damaged))
    assert done.returncode == 1
    assert "1 do not" in done.stdout


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("Image_Disk_Delete_DM", [], "image_disk_number: is missing"),
        ("Image_Disk_Delete_DM", ["vdev=0100"], "it takes: image_disk_number"),
        ("Image_Disk_Delete_DM", ["image_disk_number=0100", "data_security_erase=x"], "not a whole number"),
        ("Image_Disk_Delete_DM", ["image_disk_number=0100", "data_security_erase=9"], "not one of"),
        ("Image_Disk_Delete_DM", ["image_disk_number=01", "image_disk_number=02"], "more than once"),
        ("Image_Create_DM", ["image_record_array=@/no/such/file"], "cannot read /no/such/file"),
    ],
)
def test_wrong_parameters_are_named(name: str, words: list[str], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        build_request(REGISTRY[name], "A", words)


def test_parameters_of_every_kind_can_be_given(tmp_path: Path) -> None:
    entry = tmp_path / "entry"
    entry.write_text("USER A\n* B\n")
    created = build_request(REGISTRY["Image_Create_DM"], "A", [f"image_record_array=@{entry}"])
    assert created == f.ImageCreateDM(target="A", image_record_array=("USER A", "* B"))
    updated = build_request(REGISTRY["Image_Definition_Update_DM"], "A", ["IPL=VDEV=190", "SHARE=RELATIVE=200"])
    assert updated == f.ImageDefinitionUpdateDM(
        target="A", definition_update_directory_keyword_parameter_list=("IPL=VDEV=190", "SHARE=RELATIVE=200")
    )
    keys = build_request(REGISTRY["System_Disk_Query"], "A", ["DEV_NUM=ALL"])
    assert keys == f.SystemDiskQuery(target="A", dev_num="ALL")
