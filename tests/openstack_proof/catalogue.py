"""Service users and endpoints, asked of keystone's API directly: thirty runs of the command line would take minutes."""

from __future__ import annotations

from typing import Any

import httpx

from openstack_proof.settings import REGION, Places

TYPES = {
    "glance": "image", "placement": "placement", "nova": "compute", "neutron": "network", "cinder": "block-storage",
}  # fmt: skip
PATHS = {"nova": "/v2.1", "cinder": "/v3"}


class Keystone:
    """Keystone as its admin."""

    def __init__(self, places: Places) -> None:
        self._http = httpx.Client(base_url=f"{places.url('keystone')}/v3", timeout=60)
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        user = {"name": "admin", "password": places.password, "domain": {"id": "default"}}
        identity = {"methods": ["password"], "password": {"user": user}}
        answer = self._http.post("/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
        answer.raise_for_status()
        self._http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]

    def get(self, kind: str) -> list[dict[str, Any]]:
        answer = self._http.get(f"/{kind}")
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()[kind]
        return found

    def make(self, kind: str, **members: object) -> str:
        answer = self._http.post(f"/{kind}s", json={kind: members})
        answer.raise_for_status()
        return str(answer.json()[kind]["id"])

    def assign(self, project: str, user: str, role: str) -> None:
        self._http.put(f"/projects/{project}/users/{user}/roles/{role}").raise_for_status()


def fill(places: Places) -> None:
    """The project of the services, their users and their endpoints."""
    keystone = Keystone(places)
    project = keystone.make("project", name="service", domain_id="default")
    roles = {role["name"]: role["id"] for role in keystone.get("roles")}
    for name in TYPES:
        user = keystone.make(
            "user", name=name, password=places.password, domain_id="default", default_project_id=project
        )
        for role in ("admin", "service"):
            keystone.assign(project, user, roles[role])
    for name, kind in TYPES.items():
        service = keystone.make("service", name=name, type=kind)
        url = places.url(name) + PATHS.get(name, "")
        for interface in ("public", "internal"):
            keystone.make("endpoint", service_id=service, interface=interface, url=url, region_id=REGION)
