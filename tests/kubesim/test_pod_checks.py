"""What the API server refuses of a pod's probes, hooks, security contexts, ports and names."""

from __future__ import annotations

import pytest
from kube_driver import PODS, Kube, Object, pod
from pod_complaints import QUALIFIED, WEB, complaints, of_container, of_init_container
from workloads import DEPLOYMENTS, workload

HTTP = {"httpGet": {"port": 80}}
PORT_RANGE = "must be between 1 and 65535, inclusive"
ID_RANGE = "must be between 0 and 2147483647, inclusive"
NO_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


@pytest.mark.parametrize("field", ["livenessProbe", "readinessProbe", "startupProbe"])
@pytest.mark.parametrize(
    ("probe", "complaint"),
    [
        ({}, ": Required value: must specify a handler type"),
        ({"periodSeconds": 5}, ": Required value: must specify a handler type"),
        (
            {**HTTP, "tcpSocket": {"port": 80}},
            ".tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        ({"exec": {}}, ".exec.command: Required value"),
        ({"httpGet": {"path": "/"}}, f".httpGet.port: Invalid value: 0: {PORT_RANGE}"),
        ({"httpGet": {"port": 70000}}, f".httpGet.port: Invalid value: 70000: {PORT_RANGE}"),
        (
            {"httpGet": {"port": "the-web-interface"}},
            '.httpGet.port: Invalid value: "the-web-interface": must be no more than 15 bytes',
        ),
        (
            {"httpGet": {"port": 80, "scheme": "http"}},
            '.httpGet.scheme: Unsupported value: "http": supported values: "HTTP", "HTTPS"',
        ),
        (
            {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": "1"}]}},
            '.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of alphanumeric '
            "characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
        ),
        ({"tcpSocket": {"port": 0}}, f".tcpSocket.port: Invalid value: 0: {PORT_RANGE}"),
        ({"grpc": {"port": 65536}}, f".grpc.port: Invalid value: 65536: {PORT_RANGE}"),
        (
            {**HTTP, "initialDelaySeconds": -1},
            ".initialDelaySeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            {**HTTP, "timeoutSeconds": -1},
            ".timeoutSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            {**HTTP, "periodSeconds": -5},
            ".periodSeconds: Invalid value: -5: must be greater than or equal to 0",
        ),
        (
            {**HTTP, "failureThreshold": -1},
            ".failureThreshold: Invalid value: -1: must be greater than or equal to 0",
        ),
    ],
)
def test_probes(kube: Kube, field: str, probe: Object, complaint: str) -> None:
    assert complaints(kube, of_container(**{field: probe})) == [f"{WEB}.{field}{complaint}"]


@pytest.mark.parametrize("field", ["livenessProbe", "startupProbe"])
def test_one_success_is_enough_to_be_alive(kube: Kube, field: str) -> None:
    probe = {**HTTP, "successThreshold": 2}
    kube.create(PODS, of_container(readinessProbe=probe))
    at = f"{WEB}.{field}.successThreshold"
    assert complaints(kube, of_container(**{field: probe})) == [f"{at}: Invalid value: 2: must be 1"]


def test_who_is_not_ready_is_not_ended(kube: Kube) -> None:
    probe = {**HTTP, "terminationGracePeriodSeconds": 5}
    kube.create(PODS, of_container(livenessProbe=probe))
    assert complaints(kube, of_container(readinessProbe=probe)) == [
        f"{WEB}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: "
        "must not be set for readinessProbes"
    ]
    probe = {**HTTP, "terminationGracePeriodSeconds": 0}
    assert complaints(kube, of_container(livenessProbe=probe)) == [
        f"{WEB}.livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0"
    ]


@pytest.mark.parametrize("hook", ["postStart", "preStop"])
@pytest.mark.parametrize(
    ("handler", "complaint"),
    [
        ({}, ": Required value: must specify a handler type"),
        ({"exec": {"command": []}}, ".exec.command: Required value"),
        (
            {"exec": {"command": ["ls"]}, **HTTP},
            ".httpGet: Forbidden: may not specify more than 1 handler type",
        ),
        (
            {"sleep": {"seconds": 31}},
            ".sleep: Invalid value: 31: must be greater than 0 and less than terminationGracePeriodSeconds "
            "(30). Enable AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep.",
        ),
    ],
)
def test_hooks(kube: Kube, hook: str, handler: Object, complaint: str) -> None:
    wrong = of_container(lifecycle={hook: handler})
    assert complaints(kube, wrong) == [f"{WEB}.lifecycle.{hook}{complaint}"]


def test_init_containers_are_not_probed_unless_they_go_on(kube: Kube) -> None:
    fields = {"lifecycle": {"preStop": {"exec": {"command": ["ls"]}}}, "livenessProbe": HTTP}
    why = "Forbidden: may not be set for init containers without restartPolicy=Always"
    first = "spec.initContainers[0]"
    assert complaints(kube, of_init_container(**fields)) == [
        f"{first}.lifecycle: {why}",
        f"{first}.livenessProbe: {why}",
    ]
    kube.create(PODS, of_init_container(**fields, restartPolicy="Always"))
    assert complaints(kube, of_init_container(livenessProbe={}, restartPolicy="Always")) == [
        f"{first}.livenessProbe: Required value: must specify a handler type"
    ]


def test_only_init_containers_have_a_restart_policy_and_it_is_always(kube: Kube) -> None:
    assert complaints(kube, of_container(restartPolicy="Always")) == [
        f"{WEB}.restartPolicy: Forbidden: may not be set for non-init containers"
    ]
    assert complaints(kube, of_init_container(restartPolicy="Never")) == [
        'spec.initContainers[0].restartPolicy: Unsupported value: "Never": supported values: "Always"'
    ]


def test_defaults_of_probes_and_hooks(kube: Kube) -> None:
    hook = {"preStop": {"httpGet": {"port": 80}}}
    made = kube.create(PODS, of_container(lifecycle=hook, livenessProbe={"grpc": {"port": 80}}))
    container = made["spec"]["containers"][0]
    assert container["lifecycle"]["preStop"]["httpGet"] == {"path": "/", "port": 80, "scheme": "HTTP"}
    assert container["livenessProbe"]["grpc"] == {"port": 80, "service": ""}


@pytest.mark.parametrize(
    ("context", "complaint"),
    [
        ({"runAsUser": -1}, f".runAsUser: Invalid value: -1: {ID_RANGE}"),
        ({"runAsGroup": 2147483648}, f".runAsGroup: Invalid value: 2147483648: {ID_RANGE}"),
        (
            {"seccompProfile": {}},
            ".seccompProfile.type: Required value: type is required when seccompProfile is set",
        ),
        (
            {"seccompProfile": {"type": "Default"}},
            '.seccompProfile.type: Unsupported value: "Default": '
            'supported values: "Localhost", "RuntimeDefault", "Unconfined"',
        ),
        (
            {"seccompProfile": {"type": "Localhost"}},
            ".seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
        ),
        (
            {"seccompProfile": {"type": "Unconfined", "localhostProfile": "a"}},
            '.seccompProfile.localhostProfile: Invalid value: core.SeccompProfile{Type:"Unconfined", '
            "LocalhostProfile:(*string)(0xc000000000)}: can only be set when seccomp type is Localhost",
        ),
    ],
)
def test_security_contexts(kube: Kube, context: Object, complaint: str) -> None:
    found = complaints(kube, of_container(securityContext=context))
    assert found == [f"{WEB}.securityContext{complaint}"]
    found = complaints(kube, pod("a", securityContext=context))
    assert found == [f"spec.securityContext{complaint}"]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"securityContext": {"fsGroup": -1}}, f"fsGroup: Invalid value: -1: {ID_RANGE}"),
        (
            {"securityContext": {"supplementalGroups": [1, -2]}},
            f"supplementalGroups[1]: Invalid value: -2: {ID_RANGE}",
        ),
        (
            {"securityContext": {"fsGroupChangePolicy": "Never"}},
            'fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", "OnRootMismatch"',
        ),
        (
            {"securityContext": {"sysctls": [{"name": "Kernel", "value": "1"}]}},
            'sysctls[0].name: Invalid value: "Kernel": must have at most 253 characters and match regex '
            r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?",
        ),
        (
            {"shareProcessNamespace": True, "hostPID": True},
            "shareProcessNamespace: Invalid value: true: "
            "ShareProcessNamespace and HostPID cannot both be enabled",
        ),
    ],
)
def test_security_of_all_containers(kube: Kube, spec: Object, complaint: str) -> None:
    assert complaints(kube, pod("a", **spec)) == [f"spec.securityContext.{complaint}"]


