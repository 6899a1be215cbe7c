"""The FastAPI application mounted at ``/v1``: its routers, and how errors are told."""

from __future__ import annotations

from fastapi import FastAPI

from zvmcloud import __version__
from zvmcloud.api.v1 import problems
from zvmcloud.api.v1.etags import EntityTags
from zvmcloud.api.v1.once import OnceOnly
from zvmcloud.api.v1.problems import Problem
from zvmcloud.api.v1.routes import guests, identity, images, jobs, operations, scsi, systems
from zvmcloud.manager.node import Node

ROUTERS = (systems.router, guests.router, images.router, jobs.router, operations.router, scsi.router, identity.router)


def application(node: Node) -> FastAPI:
    """The native API over ``node``."""
    app = FastAPI(
        title="zvmcloud",
        version=__version__,
        description="Cloud management for IBM z/VM.",
        docs_url=None,
        redoc_url=None,
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )
    app.state.node = node
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app)
    app.add_middleware(EntityTags)
    app.add_middleware(OnceOnly, node=node)
    return app
