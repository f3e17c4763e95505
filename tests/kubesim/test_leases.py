"""Leases that nobody could hold."""

from __future__ import annotations

import pytest
from kube_driver import Kube

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("leaseDurationSeconds", 0, "must be greater than 0"),
        ("leaseDurationSeconds", -15, "must be greater than 0"),
        ("leaseTransitions", -1, "must be greater than or equal to 0"),
    ],
)
def test_a_lease_lasts_some_time(kube: Kube, field: str, value: int, complaint: str) -> None:
    answer = kube.refusal("POST", LEASES, {"metadata": {"name": "web"}, "spec": {field: value}})
    assert (answer["code"], answer["message"]) == (
        422,
        f'Lease.coordination.k8s.io "web" is invalid: spec.{field}: Invalid value: {value}: {complaint}',
    )


def test_a_lease_may_say_nothing(kube: Kube) -> None:
    kube.create(LEASES, {"metadata": {"name": "web"}})
    kube.create(LEASES, {"metadata": {"name": "other"}, "spec": {"leaseDurationSeconds": 1}})
