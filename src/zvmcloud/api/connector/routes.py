"""The connector's routes, as one table, and the application made from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from zvmcloud.api.connector import actions, guests, hosts, images, naming, networks, schemas, volumes
from zvmcloud.api.connector.ask import Ask, Handler
from zvmcloud.api.connector.bodies import no_text, parsed_body
from zvmcloud.api.connector.envelope import Reply, failure, fault, success
from zvmcloud.api.connector.errors import code_of, database_code, message_of, status_of
from zvmcloud.api.connector.naming import Names
from zvmcloud.api.connector.reach import (
    CONNECTION,
    GUEST,
    GUESTS_ASKED,
    IMAGE,
    IMAGE_CHANGED,
    NEW_GUEST,
    OPERATOR,
    Reach,
    of_action,
)
from zvmcloud.api.connector.schemas import Checker, Schema
from zvmcloud.api.connector.tokens import REFUSED, Door
from zvmcloud.manager.database import DatabaseError
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.identity.acting import act_for
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.node import Node

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """One method of one path. ``body``: its schema; ``any_body``: JSON is needed but the handler checks it; neither:
    ignored."""

    method: str
    path: str
    handler: Handler
    body: Schema | None = None
    query: Schema | None = None
    named: Schema | None = None
    """What the variables of the path may be."""
    any_body: bool = False
    creates: bool = False
    acts: bool = False
    reach: Reach = GUEST
    """What it needs of a door that is limited to a project; an action's goes by its name."""
    doing: str = ""
    """The operation whose errors have codes of their own (errors.code_of)."""
    names: Names = field(default_factory=dict)
    """What its request calls the manager's fields; an action's goes by its name."""

    @property
    def changes(self) -> bool:
        """Whether it changes something; one of the connector's reads does: it reserves FCP devices."""
        return self.method != "GET" or self.handler is volumes.connector


