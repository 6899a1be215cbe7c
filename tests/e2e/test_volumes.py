"""Volumes through the native API: what is attached is a disk in the guest, and is none after."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

from e2e.conftest import Cloud
from zvmcloud.smapi import functions as f


def v1(cloud: Cloud) -> httpx.Client:
    headers = {"Authorization": f"Bearer {cloud.stack.admin_token}"}
    return httpx.Client(base_url=f"http://127.0.0.1:{cloud.stack.connector_port}/v1", headers=headers, timeout=60)


def done(native: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    deadline = time.monotonic() + 60
    while job["state"] not in ("done", "failed", "cancelled"):
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
        job = native.get(f"/jobs/{job['id']}").json()
    assert job["state"] == "done", json.dumps(job)
    return job


def test_a_lun_of_a_pool_becomes_a_disk_of_a_running_guest(cloud: Cloud) -> None:
    cloud.started("scsi1")
    answer = cloud.stack.smapi(f.SystemFCPFreeQuery(target="MAINT", fcp_dev="1A00"))
    rows = [row.lower().split(";") for row in answer.reply.fcp_array]
    ports = sorted({row[1] for row in rows if row[2] == rows[0][2]})
    template = cloud.done(
        "create_fcp_template", "pool", description="", fcp_devices="1a00-1a03;1b00-1b03", host_default=True,
        min_fcp_paths_count=2,
    )["fcp_template"]  # fmt: skip
    with v1(cloud) as native:
        (system,) = [item["name"] for item in native.get("/systems").json()]
        file = f"free,{';'.join(ports)},{rows[0][2]},1G,,,,\n"
        pool = f"/systems/{system}/volume-pools/e2e"
        put = native.put(f"{pool}/file", content=file, headers={"content-type": "text/plain"})
        assert put.status_code == 200, put.text
        volumes = f"/systems/{system}/volumes"
        done(native, native.post(volumes, json={"name": "data", "pool": "e2e", "size_gb": 1}))
        wish = {"volume": "data", "template": template["id"], "mount_point": "/dev/data"}
        told = done(native, native.post(f"/guests/{system}/SCSI1/volumes", json=wish))["steps"][-1]["result"]
        assert (len(told["devices"]), told["device_name"]) == (2, "/dev/data")
        used = native.get(f"{volumes}/data").json()
        assert (used["state"], used["attachments"][0]["guest"]) == ("in-use", "SCSI1")
        disks = cloud.inside("scsi1", "lszfcp -D")
        assert disks.count(f"0x{rows[0][2]}") == len(ports) * 2, disks
        done(native, native.post(f"/guests/{system}/SCSI1/volumes/detach", json={"volume": "data"}))
        assert f"0x{rows[0][2]}" not in cloud.inside("scsi1", "lszfcp -D")
        assert not [line for line in cloud.stack.entry("scsi1") if line.startswith("DEDICATE")]
        assert native.get(f"{volumes}/data").json()["state"] == "available"
    cloud.done("delete_fcp_template", template["id"])
    cloud.done("guest_delete", "scsi1")
