"""Why a request had no answer: what to do about it, and whether it may have been carried out all the same."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import urllib3.exceptions as http

from pytest_selfrep.clusters.kube import Call
from pytest_selfrep.errors import ClusterError

CAUSES = (http.HTTPError, http.HTTPWarning, OSError)
"""What the pool raises."""


class Unreached(ClusterError):
    """No answer came."""

    def __init__(self, message: str, *, unsent: bool, passing: bool) -> None:
        super().__init__(message)
        self.unsent = unsent
        """Whether the request certainly did not reach the server."""
        self.passing = passing
        """Whether it may go better the next time."""


_Words = tuple[type[BaseException], bool, bool, str]

# Type, whether nothing was sent, whether it may pass, and the remedy. The first that matches counts.
_TABLE: Sequence[_Words] = (
    (http.NameResolutionError, True, True, "check the server in the kubeconfig, and DNS or VPN"),
    (http.NewConnectionError, True, True, "check that the cluster runs, and the server in the kubeconfig"),
    (http.ConnectTimeoutError, True, True, "check the server in the kubeconfig, and firewall, proxy or VPN"),
    (
        ssl.SSLCertVerificationError,
        True,
        False,
        "check the certificate-authority in the kubeconfig; a cluster that was made anew has another",
    ),
    (
        http.InsecureRequestWarning,
        True,
        False,
        "the kubeconfig says insecure-skip-tls-verify, and warnings are errors in this run: give it a "
        "certificate-authority, or add ignore::urllib3.exceptions.InsecureRequestWarning to filterwarnings",
    ),
    (http.ReadTimeoutError, False, True, "check that the cluster is not overloaded"),
    (BaseException, False, True, "check that the cluster, and any proxy in front of it, runs on"),
)


def because(error: BaseException, server: str, call: Call) -> Unreached:
    """The error for a request that the pool could not bring to an answer."""
    cause = _innermost(error)
    unsent, passing, remedy = next(row[1:] for row in _TABLE if isinstance(cause, row[0]))
    doubt = "" if unsent or call.method in ("GET", "HEAD") else "; whether it was carried out is not known"
    return Unreached(
        f"the API server at {server} does not answer {call.method} {call.path}: {cause}{doubt}; {remedy}",
        unsent=unsent,
        passing=passing,
    )


def _innermost(error: BaseException) -> BaseException:
    """What lies behind the wrappings of proxies and of TLS."""
    if isinstance(error, http.ProxyError):
        return _innermost(error.original_error)
    if isinstance(error, http.SSLError) and error.args and isinstance(error.args[0], BaseException):
        return error.args[0]
    return error
