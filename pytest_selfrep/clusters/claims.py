"""Who uses a namespace: a Lease in it, which its owner renews for as long as it lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from pytest_selfrep.clusters.containment import LEASE
from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.errors import ClusterError

if TYPE_CHECKING:
    from pytest_selfrep.clusters.kube import KubeObject

NAME = "provisioning"
"""Of the Lease."""
SECONDS = 30
"""For which a claim holds that nobody renews."""
RENEW_SECONDS = 5.0
_PRESENT = "provisioning.internal/present"
"""Annotation: what was in the namespace when it was claimed."""
_HELD_UNTIL = "provisioning.internal/held-until"
"""Annotation of a claim that was taken over, until all that its owner before left is gone."""


class Claims:
    """The claims of one process. All methods may be called by several threads.

    Whether the owner of a claim lives is told from renewals alone, as one sees them come: no two clocks are
    compared (see ``Onlooker``).
    """

    def __init__(self, admin: KubeClient, owner: str, renew: float = RENEW_SECONDS) -> None:
        self._admin = admin
        self._owner = owner
        self._renew = renew
        self._lock = threading.Lock()
        self._held: dict[str, KubeObject] = {}
        """Namespace to the Lease as last written."""
        self._renewed: dict[str, float] = {}
        self._lost: set[str] = set()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, namespace: str) -> bool:
        """Claim a namespace; False if somebody has."""
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "labels": {LEASE: self._owner}},
            "spec": self._spec(),
        }
        try:
            made = self._admin.create(path_of("coordination.k8s.io", "v1", "leases", namespace), lease)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return False
            raise
        self._hold(namespace, made)
        return True

    def take_over(self, lease: KubeObject) -> bool:
        """Claim what another has claimed who is dead; False if somebody was faster."""
        metadata = lease["metadata"]
        unchanged = {name: metadata[name] for name in ("uid", "resourceVersion")}
        marks = {"labels": {LEASE: self._owner}, "annotations": {_HELD_UNTIL: held_until(lease)}}
        taken = {"metadata": {**unchanged, **marks}, "spec": self._spec()}
        try:
            made = self._admin.patch(lease_path(metadata["namespace"]), taken)
        except ApiError as error:
            if error.code in (404, 409):
                return False
            raise
        self._hold(metadata["namespace"], made)
        return True

    def note(self, namespace: str, present: Collection[str]) -> None:
        """Write down what was there already, for whoever may have to tidy up."""
        with self._lock:
            annotations = {_PRESENT: orjson.dumps(sorted(present)).decode(), _HELD_UNTIL: None}
            self._write(namespace, {"metadata": {"annotations": annotations}})

    def release(self, namespace: str) -> None:
        """Let others have it. Nothing is done for a claim that did not hold."""
        lease = self.leave(namespace)
        if lease is None:
            return
        try:
            self._admin.delete(
                lease_path(namespace), options={"preconditions": {"uid": lease["metadata"]["uid"]}}
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def leave(self, namespace: str) -> KubeObject | None:
        """Renew a claim no more: in a while somebody may take it over, and tidy up. None if there is none."""
        with self._lock:
            return self._held.pop(namespace, None)

    def lost(self, namespaces: Collection[str]) -> list[str]:
        """Those whose claims did not hold, or have not been renewed in time: another may have been there."""
        with self._lock:
            overdue = {each for each in self._held if time.monotonic() - self._renewed[each] > SECONDS}
            return sorted((self._lost | overdue).intersection(namespaces))

    def close(self) -> None:
        """Renew no more."""
        self._ending.set()
        if self._thread is not None:
            # It may be asking a server that is gone.
            self._thread.join(self._renew)

    def _hold(self, namespace: str, lease: KubeObject) -> None:
        with self._lock:
            self._held[namespace] = lease
            self._renewed[namespace] = time.monotonic()
            self._lost.discard(namespace)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="renew claims", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._ending.wait(self._renew):
            for namespace in list(self._held):
                with self._lock:
                    if namespace in self._held and not self._ending.is_set():
                        self._try_to_renew(namespace)

    def _try_to_renew(self, namespace: str) -> None:
        try:
            self._write(namespace, {"spec": {"renewTime": _now()}})
        except ApiError as error:
            if error.code in (404, 409):
                self._lose(namespace)
        except ClusterError:
            # It may go better the next time.
            pass
        if time.monotonic() - self._renewed[namespace] > SECONDS:
            self._lose(namespace)

    def _lose(self, namespace: str) -> None:
        self._held.pop(namespace, None)
        self._lost.add(namespace)

    def _write(self, namespace: str, change: KubeObject) -> None:
        """Patch a Lease as long as it is still what was written last."""
        version = self._held[namespace]["metadata"]["resourceVersion"]
        metadata = {**change.get("metadata", {}), "resourceVersion": version}
        self._held[namespace] = self._admin.patch(lease_path(namespace), {**change, "metadata": metadata})
        self._renewed[namespace] = time.monotonic()

    def _spec(self) -> KubeObject:
        now = _now()
        return {
            "holderIdentity": self._owner,
            "leaseDurationSeconds": SECONDS,
            "acquireTime": now,
            "renewTime": now,
        }


class Onlooker:
    """Tells claims whose owners are dead: nobody renews them while one looks."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def stale(self, lease: KubeObject) -> bool:
        """Whether it has been the same for as long as it holds, since it was first shown here."""
        metadata, now = lease["metadata"], time.monotonic()
        version, since = self._seen.get(metadata["uid"], ("", now))
        if version != metadata["resourceVersion"]:
            self._seen[metadata["uid"]] = (metadata["resourceVersion"], now)
            return False
        return now - since > int(lease["spec"].get("leaseDurationSeconds") or SECONDS)


def lease_path(namespace: str) -> str:
    return path_of("coordination.k8s.io", "v1", "leases", namespace, NAME)


def lease_in(admin: KubeClient, namespace: str) -> KubeObject | None:
    """The claim on a namespace. Raises ApiError."""
    try:
        return admin.get(lease_path(namespace))
    except ApiError as error:
        if error.code == 404:
            return None
        raise


def present_of(lease: KubeObject) -> frozenset[str] | None:
    """What was in the namespace when it was claimed; None if nothing was made there yet."""
    text = (lease["metadata"].get("annotations") or {}).get(_PRESENT)
    return None if text is None else frozenset(orjson.loads(text))


def held_until(lease: KubeObject) -> str:
    """The moment, as in creationTimestamp, from which on the claim of one that is dead did not hold any more.

    As the server dates the last renewal: the clock of whoever renewed may have gone wrong.
    """
    metadata, spec = lease["metadata"], lease["spec"]
    noted = (metadata.get("annotations") or {}).get(_HELD_UNTIL)
    if noted:
        return str(noted)
    written = [each["time"] for each in metadata.get("managedFields") or () if each.get("time")]
    renewed = datetime.fromisoformat(max(written, default=spec["renewTime"]))
    ended = renewed + timedelta(seconds=int(spec.get("leaseDurationSeconds") or SECONDS))
    return ended.strftime("%Y-%m-%dT%H:%M:%SZ")


def _now() -> str:
    """As MicroTime (meta/v1)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