def shown(*given: str) -> str:
    """A SecurityContext of which those fields are given, as Go prints it."""
    types = {
        "Capabilities": "core.Capabilities",
        "Privileged": "bool",
        "SELinuxOptions": "core.SELinuxOptions",
        "WindowsOptions": "core.WindowsSecurityContextOptions",
        "RunAsUser": "int64",
        "RunAsGroup": "int64",
        "RunAsNonRoot": "bool",
        "ReadOnlyRootFilesystem": "bool",
        "AllowPrivilegeEscalation": "bool",
        "ProcMount": "core.ProcMountType",
        "SeccompProfile": "core.SeccompProfile",
        "AppArmorProfile": "core.AppArmorProfile",
    }
    fields = [
        f"{name}:(*{type_})({'0xc000000000' if name in given else 'nil'})" for name, type_ in types.items()
    ]
    return f"core.SecurityContext{{{', '.join(fields)}}}"


def test_who_has_all_privileges_cannot_be_kept_from_more(kube: Kube) -> None:
    at, why = f"{WEB}.securityContext", "cannot set `allowPrivilegeEscalation` to false and"
    bound: Object = {"allowPrivilegeEscalation": False}
    found = complaints(kube, of_container(securityContext={**bound, "privileged": True}))
    value = shown("Privileged", "AllowPrivilegeEscalation")
    assert found == [f"{at}: Invalid value: {value}: {why} `privileged` to true"]

    capable = {**bound, "capabilities": {"add": ["NET_ADMIN", "CAP_SYS_ADMIN"]}}
    value = shown("Capabilities", "AllowPrivilegeEscalation")
    assert complaints(kube, of_container(securityContext=capable)) == [
        f"{at}: Invalid value: {value}: {why} `capabilities.Add` CAP_SYS_ADMIN"
    ]


