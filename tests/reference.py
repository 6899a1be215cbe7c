"""The pages of docs/reference that are made from the code: `make reference` writes them, tests/test_docs.py sees that
they are current."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zvmcloud.api.v1.app import document
from zvmcloud.api.v1.document import OPEN, operations
from zvmcloud.cli import openstack
from zvmcloud.cli.catalog import HIDDEN
from zvmcloud.cli.failures import EXIT_CODES
from zvmcloud.cli.main import SESSION
from zvmcloud.client import operations as read
from zvmcloud.manager.operations import OPERATIONS
from zvmcloud.simulator import coverage
from zvmcloud.zhcp import catalogue

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference"


def pages() -> dict[Path, str]:
    """Each page with what it should say."""
    found = document()
    return {
        FOLDER / "rest-v1.md": rest(found),
        FOLDER / "operations.md": changes(),
        FOLDER / "cli.md": cli(found),
        FOLDER / "zhcp-operations.md": catalogue.markdown(),
        FOLDER / "smapi-coverage.md": coverage.markdown(),
        **{ROOT / "etc" / "openstack" / Path(path).name: text for path, text in openstack.example().items()},
    }


def changes() -> str:
    """Every operation, who may ask for it, and whether its jobs can be undone."""
    lines = ["# Operations", "", "Made from the code by `make reference`: what each declares of itself.", ""]
    lines += ["| operation | least role | what it does | undo |", "|---|---|---|---|"]
    for found in sorted(OPERATIONS.values(), key=lambda one: one.name):
        summary = " ".join(found.summary.split("\n\n")[0].split())
        unless = f"yes, but not {found.undo_unless}" if found.undo_unless else "yes"
        undo = f"no: {found.no_undo}" if found.no_undo else unless
        lines.append(f"| `{found.name}` | {found.role} | {summary} | {undo} |")
    return "\n".join([*lines, ""])


def rest(api: Mapping[str, Any]) -> str:
    """Every route: what it does, what it takes, what it answers."""
    lines = [
        "# REST v1",
        "",
        "Made from the code by `make reference`. The same, with all schemas, is the OpenAPI 3.1 document at",
        "`/v1/openapi.json` of a manager.",
        "",
        api["info"]["description"],
        "",
        "## Errors",
        "",
        "| status | when |",
        "|---|---|",
    ]
    for answer in api["components"]["responses"].values():
        example = answer["content"]["application/problem+json"]["example"]
        lines.append(f"| {example['status']} | {answer['description']} |")
    lines += ["", "A problem has these members:", ""]
    problem = api["components"]["schemas"]["Problem"]["properties"]
    lines += [f"- `{name}`: {field['description']}" for name, field in problem.items()]
    lines += ["", "## Routes"]
    for path, method, operation in operations(dict(api)):
        name = operation["operationId"]
        lines += [
            "",
            f"### {name}",
            "",
            f"`{method.upper()} /v1{path}`" + (" (needs no token)" if name in OPEN else ""),
        ]
        lines += ["", operation["description"]]
        given = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
        if given:
            lines += ["", *(f"- `?{one['name']}`: {one.get('description', '')}".rstrip(": ") for one in given)]
        body = operation.get("requestBody", {}).get("content", {})
        for media, shape in body.items():
            lines += ["", f"Body (`{media}`):", *_members(api, shape["schema"])]
        good = [
            f"{status} {answer.get('description', '')}"
            for status, answer in operation["responses"].items()
            if status < "3"
        ]
        lines += ["", f"Answers: {'; '.join(good)}."]
    return "\n".join(lines) + "\n"


def _members(api: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found = api["components"]["schemas"].get(name, schema)
    must = found.get("required", ())
    return [
        f"- `{field}`{' (required)' if field in must else ''}: {value.get('description', '')}"
        for field, value in found.get("properties", {}).items()
    ]


def cli(api: Mapping[str, Any]) -> str:
    """Every command that talks to a manager, and the exit codes."""
    lines = [
        "# The command line `zvm`",
        "",
        "Made from the code by `make reference`. The commands about a manager come from that manager's own document:",
        "`zvm --help` and `zvm NOUN VERB --help` say what it offers; this page is what this version offers.",
        "",
        "All take `--output table|json|yaml` (`-o`) and `--profile NAME`; lists take `--limit` and `--all`;",
        "changes of z/VM take `--dry-run` (the plan) and `--wait`; deletions ask unless `--yes` is given.",
        "",
        "## Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()),
        "",
        "## Which manager",
        "",
        "The first of these that is there:",
        "",
        "1. `--stack FOLDER`: the manager of the `zvm up` with this state folder",
        "2. `--profile NAME` or ZVMCLOUD_PROFILE",
        "3. ZVMCLOUD_URL with ZVMCLOUD_TOKEN or ZVMCLOUD_TOKEN_FILE (and ZVMCLOUD_CA, ZVMCLOUD_SYSTEM)",
        "4. the default profile",
        "5. the `zvm up` of the default state folder",
        "",
        "Profiles are in `~/.config/zvmcloud/config.toml`, tokens in files of their own beside it, mode 0600.",
        "",
        *(f"- `zvm {name}`: {told}" for name, told in SESSION.items()),
        "",
        "## Commands",
    ]
    noun = ""
    for operation in read(api):
        if operation.name in HIDDEN:
            continue
        if operation.noun != noun:
            noun = operation.noun
            lines += ["", f"### zvm {noun}", "", "| command | what it does |", "|---|---|"]
        words = [
            one.name.upper()
            for one in operation.parameters
            if (one.place == "path" or (one.place == "body" and one.required and one.kind in {"string", "integer"}))
            and not one.secret
            and (one.name != "system" or noun == "system")
        ]
        words += ["FILE"] if operation.body and operation.body != "application/json" else []
        lines.append(f"| `{' '.join(['zvm', noun, operation.verb, *words])}` | {operation.summary} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
