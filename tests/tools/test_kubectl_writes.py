"""Commands that change objects: what they print, and what is there afterwards."""

from __future__ import annotations

import pytest
from tools_driver import Terminal

FORCE = (
    "Warning: Immediate deletion does not wait for confirmation that the running resource has been "
    "terminated. "
    "The resource may continue to run on the cluster indefinitely.\n"
)
NOTHING_NAMED = (
    "error: You must provide one or more resources by argument or filename.\nExample resource specifications "
    "include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'\n"
)


@pytest.mark.parametrize(
    ("command", "expected", "look", "seen"),
    [
        ("scale deploy web --replicas=3", "deployment.apps/web scaled\n", "{.spec.replicas}", "3"),
        (
            "scale deploy/web --replicas=3 --current-replicas=2",
            "deployment.apps/web scaled\n",
            "{.spec.replicas}",
            "3",
        ),
        ("scale deploy --all --replicas=0", "deployment.apps/web scaled\n", "{.spec.replicas}", "0"),
        (
            "scale deploy web --replicas=3 --dry-run=client",
            "deployment.apps/web scaled (dry run)\n",
            "{.spec.replicas}",
            "2",
        ),
        (
            "scale deploy web --replicas=3 --dry-run=server",
            "deployment.apps/web scaled (server dry run)\n",
            "{.spec.replicas}",
            "2",
        ),
        ("scale deploy web --replicas=3 -o name", "deployment.apps/web\n", "{.spec.replicas}", "3"),
        (
            'patch deploy web -p \'{"spec":{"replicas":4}}\'',
            "deployment.apps/web patched\n",
            "{.spec.replicas}",
            "4",
        ),
        (
            "patch deploy web -p 'spec: {replicas: 4}'",
            "deployment.apps/web patched\n",
            "{.spec.replicas}",
            "4",
        ),
        (
            'patch deploy web --type=merge -p \'{"spec":{"replicas":2}}\'',
            "deployment.apps/web patched (no change)\n",
            "{.spec.replicas}",
            "2",
        ),
        (
            'patch deploy web --type=json -p \'[{"op":"replace","path":"/spec/replicas","value":1}]\'',
            "deployment.apps/web patched\n",
            "{.spec.replicas}",
            "1",
        ),
        ("label deploy web tier=front", "deployment.apps/web labeled\n", "{.metadata.labels.tier}", "front"),
        (
            "label deploy web app=shop --overwrite",
            "deployment.apps/web labeled\n",
            "{.metadata.labels.app}",
            "shop",
        ),
        ("label deploy web app=web", "deployment.apps/web not labeled\n", "{.metadata.labels.app}", "web"),
        ("label deploy web app-", "deployment.apps/web unlabeled\n", "{.metadata.labels.app}", ""),
        (
            "label deploy web nope-",
            'label "nope" not found.\ndeployment.apps/web not labeled\n',
            "{.metadata.labels.nope}",
            "",
        ),
        (
            "annotate deploy web note=x",
            "deployment.apps/web annotated\n",
            "{.metadata.annotations.note}",
            "x",
        ),
        (
            "set image deploy/web web=registry.local/web:2",
            "deployment.apps/web image updated\n",
            "{..image}",
            "registry.local/web:2",
        ),
        ("set image deploy/web web=registry.local/web:1", "", "{..image}", "registry.local/web:1"),
        (
            "set resources deploy web --limits=cpu=200m --requests=cpu=100m",
            "deployment.apps/web resource requirements updated\n",
            "{..resources}",
            '{"limits":{"cpu":"200m"},"requests":{"cpu":"100m"}}',
        ),
        (
            "set sa deploy/web default",
            "deployment.apps/web serviceaccount updated\n",
            "{..serviceAccountName}",
            "default",
        ),
        ("set env deploy/web A=b", "deployment.apps/web env updated\n", "{..env[*].value}", "b"),
        (
            "autoscale deploy web --min=1 --max=4 --cpu-percent=80",
            "horizontalpodautoscaler.autoscaling/web autoscaled\n",
            "{.spec.replicas}",
            "2",
        ),
        ("expose deploy web --port=80 --target-port=8080", "service/web exposed\n", "{.spec.replicas}", "2"),
        (
            "delete deploy web --dry-run=client",
            'deployment.apps "web" deleted (dry run)\n',
            "{.spec.replicas}",
            "2",
        ),
        (
            "delete deploy web --dry-run=server",
            'deployment.apps "web" deleted (server dry run)\n',
            "{.spec.replicas}",
            "2",
        ),
    ],
)
def test_what_is_said_and_done(kubectl: Terminal, command: str, expected: str, look: str, seen: str) -> None:
    assert kubectl(command) == expected
    assert kubectl(f"get deploy web -o jsonpath='{look}'") == seen


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "scale deploy web --replicas=-1",
            "error: The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0\n",
        ),
        ("scale deploy web --replicas=2 --current-replicas=9", "error: Expected replicas to be 9, was 2\n"),
        ("scale deploy --replicas=2", "error: resource(s) were provided, but no name was specified\n"),
        (
            "scale deploy nope --replicas=2",
            'error: no objects passed to scale deployments.apps "nope" not found\n',
        ),
        (
            "scale deploy/web deploy/nope --replicas=2",
            'deployment.apps/web scaled\nError from server (NotFound): deployments.apps "nope" not found\n',
        ),
        (
            "autoscale deploy web --min=5 --max=4",
            "error: --max=MAXPODS must be larger or equal to --min=MINPODS, max: 4, min: 5\n",
        ),
        ("scale deploy -l a=b --replicas=2", "error: no objects passed to scale\n"),
        (
            "scale rs,deploy nope --replicas=2",
            'error: no objects passed to scale [replicasets.apps "nope" not found, '
            'deployments.apps "nope" not found]\n',
        ),
        (
            "autoscale cm kube-root-ca.crt --max=3 -n kube-system",
            "error: cannot autoscale a ConfigMap: could not find scale subresource for "
            "/v1, Resource=configmaps in discovery information\n",
        ),
        (
            "rollout status sa/default",
            "error: no status viewer has been implemented for ServiceAccount\n",
        ),
        (
            "rollout undo sa/default",
            'error: error retrieving rollbacker for "ServiceAccount", no visitor method exists for '
            "{ ServiceAccount}\n",
        ),
        (
            "rollout history sa/default",
            'error: error retrieving history for "ServiceAccount", no visitor method exists for '
            "{ ServiceAccount}\n",
        ),
        ("autoscale deploy web", 'error: required flag(s) "max" not set\n'),
        (
            "patch deploy web",
            "error: must specify --patch or --patch-file containing the contents of the patch\n",
        ),
        (
            "patch deploy web --type=foo -p {}",
            'error: --type must be one of [json merge strategic], not "foo"\n',
        ),
        (
            "patch deploy web -p nonsense",
            "Error from server (BadRequest): json: cannot unmarshal string into Go value of type "
            "map[string]interface {}\n",
        ),
        (
            "patch deploy web --type=json -p {}",
            "Error from server (BadRequest): error decoding patch: json: cannot unmarshal object into "
            "Go value of type []handlers.jsonPatchOp\n",
        ),
        (
            "patch deploy web --type=json -p nonsense",
            "Error from server (BadRequest): error decoding patch: json: cannot unmarshal string into "
            "Go value of type []handlers.jsonPatchOp\n",
        ),
        (
            "patch deploy web -p '{\"spec\":'",
            "Error from server (BadRequest): unexpected end of JSON input\n",
        ),
        (
            "patch deploy web -p '{\"spec\":}'",
            "Error from server (BadRequest): invalid character '}' looking for beginning of value\n",
        ),
        (
            "patch deploy web -p 'spec: [a'",
            "error: unable to parse \"spec: [a\": yaml: line 1: did not find expected ',' or ']'\n",
        ),
        ("patch deploy nope -p {}", 'Error from server (NotFound): deployments.apps "nope" not found\n'),
        ("label deploy web app=shop", "error: 'app' already has a value (web), and --overwrite is false\n"),
        (
            "label deploy web a=b_",
            'error: invalid label value: "a=b_": a valid label must be an empty string or consist of '
            "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
            "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
            "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')\n",
        ),
        (
            f"label deploy web a={'b' * 64}",
            f'error: invalid label value: "a={"b" * 64}": must be no more than 63 bytes\n',
        ),
        ("label deploy web", "error: at least one label update is required\n"),
        (
            "label",
            "error: one or more resources must be specified as <resource> <name> or <resource>/<name>\n",
        ),
        ("annotate pods x", "error: at least one annotation update is required\n"),
        ("set image deploy/web nope=x", 'error: unable to find container named "nope"\n'),
        ("set image deploy/web", "error: at least one image update is required\n"),
        ("set image web=x", NOTHING_NAMED),
        (
            "set resources deploy web",
            "error: you must specify an update to requests or limits (in the form of --requests/--limits)\n",
        ),
        (
            "set resources deploy web --limits=cpu",
            "error: Invalid argument syntax cpu, expected <resource>=<value>\n",
        ),
        (
            "set resources deploy web --limits=cpu=foo",
            "error: quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'\n",
        ),
        ("set serviceaccount deploy/web", NOTHING_NAMED),
        ("set serviceaccount", "error: serviceaccount is required\n"),
        (
            "set sa sa/default bot",
            "error: serviceaccounts/default the object is not a pod or does not have a pod template: "
            "*v1.ServiceAccount\n",
        ),
        (
            "expose deploy web --port=80 --protocol=foo",
            'The Service "web" is invalid: spec.ports[0].protocol: Unsupported value: "foo": '
            'supported values: "SCTP", "TCP", "UDP"\n',
        ),
        ("expose deploy web", "error: couldn't find port via --port flag or introspection\n"),
        ("expose deploy nope --port=80", 'Error from server (NotFound): deployments.apps "nope" not found\n'),
        ("delete", NOTHING_NAMED),
        ("delete pods", "error: resource(s) were provided, but no name was specified\n"),
        ("delete pod nope", 'Error from server (NotFound): pods "nope" not found\n'),
        ("delete pod nope --ignore-not-found", ""),
        ("delete foo x", 'error: the server doesn\'t have a resource type "foo"\n'),
        ("delete pods -l nope=1", "No resources found\n"),
        ("delete cm x --all", "error: name cannot be provided when a selector is specified\n"),
        ("delete pods --all -l a=b", "error: setting 'all' parameter but found a non empty selector. \n"),
        (
            "delete pod x --now --grace-period=3",
            "error: --now and --grace-period cannot be specified together\n",
        ),
        (
            "delete deploy web --cascade=foo",
            'error: invalid cascade value (foo). Must be "background", "foreground", or "orphan"\n',
        ),
        (
            "scale deploy web --replicas=1 --dry-run=maybe",
            'error: Invalid dry-run value (maybe). Must be "none", "server", or "client".\n',
        ),
    ],
)
def test_errors_word_for_word(kubectl: Terminal, command: str, expected: str) -> None:
    assert kubectl(command) == expected


