"""`make bench`: every benchmark, or those named (`make bench ARGS=codec`). Two states of the code are compared only
when that is asked for (`make bench ARGS=states BEFORE=folder`)."""

from __future__ import annotations

import importlib
import platform
import sys

from benchmarks import interpreter
from benchmarks.table import show

SUBJECTS = ("codec", "smapi_server", "scale", "connector", "images", "agent", "inventory", "audit", "deploys")
ASKED_FOR = ("states",)


def main() -> None:
    wanted = sys.argv[1:] or SUBJECTS
    known = (*SUBJECTS, *ASKED_FOR)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(known)}")
    rows = interpreter.run()
    for name in wanted:
        rows += importlib.import_module(f"benchmarks.{name}").run()
    rows += interpreter.run()
    print(f"Python {platform.python_version()}, {platform.python_compiler()}")
    show(rows)


if __name__ == "__main__":
    main()
