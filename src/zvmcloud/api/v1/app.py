"""The FastAPI application mounted at ``/v1``: its routers, its document, and how errors are told."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp, Receive, Scope, Send

from zvmcloud import __version__
from zvmcloud.api.v1 import problems
from zvmcloud.api.v1.context import NODE
from zvmcloud.api.v1.document import DESCRIPTION, completed
from zvmcloud.api.v1.document import operations as named
from zvmcloud.api.v1.etags import EntityTags
from zvmcloud.api.v1.naming import operation_id
from zvmcloud.api.v1.once import OnceOnly
from zvmcloud.api.v1.routes import (
    consoles,
    events,
    fcp_templates,
    guests,
    hosts,
    identity,
    image_files,
    images,
    inventory,
    jobs,
    marks,
    metrics,
    networks,
    operations,
    systems,
    uploads,
    volumes,
)
from zvmcloud.manager.node import Node
from zvmcloud.manager.operations import OPERATIONS

ROUTERS = (
    systems.router,
    inventory.router,
    marks.router,
    metrics.router,
    hosts.router,
    networks.router,
    guests.router,
    consoles.router,
    events.router,
    images.router,
    image_files.router,
    uploads.router,
    jobs.router,
    operations.router,
    volumes.router,
    fcp_templates.router,
    identity.router,
)


class Native(FastAPI):
    """The routes with their document; without a node it can only tell what there is."""

    def __init__(self) -> None:
        super().__init__(
            title="zvmcloud",
            version=__version__,
            docs_url=None,
            redoc_url=None,
            generate_unique_id_function=operation_id,
        )
        for router in ROUTERS:
            self.include_router(router)

    def openapi(self) -> dict[str, Any]:
        """The document. ValueError when two routes have the same name."""
        if self.openapi_schema is None:
            found = get_openapi(title=self.title, version=self.version, description=DESCRIPTION, routes=self.routes)
            self.openapi_schema = completed(found, self._docstrings())
            twice = Counter(operation["operationId"] for _, _, operation in named(self.openapi_schema))
            if names := [name for name, count in twice.items() if count > 1]:
                raise ValueError(f"routes with the same name: {', '.join(names)}; give one name='noun.verb'")
        return self.openapi_schema

    def _docstrings(self) -> dict[str, str]:
        """The docstrings of the classes that requests are made of: dataclasses do not hand theirs to the schema."""
        classes = [operation.parameters for operation in OPERATIONS.values()]
        return {found.__name__: text for found in classes if (text := inspect.getdoc(found))}


@functools.cache
def _native() -> Native:
    """Made once in a process: to read the signatures of all routes takes a second, and no node is part of it."""
    app = Native()
    problems.install(app)
    app.add_middleware(EntityTags)
    return app


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return _native().openapi()


def application(node: Node) -> ASGIApp:
    """The native API over ``node``."""
    native = _native()

    async def of_node(scope: Scope, receive: Receive, send: Send) -> None:
        await native({**scope, NODE: node}, receive, send)

    return OnceOnly(of_node, node)