def test_an_annotation_that_is_there_needs_overwrite(kubectl: Terminal) -> None:
    kubectl("annotate deploy web note=hello")
    assert kubectl("annotate deploy web note=bye") == (
        "error: --overwrite is false but found the following declared annotation(s): 'note' already has a "
        "value "
        "(hello)\n"
    )
    assert kubectl("annotate deploy web note-") == "deployment.apps/web annotated\n"


def test_labels_and_variables_can_be_listed(kubectl: Terminal) -> None:
    kubectl("label deploy web tier=front")
    assert kubectl("label deploy web --list") == "app=web\ntier=front\n"
    kubectl("set env deploy/web A=b C=d")
    kubectl("set env deploy/web A-")
    assert kubectl("set env deploy/web --list") == "# Deployment web, container web\nC=d\n"


def test_deleting_waits_until_the_object_is_gone(kubectl: Terminal) -> None:
    pod = kubectl("get pods -o jsonpath='{.items[0].metadata.name}'")
    before = kubectl.hands.clock.now()
    assert kubectl(f"delete pod {pod}") == f'pod "{pod}" deleted\n'
    assert kubectl(f"get pod {pod}") == f'Error from server (NotFound): pods "{pod}" not found\n'
    assert kubectl.hands.clock.now() > before


def test_deleting_need_not_wait(kubectl: Terminal) -> None:
    before = kubectl.hands.clock.now()
    kubectl("delete pods --all --wait=false")
    assert kubectl.hands.clock.now() == before
    assert "Terminating" in kubectl("get pods")


