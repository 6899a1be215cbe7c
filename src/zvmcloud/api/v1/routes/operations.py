"""The changes, one route for each declared operation, and plans.

Every change answers 202 with the job that does it, or with ``?dry_run=true`` 200 with the plan that was kept:
``POST /v1/plans/{id}/apply`` runs exactly that plan.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from zvmcloud.api.v1.context import Member, Reader, TheNode, address_of, at_least, job_of
from zvmcloud.api.v1.document import ASKS
from zvmcloud.api.v1.models import Job, Mirror, Plan
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.plan import JobRecord
from zvmcloud.manager.operations import OPERATIONS, Operation, Target
from zvmcloud.manager.operations.declare import Nothing

router = APIRouter()

DryRun = Annotated[bool, Query(description="make and keep the plan, change nothing")]
SystemName = Annotated[str, Path(description="name of the z/VM system")]
Userid = Annotated[str, Path(description="userid of the guest")]
_NAMED = re.compile(r"{(\w+)}")
_ITEMS = {
    "vdev": "virtual device number",
    "vswitch": "name of the virtual switch",
    "lan": "name of the guest LAN",
    "volume": "name of the volume",
}


_TAGS = {"bulk": "bulk"}


class OperationInfo(Mirror):
    """A change that can be asked for. ``no_undo``: why its jobs cannot be undone, empty when they can;
    ``undo_unless``: which of them cannot, and why; ``asks``: a person is to be asked first."""

    name: str
    summary: str
    role: Role
    method: str
    path: str
    no_undo: str
    undo_unless: str
    asks: bool


@router.get("/operations", tags=["plans"])
async def operations(_caller: Reader) -> list[OperationInfo]:
    """Every change there is."""
    return [OperationInfo.of(found) for found in OPERATIONS.values()]


@router.get("/plans/{plan}", tags=["plans"])
async def get_plan(node: TheNode, caller: Reader, plan: str) -> Plan:
    """A plan that was shown."""
    return Plan.of(await node.plans.get(caller, plan))


@router.post("/plans/{plan}/apply", status_code=202, response_model=Job, tags=["plans"])
async def apply(node: TheNode, caller: Member, request: Request, plan: str) -> Response:
    """Run exactly this plan; 409 when it was applied, has expired, or z/VM has changed since it was made."""
    return _started(await node.plans.apply(caller, plan, origin=_origin(request)))


def _started(record: JobRecord) -> Response:
    headers = {"location": f"/v1/jobs/{record.id}"}
    return JSONResponse(Job.of(record).model_dump(mode="json"), 202, headers)


def _origin(request: Request) -> str:
    return f"v1 {request.method} {request.url.path} from {address_of(request)}"


def _needs_a_body(operation: Operation) -> bool:
    """Whether a parameter has no default; else the body may be left out."""
    known = dataclasses.fields(operation.parameters)
    return any(item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING for item in known)


def _endpoint(operation: Operation) -> Callable[..., Awaitable[Response]]:
    """The route's function; its signature is made from the declaration, so that OpenAPI shows the parameters."""

    item = next((name for name in _NAMED.findall(operation.path) if name not in ("system", "userid")), "")

    async def endpoint(**given: Any) -> Response:
        node, caller, request = given["node"], given["caller"], given["request"]
        target = Target(given.get("system", ""), given.get("userid", ""), given[item] if item else "")
        parameters = given.get("parameters") or operation.parameters()
        if given["dry_run"]:
            plan = await node.plans.make(operation, caller, target, parameters)
            return JSONResponse(Plan.of(plan).model_dump(mode="json"), 200)
        origin, job = _origin(request), job_of(request)
        return _started(await node.plans.run(operation, caller, target, parameters, origin=origin, job=job))

    arguments: dict[str, Any] = {
        "node": TheNode,
        "request": Request,
        "caller": Annotated[Caller, at_least(operation.role)],
    }
    if "{system}" in operation.path:
        arguments["system"] = SystemName
    if "{userid}" in operation.path:
        arguments["userid"] = Userid
    if item:
        arguments[item] = Annotated[str, Path(description=_ITEMS[item])]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, keyword, annotation=kind) for name, kind in arguments.items()]
    if operation.parameters is not Nothing:
        body = Body() if _needs_a_body(operation) else Body(default_factory=operation.parameters)
        parameters.append(inspect.Parameter("parameters", keyword, annotation=operation.parameters, default=body))
    parameters.append(inspect.Parameter("dry_run", keyword, annotation=DryRun, default=False))
    endpoint.__signature__ = inspect.Signature(parameters, return_annotation=Response)  # type: ignore[attr-defined]
    endpoint.__name__ = operation.name.replace(".", "_")
    endpoint.__doc__ = operation.summary
    return endpoint


for _operation in OPERATIONS.values():
    router.add_api_route(
        _operation.path,
        _endpoint(_operation),
        methods=[_operation.method],
        status_code=202,
        response_model=Job,
        responses={200: {"model": Plan, "description": "the plan, with ?dry_run=true"}},
        tags=[_TAGS.get(_operation.name.partition(".")[0], _operation.name.partition(".")[0] + "s")],
        name=_operation.name,
        openapi_extra=ASKS if _operation.asks else None,
    )
