"""The cloud connector's REST API: shapes, statuses and codes that its clients depend on, over the manager's services.

::

    request -> routes (path, method) -> door (token or allowed address) -> JSON -> schema -> handler -> envelope

Every answer of a handler is ``{"overallRC", "modID", "rc", "rs", "errmsg", "output"}`` as ``application/json``;
success is HTTP 200, a null output is "". A call that changes something answers with the header ``Zvm-Job``: the id
of the job below ``/v1/jobs`` that shows every step and every SMAPI and CP call. Below ``/systems/NAME`` the same
API speaks to that z/VM system instead of the default one.

Where the original answers something its own clients cannot use (text/html on errors, 500 for a missing list), this
door answers what they expect; docs/reference/connector.md lists the differences.
"""
