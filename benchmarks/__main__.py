"""`make bench`: every benchmark, or those named (`make bench ARGS=codec`)."""

from __future__ import annotations

import importlib
import sys

from benchmarks.table import show

SUBJECTS = ("codec", "smapi_server", "scale", "connector", "images", "agent", "inventory", "audit", "deploys")


def main() -> None:
    wanted = sys.argv[1:] or SUBJECTS
    unknown = [name for name in wanted if name not in SUBJECTS]
    if unknown:
        raise SystemExit(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(SUBJECTS)}")
    rows = [row for name in wanted for row in importlib.import_module(f"benchmarks.{name}").run()]
    show(rows)


if __name__ == "__main__":
    main()