def test_deleting_by_force_warns_first(kubectl: Terminal) -> None:
    pod = kubectl("get pods -o jsonpath='{.items[0].metadata.name}'")
    assert kubectl(f"delete pod {pod} --grace-period=0 --force") == f'{FORCE}pod "{pod}" force deleted\n'
    assert (
        kubectl("delete pod nope --force") == f'{FORCE}Error from server (NotFound): pods "nope" not found\n'
    )


def test_orphans_stay(kubectl: Terminal) -> None:
    assert kubectl("delete deploy web --cascade=orphan") == 'deployment.apps "web" deleted\n'
    kubectl.let_pass(30)
    assert kubectl("get rs,pods --no-headers").count("\n") == 4


def test_several_at_once(kubectl: Terminal) -> None:
    kubectl("create configmap a --from-literal=x=1")
    kubectl("create secret generic b --from-literal=x=1")
    assert kubectl("delete cm/a secret/b cm/nope") == (
        'configmap "a" deleted\nsecret "b" deleted\nError from server (NotFound): configmaps "nope" not '
        "found\n"
    )


def test_what_rbac_refuses_to_change(agent: Terminal) -> None:
    assert agent("scale deploy web --replicas=3") == "deployment.apps/web scaled\n"
    assert agent("delete deploy web") == (
        'Error from server (Forbidden): deployments.apps "web" is forbidden: User '
        '"system:serviceaccount:shop:agent" cannot delete resource "deployments" in API group "apps" in the '
        'namespace "shop"\n'
    )


@pytest.mark.parametrize(
    "command",
    [
        "set image deploy web *=registry.acme.io/web:9",
        "set resources deploy web --requests=cpu=150m --limits=memory=1Gi",
        "set env deploy web A=1 B=2",
        "set env deploy web MODE-",
        "set serviceaccount deploy web robot",
    ],
)
def test_what_set_would_do_is_the_same_on_either_side(kubectl: Terminal, command: str) -> None:
    kubectl("set env deploy web MODE=fast")
    pods = "-o jsonpath={.spec.template.spec.containers}{.spec.template.spec.serviceAccountName}"
    before = kubectl(f"get deploy web {pods}")

    here, there = (kubectl(f"{command} --dry-run={side} {pods}") for side in ("client", "server"))

    assert here == there
    assert here != before == kubectl(f"get deploy web {pods}")
