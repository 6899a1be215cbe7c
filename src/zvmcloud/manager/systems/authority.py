"""The manager's own certificate authority, in ``<state>/ca``; the openssl program does the arithmetic.

The standard library makes no keys, and the cryptography package has no s390x wheel; every Linux has openssl. Keys are
on P-256. Several managers of one database share the folder's ca.key and ca.pem.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zvmcloud.manager.errors import BadInput, ManagerError

_YEARS = 10
_DAYS = 397
"""For which a certificate of an agent or of the manager itself holds; an agent enrolls again before."""
_SECONDS = 30
REQUEST_LIMIT = 16 * 1024
_REQUEST = re.compile(
    r"-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+-----END (?:NEW )?CERTIFICATE REQUEST-----\s*"
)
_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_CA = """[req]
distinguished_name = name
prompt = no
x509_extensions = ca
[name]
CN = zvmcloud manager {mark}
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
_LEAF = """basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = {purpose}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate in PEM; ``sha256`` is its fingerprint, ``expires`` in seconds since 1970."""

    certificate: str
    serial: str
    sha256: str
    expires: float


class Authority:
    """Makes itself when it is first needed. All of it blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca = folder / "ca.pem"
        self.certificate = folder / "manager.pem"
        self.key = folder / "manager.key"

    def ensure(self) -> None:
        """Make the CA and the manager's own client certificate, or renew that one a month before it ends."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.ca.exists():
            self._make()
        fresh = time.time() - (_DAYS - 30) * 86400
        if not self.certificate.exists() or self.certificate.stat().st_mtime < fresh:
            with tempfile.TemporaryDirectory(dir=self._folder) as work:
                request, new = Path(work) / "request.pem", Path(work) / "new"
                words = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"]
                _openssl([*words, "-subj", "/CN=zvmcloud manager", "-keyout", str(new), "-out", str(request)])
                issued = self._sign(request, "clientAuth", "")
                new.chmod(0o600)
                new.replace(self.key)
                self.certificate.write_text(issued.certificate)

    @property
    def text(self) -> str:
        """The CA's certificate in PEM."""
        return self.ca.read_text()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the CA's certificate, 64 hexadecimal digits."""
        return fingerprint(self.text)

    def sign(self, request: str, host: str) -> Issued:
        """A server certificate for ``host`` (a name or an address). Nothing of the request counts but its key.

        Raises BadInput (csr) for one that is none, that its key did not sign, or whose key is weak; BadInput (url).
        """
        if len(request) > REQUEST_LIMIT or not _REQUEST.fullmatch(request):
            raise BadInput("csr", request[:40], f"a certificate request in PEM of at most {REQUEST_LIMIT} characters")
        try:
            name = f"IP:{ipaddress.ip_address(host)}"
        except ValueError:
            if not _NAME.fullmatch(host):
                raise BadInput("url", host, "a host name or an IP address") from None
            name = f"DNS:{host}"
        self.ensure()
        with tempfile.TemporaryDirectory(dir=self._folder) as work:
            file = Path(work) / "request.pem"
            file.write_text(request)
            try:
                text = _openssl(["req", "-in", str(file), "-verify", "-noout", "-text"])
            except ManagerError as error:
                raise BadInput("csr", "a request", "signed by its own key") from error
            bits = re.search(r"Public-Key: \((\d+) bit\)", text)
            least = 256 if "id-ecPublicKey" in text else 2048 if "rsaEncryption" in text else 2**16
            if bits is None or int(bits[1]) < least:
                raise BadInput("csr", bits[0] if bits else "its key", "a key on P-256 or better, or RSA of 2048 bits")
            return self._sign(file, "serverAuth", name)

    def _make(self) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder) as work:
            config, key, certificate = (Path(work) / name for name in ("config", "key", "certificate"))
            config.write_text(_CA.format(mark=secrets.token_hex(4)))
            words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"]
            words += ["-days", str(_YEARS * 365), "-config", str(config)]
            _openssl([*words, "-keyout", str(key), "-out", str(certificate)])
            key.chmod(0o600)
            key.replace(self._folder / "ca.key")
            certificate.replace(self.ca)

    def _sign(self, request: Path, purpose: str, name: str) -> Issued:
        serial = secrets.token_hex(16)
        extensions, certificate = request.with_name("extensions"), request.with_name("certificate")
        extensions.write_text(_LEAF.format(purpose=purpose) + (f"subjectAltName = {name}\n" if name else ""))
        words = ["x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self._folder / "ca.key")]
        words += ["-set_serial", f"0x{serial}", "-days", str(_DAYS), "-sha256", "-extfile", str(extensions)]
        _openssl([*words, "-out", str(certificate)])
        text = certificate.read_text()
        return Issued(text, serial, fingerprint(text), time.time() + _DAYS * 86400)


def fingerprint(certificate: str) -> str:
    """SHA-256 of a certificate in PEM. ValueError when it is none."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()


def _openssl(words: Sequence[str]) -> str:
    """Run the program; what it wrote. Raises ManagerError (openssl)."""
    program = shutil.which("openssl")
    if program is None:
        raise ManagerError("there is no openssl program", code="openssl", remedy="install the package openssl")
    done = subprocess.run(  # noqa: S603 (fixed words; what came from outside is in files)
        [program, *words],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
        umask=0o077,
    )
    if done.returncode:
        raise ManagerError(f"openssl {words[0]} failed: {done.stderr.strip()[-200:]}", code="openssl")
    return done.stdout
