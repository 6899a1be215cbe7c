"""The agent comes in to a manager: a key that never leaves it, a certificate request, a one-time token.

What comes back is believed because the token names the manager's authority by its fingerprint: whoever made the token
is whoever signed. The key is made by the openssl program: the standard library makes none, and the package
cryptography has no s390x wheel.

    <state>/tls/agent.key   agent.pem   clients.pem (the authority whose clients are let in)
                manager.pem (the authority that the manager's own door is known by, if one was named)
"""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from zvmcloud.zhcp.settings import Settings
from zvmcloud.zhcp.trust import MANAGER

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SECONDS = 60.0


class EnrollmentError(Exception):
    """The agent did not come in; the text says why and what helps. Files are as they were."""


def enroll(settings: Settings, manager: str, token: str, url: str, ca: Path | None = None) -> str:
    """Enroll; returns the name of the system. Blocking. ``url`` is where the manager will reach this agent, ``ca`` an
    authority to know the manager by when it is not a public one. EnrollmentError."""
    host = urlsplit(manager)
    if host.scheme != "https" and not (host.scheme == "http" and host.hostname in _LOOPBACK):
        raise EnrollmentError(f"{manager} is not https://, so the token could be read on its way; only loopback may be")
    fingerprint = token.strip().rpartition(".")[2]
    if len(fingerprint) != 64:
        raise EnrollmentError("the token is not one of `POST /v1/systems/NAME/enrollment`: it names no authority")
    folder = settings.tls_folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        key, certificate, clients = (Path(work) / name for name in ("agent.key", "agent.pem", "clients.pem"))
        answer = _ask(manager, {"token": token.strip(), "csr": _request(key), "url": url}, ca)
        certificate.write_text(answer["certificate"])
        clients.write_text(answer["ca"])
        _check(key, certificate, answer["ca"], fingerprint)
        files = [key, certificate, clients]
        if ca is not None:
            files.append(Path(work) / MANAGER)
            files[-1].write_bytes(ca.read_bytes())
        for file in files:
            file.replace(folder / file.name)
    return answer["system"]


def _request(key: Path) -> str:
    """A certificate request of a new key. EnrollmentError."""
    program = shutil.which("openssl")
    if program is None:
        raise EnrollmentError("there is no openssl program; install the package openssl")
    words = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"]
    done = subprocess.run(  # noqa: S603 (fixed words)
        [program, *words, "-subj", "/CN=zvmcloud zhcp", "-keyout", str(key)],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_SECONDS, umask=0o077,
    )  # fmt: skip
    if done.returncode:
        raise EnrollmentError(f"openssl makes no key: {done.stderr.strip()[-200:]}")
    return done.stdout


def _ask(manager: str, body: dict[str, str], ca: Path | None) -> dict[str, str]:
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    try:
        answer = httpx.post(f"{manager.rstrip('/')}/v1/enroll", json=body, verify=context, timeout=_SECONDS)
        document = answer.json()
    except (httpx.HTTPError, ValueError, OSError) as problem:
        raise EnrollmentError(f"the manager at {manager} does not answer as one: {problem}") from problem
    if answer.status_code != httpx.codes.CREATED or not isinstance(document, dict):
        detail = document.get("detail", "") if isinstance(document, dict) else ""
        raise EnrollmentError(f"the manager refuses ({answer.status_code}): {detail}")
    return {name: str(document.get(name, "")) for name in ("system", "certificate", "ca")}


def _check(key: Path, certificate: Path, ca: str, fingerprint: str) -> None:
    """That it is the authority of the token, that it signed, and that it signed our key. EnrollmentError."""
    try:
        if hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca)).hexdigest() != fingerprint:
            raise EnrollmentError("the answer is signed by another authority than the token names; ask for a new token")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError) as problem:
        raise EnrollmentError(f"the manager's answer is no certificate for this agent's key: {problem}") from problem