RULES: tuple[Rule, ...] = (
    Rule("GET", "/", hosts.version),
    Rule("GET", "/smapi_health", hosts.smapi_health),
    Rule("GET", "/guests", guests.list_guests),
    Rule("POST", "/guests", guests.create_guest, body=schemas.GUEST_CREATE, creates=True, names=naming.GUEST),
    Rule("GET", "/guests/stats", guests.stats, query=schemas.QUERY_USERIDS, reach=GUESTS_ASKED),
    Rule("GET", "/guests/interfacestats", guests.interface_stats, query=schemas.QUERY_USERIDS, reach=GUESTS_ASKED),
    Rule("GET", "/guests/nics", guests.nic_rows),
    Rule("POST", "/guests/volumes", volumes.attach, body=schemas.VOLUME, reach=CONNECTION),
    Rule("DELETE", "/guests/volumes", volumes.detach, body=schemas.VOLUME, doing="volume.detach", reach=CONNECTION),
    Rule("DELETE", "/guests/{userid}", guests.delete_guest, reach=NEW_GUEST),
    Rule("GET", "/guests/{userid}", guests.definition, named=schemas.PATH_USERID, doing="guest"),
    Rule("POST", "/guests/{userid}/action", actions.act, any_body=True, acts=True),
    Rule("GET", "/guests/{userid}/power_state", guests.power_state, named=schemas.PATH_USERID, doing="guest"),
    Rule("GET", "/guests/{userid}/power_state_real", guests.power_state_real, named=schemas.PATH_USERID),
    Rule("GET", "/guests/{userid}/info", guests.info, named=schemas.PATH_USERID, doing="guest"),
    Rule("GET", "/guests/{userid}/os_info", guests.os_info, named=schemas.PATH_USERID, doing="guest"),
    Rule("GET", "/guests/{userid}/online_cpu_num", guests.online_cpu_num, named=schemas.PATH_USERID, doing="guest"),
    Rule("GET", "/guests/{userid}/user_direct", guests.user_direct, named=schemas.PATH_USERID),
    Rule("GET", "/guests/{userid}/adapters", guests.adapters, named=schemas.PATH_USERID, doing="guest"),
    Rule("POST", "/guests/{userid}/nic", networks.create_nic, body=schemas.NIC_CREATE, doing="nic.create"),
    Rule("DELETE", "/guests/{userid}/nic/{vdev}", networks.delete_nic, body=schemas.NIC_DELETE, doing="nic.delete"),
    Rule("PUT", "/guests/{userid}/nic/{vdev}", networks.couple_nic, body=schemas.NIC_COUPLE, doing="nic.couple"),
    Rule(
        "POST",
        "/guests/{userid}/interface",
        networks.create_interface,
        body=schemas.INTERFACE_CREATE,
        doing="nic.create",
        names=naming.INTERFACE,
    ),
    Rule(
        "DELETE",
        "/guests/{userid}/interface",
        networks.delete_interface,
        body=schemas.INTERFACE_DELETE,
        doing="nic.delete",
    ),
    Rule("GET", "/guests/{userid}/disks", guests.list_disks, named=schemas.PATH_USERID, doing="guest"),
    Rule(
        "POST",
        "/guests/{userid}/disks",
        guests.create_disks,
        body=schemas.DISKS_CREATE,
        doing="guest",
        names=naming.DISKS,
    ),
    Rule(
        "PUT",
        "/guests/{userid}/disks",
        guests.config_disks,
        body=schemas.DISKS_CONFIG,
        doing="guest",
        names=naming.DISKS,
    ),
    Rule("DELETE", "/guests/{userid}/disks", guests.delete_disks, body=schemas.DISKS_DELETE, doing="disk.remove"),
    Rule("GET", "/volumes/conn/{userid}", volumes.connector, body=schemas.VOLUME_CONNECTOR, reach=NEW_GUEST),
    Rule(
        "PUT",
        "/volumes/volume_refresh_bootmap",
        volumes.refresh_bootmap,
        body=schemas.BOOTMAP,
        doing="bootmap",
        reach=OPERATOR,
    ),
    Rule("GET", "/volumes/fcptemplates", volumes.list_templates, query=schemas.QUERY_TEMPLATES, reach=OPERATOR),
    Rule("POST", "/volumes/fcptemplates", volumes.create_template, body=schemas.FCP_TEMPLATE_CREATE, reach=OPERATOR),
    Rule(
        "GET",
        "/volumes/fcptemplates/detail",
        volumes.template_details,
        query=schemas.QUERY_TEMPLATE_DETAILS,
        reach=OPERATOR,
    ),
    Rule(
        "PUT", "/volumes/fcptemplates/{template}", volumes.edit_template, body=schemas.FCP_TEMPLATE_EDIT, reach=OPERATOR
    ),
    Rule("DELETE", "/volumes/fcptemplates/{template}", volumes.delete_template, reach=OPERATOR),
    Rule("GET", "/volumes/fcp/{fcp_id}", volumes.usage, named=schemas.PATH_FCP, reach=OPERATOR),
    Rule("PUT", "/volumes/fcp/{fcp_id}", volumes.set_usage, body=schemas.FCP_USAGE, reach=OPERATOR),
    Rule("GET", "/host", hosts.host),
    Rule("GET", "/host/guests", hosts.host_guests),
    Rule("GET", "/host/diskpool", hosts.diskpool, query=schemas.QUERY_POOL, names=naming.POOL),
    Rule("GET", "/host/diskpool_volumes", hosts.diskpool_volumes, query=schemas.QUERY_POOL, names=naming.POOL),
    Rule("GET", "/host/volume", hosts.volume, query=schemas.QUERY_VOLUME),
    Rule("GET", "/host/ssi", hosts.ssi),
    Rule("GET", "/images", images.query_images, query=schemas.QUERY_IMAGE),
    Rule("POST", "/images", images.import_image, body=schemas.IMAGE_IMPORT, creates=True, names=naming.IMAGE),
    Rule("DELETE", "/images/{name}", images.delete_image, reach=IMAGE_CHANGED),
    Rule("PUT", "/images/{name}", images.export_image, body=schemas.IMAGE_EXPORT, doing="export", reach=OPERATOR),
    Rule("GET", "/images/{name}/root_disk_size", images.root_disk_size, reach=IMAGE),
    Rule("PUT", "/files", images.import_file),
    Rule("POST", "/files", images.export_file, body=schemas.FILE_EXPORT, reach=OPERATOR),
    Rule("GET", "/vswitches", networks.list_vswitches),
    Rule("POST", "/vswitches", networks.create_vswitch, body=schemas.VSWITCH_CREATE, creates=True, reach=OPERATOR),
    Rule("GET", "/vswitches/{name}", networks.query_vswitch, named=schemas.PATH_SWITCH),
    Rule("DELETE", "/vswitches/{name}", networks.delete_vswitch, named=schemas.PATH_SWITCH, reach=OPERATOR),
    Rule(
        "PUT",
        "/vswitches/{name}",
        networks.update_vswitch,
        body=schemas.VSWITCH_UPDATE,
        names=naming.VLAN,
        named=schemas.PATH_SWITCH,
        reach=OPERATOR,
    ),
    Rule("GET", "/vswitch", networks.switch_port, body=schemas.SWITCH_PORT),
)


