"""Names of the routes, ``noun.verb``: stable, the operationId of the document, ``zvm noun verb`` on the command line.

A route may have such a name (``name="volume-pool.export"``, or a declared operation's); all others get one by rule,
from method and path: ``GET /guests`` is guest.list, ``GET /guests/{system}/{userid}`` guest.show, ``POST
/jobs/{job}/cancel`` job.cancel.
"""

from __future__ import annotations

import re

from fastapi.routing import APIRoute

NAME = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*")
_COLLECTION = {"GET": "list", "POST": "create", "PUT": "set", "DELETE": "clear"}
_ITEM = {"GET": "show", "PUT": "set", "PATCH": "change", "DELETE": "delete", "POST": "create"}


def operation_id(route: APIRoute) -> str:
    """The name of a route. ValueError when the rule finds none that has the form."""
    if NAME.fullmatch(route.name.replace("_", "-")):
        return route.name.replace("_", "-")
    method = next(iter(sorted(route.methods or {"GET"})))
    found = by_rule(method, route.path)
    if not NAME.fullmatch(found):
        raise ValueError(f"{method} {route.path} needs a name of the form noun.verb")
    return found


def by_rule(method: str, path: str) -> str:
    """The name that method and path give."""
    parts = path.strip("/").split("/")
    words = [part for part in parts if not part.startswith("{")]
    last = words[-1]
    if parts[-1].startswith("{"):
        return f"{singular(last)}.{_ITEM[method]}"
    if last.endswith("s"):
        return f"{singular(last)}.{_COLLECTION.get(method, method.lower())}"
    if len(words) > 1:
        return f"{singular(words[-2])}.{last}"
    return f"{last}.{_ITEM[method]}"


def singular(word: str) -> str:
    """One of what a path's segment names."""
    if word.endswith(("switches", "addresses", "aliases")):
        return word[:-2]
    return word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")
