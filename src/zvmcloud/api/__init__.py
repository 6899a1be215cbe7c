"""The front doors: HTTP in, manager services out. Nothing else lives here.

* :mod:`.connector`: the z/VM cloud connector's REST API, at the root of the port, for clients that exist already.
* :mod:`.v1`: the native API below ``/v1`` (OpenAPI 3.1, problem documents, server-sent events).
* :mod:`.program`: the program that serves both.

May import ``zvmcloud.manager``. Must never import the client library, the command line or the simulator, and must
never reach around the manager's services to an agent or to the database.
"""