class Connector:
    """Turns requests into calls of handlers, and what comes back into envelopes."""

    def __init__(self, node: Node, door: Door) -> None:
        self._node = node
        self._door = door
        settings = node.settings.connector
        role = Role(settings.role)
        projects = {} if role.everywhere else {settings.project: role}
        self._caller = Caller("connector", role, projects, settings.project)
        self._deploys = asyncio.Semaphore(node.settings.connector.deploys)
        self._ports = {system.connector_port: system.name for system in node.settings.systems if system.connector_port}

    def routes(self) -> list[BaseRoute]:
        """One route per path, at the root and below ``/systems/{system}``; it answers 405 with all methods the path
        has."""
        paths: dict[str, dict[str, Callable[[Request], Awaitable[Response]]]] = {"/token": {"POST": self._token}}
        for rule in RULES:
            paths.setdefault(rule.path, {})[rule.method] = self._endpoint(rule)
        paths["/smapi-healthy"] = {"GET": self._old_health}
        routes: list[BaseRoute] = []
        for prefix in ("", "/systems/{system}"):
            routes += [_route(prefix + path, methods) for path, methods in paths.items()]
        return routes

    def _endpoint(self, rule: Rule) -> Callable[[Request], Awaitable[Response]]:
        body = Checker(rule.body) if rule.body is not None else None
        query = Checker(rule.query, query=True) if rule.query is not None else None
        named = Checker(rule.named, query=True) if rule.named is not None else None

        async def endpoint(request: Request) -> Response:
            if not self._door.admits(request):
                return fault(401, REFUSED)
            caller = replace(self._caller, address=request.client.host if request.client else "")
            act_for(caller)
            document: Mapping[str, Json] = {}
            if body is not None or rule.any_body:
                parsed = await parsed_body(request)
                if isinstance(parsed, Response):
                    return parsed
                complaint = body.complaint(parsed) if body is not None else None
                if complaint is None and not isinstance(parsed, Mapping):
                    complaint = "Validation error: the body must be a JSON object"
                if complaint is not None:
                    return fault(400, f"ValidationError: {complaint}")
                document = parsed if isinstance(parsed, Mapping) else {}
            complaint = no_text([*request.path_params.values(), *request.query_params.values()])
            if complaint is not None:
                return fault(400, f"ValidationError: {complaint}")
            if named is not None:
                complaint = named.complaint(dict(request.path_params))
                if complaint is not None:
                    return fault(400, f"ValidationError: {complaint}")
            if query is not None:
                values: dict[str, list[str]] = {}
                for name, value in request.query_params.multi_items():
                    values.setdefault(name, []).append(value)
                if "userid" in values:
                    values["userid"] = values["userid"][-1:]
                complaint = query.complaint(values)
                if complaint is not None:
                    return fault(400, f"ValidationError: {complaint}")
            return await self._answer(rule, request, document, caller)

        return endpoint

    async def _answer(self, rule: Rule, request: Request, body: Mapping[str, Json], caller: Caller) -> Response:
        try:
            ask = Ask(
                node=self._node,
                system=self._node.core.system(self._system(request)),
                request=request,
                body=body,
                path=request.path_params,
                query=request.query_params,
                deploys=self._deploys,
                caller=caller,
            )
            await (of_action(body) if rule.acts else rule.reach).check(ask)
            reply = await rule.handler(ask)
        except ManagerError as error:
            if rule.changes:
                await self._node.refusals.note(caller, f"{request.method} {request.url.path}", error)
            code = code_of(error, _doing(rule, body))
            names = naming.ACTIONS.get(str(body.get("action")), naming.SAME) if rule.acts else rule.names
            message = message_of(error, code, names)
            status = status_of(code, message, creates=rule.creates, acts=rule.acts)
            if status >= 500:
                log.warning("%s %s: %s", request.method, request.url.path, message)
            return failure(status, code, message, error.job)
        except DatabaseError:
            log.exception("%s %s: the database failed", request.method, request.url.path)
            return failure(500, database_code(rule.path), "Database operation failed; the manager's log says why")
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            return fault(500, "The server has either erred or is incapable of performing the requested operation.")
        return success(reply) if isinstance(reply, Reply) else reply

    def _system(self, request: Request) -> str:
        """The z/VM system that a client means: of its path, else of the port it came to, else "" for the default."""
        server = request.scope.get("server")
        named = str(request.path_params.get("system", ""))
        return named or (self._ports.get(server[1], "") if server else "")

    async def _token(self, request: Request) -> Response:
        token = self._door.issue(request)
        if token is None:
            return fault(401, "The request carries no valid admin token: send it in the header X-Admin-Token.")
        return Response(b"", 200, {"X-Auth-Token": token, "cache-control": "no-cache"}, media_type="text/html")

    async def _old_health(self, request: Request) -> Response:
        """The deprecated form, without the envelope."""
        if not self._door.admits(request):
            return fault(401, REFUSED)
        try:
            system = self._node.core.system(self._system(request))
            return JSONResponse({"SMAPI": await hosts.health(self._node, system)})
        except ManagerError as error:
            code = code_of(error)
            message = message_of(error, code)
            return failure(status_of(code, message), code, message)


