"""The certificate authority of served clusters, made once per process and only when one is first served."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from functools import cache

NAMES = (
    "127.0.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
"""For which the server's certificate is good."""


SINCE, UNTIL = datetime(2025, 5, 6, 7, 55, 32), datetime(2035, 5, 4, 8, 0, 32)
"""When the server's certificate is good, in UTC."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """A certificate authority with one certificate for servers on the loopback interface."""

    ca_pem: bytes
    """What clients trust."""
    server: ssl.SSLContext
    """What the server shows."""


@cache
def certificates() -> Certificates:
    """The process's own authority and the server certificate that it signed."""
    import trustme

    authority = trustme.CA(organization_name="kubernetes", organization_unit_name="kubernetes-ca")
    issued = authority.issue_cert(
        *NAMES,
        common_name="kube-apiserver",
        organization_name="kubernetes",
        organization_unit_name="kube-apiserver",
        not_before=SINCE,
        not_after=UNTIL,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1_2
    server.set_alpn_protocols(["http/1.1"])
    issued.configure_cert(server)
    return Certificates(authority.cert_pem.bytes(), server)
