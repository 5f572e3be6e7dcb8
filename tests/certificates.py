"""Certificates for tests: an authority of their own, and who it vouches for. Files live as long as the process."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import trustme

from ringback.transport.tls import ClientCertificates, TlsConfiguration

_FOLDER = tempfile.TemporaryDirectory(prefix="ringback-certificates-")


class Identity:
    """A certificate: ``certificate`` and ``key`` apart, and ``both`` in one file."""

    def __init__(self, authority: Authority, names: tuple[str, ...]) -> None:
        issued = authority.ca.issue_cert(*names)
        folder = Path(tempfile.mkdtemp(dir=_FOLDER.name))
        self.certificate = folder / "certificate.pem"
        self.key = folder / "key.pem"
        self.both = folder / "both.pem"
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())
        self.both.write_bytes(issued.private_key_and_cert_chain_pem.bytes())


class Authority:
    """Who vouches for others; ``file`` is its own certificate."""

    def __init__(self, name: str) -> None:
        self.ca = trustme.CA(organization_name=name)
        self.file = Path(tempfile.mkdtemp(dir=_FOLDER.name)) / "authority.pem"
        self.ca.cert_pem.write_to_path(self.file)

    @lru_cache(64)  # noqa: B019 - an authority lives as long as the process
    def issue(self, *names: str) -> Identity:
        """A certificate for domains and numeric addresses; asked again, the same one."""
        return Identity(self, names)

    def server(self, *names: str, clients: ClientCertificates = "none") -> TlsConfiguration:
        """The TLS configuration of who has such a certificate, and trusts this authority."""
        return TlsConfiguration(certificate=self.issue(*names).both, authorities=self.file, clients=clients)

    def client(self) -> TlsConfiguration:
        """That of who has none."""
        return TlsConfiguration(authorities=self.file)


@lru_cache(1)
def authority() -> Authority:
    """The one that tests trust."""
    return Authority("Ringback tests")


@lru_cache(1)
def stranger() -> Authority:
    """One that nobody trusts."""
    return Authority("A stranger")