@pytest.mark.parametrize(
    ("ports", "complaint"),
    [
        (
            [{"containerPort": 80, "name": "web"}, {"containerPort": 81, "name": "web"}],
            '[1].name: Duplicate value: "web"',
        ),
        (
            [{"containerPort": 80, "name": "web_ui"}],
            '[0].name: Invalid value: "web_ui": '
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (
            [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}],
            '[1].hostPort: Duplicate value: "TCP//80"',
        ),
    ],
)
def test_ports_next_to_each_other(kube: Kube, ports: list[Object], complaint: str) -> None:
    assert complaints(kube, of_container(ports=ports)) == [f"{WEB}.ports{complaint}"]


def test_containers_share_the_ports_of_their_host(kube: Kube) -> None:
    both = pod("a", ports=[{"containerPort": 80, "hostPort": 80}])
    both["spec"]["containers"].append({**both["spec"]["containers"][0], "name": "other"})
    assert complaints(kube, both) == ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80"']
    both["spec"]["initContainers"] = [both["spec"]["containers"].pop()]
    kube.create(PODS, both)


def test_in_the_network_of_its_host_a_containers_ports_are_the_hosts(kube: Kube) -> None:
    made = kube.create(PODS, pod("a", hostNetwork=True, ports=[{"containerPort": 80}]))
    assert made["spec"]["containers"][0]["ports"][0]["hostPort"] == 80

    ports = [{"containerPort": 80, "hostPort": 8080}]
    complaint = "hostPort: Invalid value: 8080: must match `containerPort` when `hostNetwork` is true"
    found = complaints(kube, pod("b", hostNetwork=True, ports=ports))
    assert found == [f"{WEB}.ports[0].{complaint}"]

    wrong = workload("Deployment")
    wrong["spec"]["template"]["spec"].update(hostNetwork=True)
    wrong["spec"]["template"]["spec"]["containers"][0]["ports"] = ports
    found = complaints(kube, wrong, DEPLOYMENTS)
    assert found == [f"spec.template.spec.containers[0].ports[0].{complaint}"]