_ACTIONS = {
    "deploy": "deploy",
    "resize_cpus": "cpus",
    "live_resize_cpus": "cpus",
    "resize_mem": "memory",
    "live_resize_mem": "memory",
}


def _doing(rule: Rule, body: Mapping[str, Json]) -> str:
    """The operation that a request stands for, where its errors have codes of their own."""
    if rule.acts:
        return _ACTIONS.get(str(body.get("action")), "guest")
    info = body.get("info")
    if rule.doing == "nic.couple" and isinstance(info, Mapping) and not schemas.truth(info.get("couple")):
        return "nic.uncouple"
    return rule.doing


def application(node: Node, door: Door, extra: Sequence[BaseRoute] = ()) -> Starlette:
    """The connector's application; ``extra`` routes are looked at first."""
    connector = Connector(node, door)
    app = Starlette(routes=[*extra, *connector.routes()], exception_handlers={HTTPException: _http_error})
    app.router.redirect_slashes = False
    return app


def _route(path: str, methods: Mapping[str, Callable[[Request], Awaitable[Response]]]) -> Route:
    async def dispatch(request: Request) -> Response:
        if request.headers.get("content-length", "0") != "0" and not request.headers.get("content-type"):
            return fault(400, "content-type header required when content-length > 0")
        return await methods[request.method](request)

    route = Route(path, dispatch, methods=list(methods))
    route.methods = set(methods)
    return route


async def _http_error(_request: Request, error: Exception) -> Response:
    """No such route (404) or method (405), in JSON: in the envelope for the Python client, with "errors" for others."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    title = {404: "Not Found", 405: "Method Not Allowed"}.get(status, "Error")
    detail = {404: "The resource could not be found.", 405: "The method is not allowed for this resource."}.get(
        status, title
    )
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    body = {
        "overallRC": 400,
        "modID": 120,
        "rc": 400,
        "rs": status,
        "errmsg": detail,
        "output": "",
        "errors": [{"status": status, "title": title, "detail": detail}],
    }
    return JSONResponse(body, status, headers)
