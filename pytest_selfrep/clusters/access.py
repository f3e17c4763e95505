"""What an identity may do, as the API server says itself."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import ApiError, KubeClient, path_of
from pytest_selfrep.errors import ClusterError


def allowed(admin: KubeClient, namespace: str, group: str, resource: str, verb: str) -> bool:
    """Whether the client's own may; ``resource`` is a plural, or ``plural/subresource``.

    Raises:
        ClusterError: the server does not say.
    """
    name, _, subresource = resource.partition("/")
    asked = {"group": group, "resource": name, "subresource": subresource, "verb": verb}
    if namespace:
        asked["namespace"] = namespace
        if (group, resource) == ("", "namespaces"):
            asked["name"] = namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    path = path_of("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
    try:
        return bool(admin.create(path, review)["status"].get("allowed"))
    except ApiError as error:
        raise ClusterError(f"the cluster does not say what may be done there: {error.message}") from error