def test_a_template_leaves_the_ports_of_the_host_to_its_pods(kube: Kube) -> None:
    made = workload("Deployment")
    made["spec"]["template"]["spec"].update(hostNetwork=True)
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    kept = kube.create(DEPLOYMENTS, made)["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert kept == [{"containerPort": 80, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"hostname": "Web"}, f'spec.hostname: Invalid value: "Web": {LABEL}'),
        ({"subdomain": "a.b"}, 'spec.subdomain: Invalid value: "a.b": must not contain dots'),
        (
            {"hostAliases": [{"hostnames": ["db"]}]},
            f'spec.hostAliases[0].ip: Invalid value: "": {NO_ADDRESS}',
        ),
        (
            {"dnsPolicy": "None"},
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        ),
        (
            {"dnsPolicy": "None", "dnsConfig": {"searches": ["acme.io"]}},
            "spec.dnsConfig.nameservers: Required value: "
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        ),
        (
            {"dnsConfig": {"nameservers": ["dns"]}},
            f'spec.dnsConfig.nameservers[0]: Invalid value: "dns": {NO_ADDRESS}',
        ),
        (
            {"dnsConfig": {"nameservers": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]}},
            "spec.dnsConfig.nameservers: Invalid value: "
            '[]string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}: must not have more than 3 nameservers',
        ),
        (
            {"dnsConfig": {"options": [{"value": "2"}]}},
            "spec.dnsConfig.options[0]: Required value: must not be empty",
        ),
    ],
)
def test_names(kube: Kube, spec: Object, complaint: str) -> None:
    assert complaints(kube, pod("a", **spec)) == [complaint]


@pytest.mark.parametrize(
    ("toleration", "complaint"),
    [
        ({"key": "a b", "operator": "Exists"}, f'key: Invalid value: "a b": {QUALIFIED}'),
        ({"key": "a", "value": "b c"}, 'operator: Invalid value: "b c": a valid label must be an empty'),
        ({"key": "a", "operator": "In"}, 'operator: Unsupported value: "In": supported values: "Equal", '),
        (
            {"effect": "NoSchedule"},
            'operator: Invalid value: "": operator must be Exists when `key` is empty, '
            'which means "match all values and all keys"',
        ),
        (
            {"key": "a", "tolerationSeconds": 5},
            "effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set",
        ),
    ],
)
def test_tolerations(kube: Kube, toleration: Object, complaint: str) -> None:
    (found,) = complaints(kube, pod("a", tolerations=[toleration]))
    assert found.startswith(f"spec.tolerations[0].{complaint}")


def test_conditions_and_nodes_have_names(kube: Kube) -> None:
    (found,) = complaints(kube, pod("a", readinessGates=[{"conditionType": "a b"}]))
    assert found.startswith(f'spec.readinessGates[0].conditionType: Invalid value: "a b": {QUALIFIED}')
    (found,) = complaints(kube, pod("a", nodeName="A"))
    assert found.startswith('spec.nodeName: Invalid value: "A": a lowercase RFC 1123 subdomain')


def test_negative_seconds_to_end_are_one(kube: Kube) -> None:
    kube.add_node("worker-1")
    kube.add_pod("a", terminationGracePeriodSeconds=-1)
    kube.advance(5)
    kube.merge(f"{PODS}/a", {"spec": {"terminationGracePeriodSeconds": 1}})
    refused = kube.refusal("PUT", f"{PODS}/a", {**kube.pod("a"), "spec": _lasting(kube, 2)})
    assert "pod updates may not change fields other than" in refused["message"]
    kube.add_pod("b", terminationGracePeriodSeconds=-1)
    kube.advance(5)
    assert kube.delete(f"{PODS}/b")["metadata"]["deletionGracePeriodSeconds"] == 1


def _lasting(kube: Kube, seconds: int) -> Object:
    return {**kube.pod("a")["spec"], "terminationGracePeriodSeconds": seconds}


def test_the_last_words_of_a_container(kube: Kube) -> None:
    assert complaints(kube, of_container(terminationMessagePolicy="Log")) == [
        f'{WEB}.terminationMessagePolicy: Unsupported value: "Log": '
        'supported values: "File", "FallbackToLogsOnError"'
    ]


def test_a_template_is_checked_like_a_pod(kube: Kube) -> None:
    wrong = workload("Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = {"periodSeconds": -1}
    at = "spec.template.spec.containers[0].livenessProbe"
    assert complaints(kube, wrong, DEPLOYMENTS) == [
        f"{at}: Required value: must specify a handler type",
        f"{at}.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
    ]
