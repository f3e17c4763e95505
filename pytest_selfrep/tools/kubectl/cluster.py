"""Server and session: ``api-resources``, ``api-versions``, ``version``, ``cluster-info``, ``config``."""

from __future__ import annotations

from pytest_selfrep.clusters.kube import KubeObject
from pytest_selfrep.tools.kubectl import flags as f
from pytest_selfrep.tools.kubectl import yamlout
from pytest_selfrep.tools.kubectl.command import Command, Verb
from pytest_selfrep.tools.kubectl.errors import fault
from pytest_selfrep.tools.kubectl.output import to_json
from pytest_selfrep.tools.kubectl.text import table

CLIENT_VERSION = "v1.32.4"
SERVER = "https://kubernetes.default.svc"
"""The API server's address inside any cluster."""


def api_resources(command: Command) -> None:
    if command.arguments:
        raise command.usage(f"unexpected arguments: {command.arguments}")
    output = command.text("output")
    if output not in ("", "wide", "name"):
        raise fault(f"--output {output} is not available")
    kinds = list(command.discovery.served())
    if command.given("namespaced"):
        kinds = [kind for kind in kinds if kind.namespaced == command.switched("namespaced")]
    if command.given("api-group"):
        kinds = [kind for kind in kinds if kind.group == command.text("api-group")]
    if command.given("verbs"):
        kinds = [kind for kind in kinds if set(command.listed("verbs")) <= set(kind.verbs)]
    kinds.sort(key=lambda kind: (kind.group, kind.plural))
    if command.given("sort-by"):
        if command.text("sort-by") not in ("name", "kind"):
            raise fault("--sort-by accepts only name or kind")
        kinds.sort(key=lambda kind: kind.plural if command.text("sort-by") == "name" else kind.kind)
    if output == "name":
        command.write("".join(f"{kind.resource}\n" for kind in kinds))
        return
    header = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]
    rows = [
        [kind.plural, ",".join(kind.short), kind.api_version, str(kind.namespaced).lower(), kind.kind]
        for kind in kinds
    ]
    if output == "wide":
        header += ["VERBS", "CATEGORIES"]
        for row, kind in zip(rows, kinds, strict=True):
            row += [",".join(sorted(kind.verbs)), ",".join(kind.categories)]
    command.write(table(rows if command.switched("no-headers") else [header, *rows]))


def api_versions(command: Command) -> None:
    command.write("".join(f"{version}\n" for version in command.discovery.group_versions()))


def version(command: Command) -> None:
    client: KubeObject = {
        "gitVersion": CLIENT_VERSION,
        "major": "1",
        "minor": "32",
        "platform": "linux/amd64",
    }
    info: KubeObject = {"clientVersion": client, "kustomizeVersion": "v5.5.0"}
    lines = [f"Client Version: {CLIENT_VERSION}", "Kustomize Version: v5.5.0"]
    if not command.switched("client"):
        info["serverVersion"] = command.client.get("/version")
        lines.append(f"Server Version: {info['serverVersion']['gitVersion']}")
    output = command.text("output")
    if output == "json":
        command.write(to_json(info).replace("    ", "  "))
    elif output == "yaml":
        command.write(yamlout.dump(info) + "\n")
    elif output:
        raise fault("--output must be 'yaml' or 'json'")
    else:
        command.write("\n".join(lines) + "\n")


def cluster_info(command: Command) -> None:
    command.write(
        f"Kubernetes control plane is running at {SERVER}\n\n"
        "To further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n"
    )


def _config(command: Command) -> KubeObject:
    """The kubeconfig of the session, without what is secret in it."""
    user = command.hands.service_account.rpartition(":")[2]
    context = {"cluster": "kubernetes", "namespace": command.hands.namespace, "user": user}
    return {
        "apiVersion": "v1",
        "clusters": [
            {
                "cluster": {"certificate-authority-data": "DATA+OMITTED", "server": SERVER},
                "name": "kubernetes",
            }
        ],
        "contexts": [{"context": context, "name": f"{user}@kubernetes"}],
        "current-context": f"{user}@kubernetes",
        "kind": "Config",
        "preferences": {},
        "users": [{"name": user, "user": {"token": "REDACTED"}}],
    }


def config_view(command: Command) -> None:
    output = command.text("output", "yaml")
    if output not in ("yaml", "json"):
        raise fault(
            f'unable to match a printer suitable for the output format "{output}", '
            "allowed formats are: json,yaml"
        )
    command.write(yamlout.dump(_config(command)) if output == "yaml" else to_json(_config(command)))


def current_context(command: Command) -> None:
    command.say(_config(command)["current-context"])


def get_contexts(command: Command) -> None:
    config = _config(command)
    context = config["contexts"][0]
    if command.text("output") == "name":
        command.say(context["name"])
        return
    row = ["*", context["name"], *(context["context"][key] for key in ("cluster", "user", "namespace"))]
    header = ["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"]
    command.write(table([row] if command.switched("no-headers") else [header, row]))


VERBS = (
    Verb(
        "api-resources",
        api_resources,
        (
            f.OUTPUT,
            f.NO_HEADERS,
            f.Flag("namespaced", f.BOOL),
            f.Flag("api-group", f.TEXT),
            f.Flag("verbs", f.LIST),
            f.Flag("sort-by", f.TEXT),
        ),
        "api-resources [flags] [options]",
        "Print the supported API resources on the server",
    ),
    Verb(
        "api-versions",
        api_versions,
        (),
        "api-versions",
        'Print the supported API versions on the server, in the form of "group/version"',
    ),
    Verb(
        "version",
        version,
        (f.OUTPUT, f.Flag("client", f.BOOL)),
        "version [flags] [options]",
        "Print the client and server version information",
    ),
    Verb("cluster-info", cluster_info, (), "cluster-info [options]", "Display cluster information"),
    Verb(
        "config view",
        config_view,
        (f.OUTPUT, f.Flag("minify", f.BOOL)),
        "config view [options]",
        "Display merged kubeconfig settings",
    ),
    Verb(
        "config current-context", current_context, (), "config current-context", "Display the current-context"
    ),
    Verb(
        "config get-contexts",
        get_contexts,
        (f.OUTPUT, f.NO_HEADERS),
        "config get-contexts [options]",
        "Describe one or many contexts",
    ),
)
