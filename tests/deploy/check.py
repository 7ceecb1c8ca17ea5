"""Whether deploy/ is right, as far as that can be seen without applying it.

The schemas of Kubernetes come with the package kubernetes-validate; compose-spec.json beside this file is that of the Compose
Specification (github.com/compose-spec/compose-spec, schema/compose-spec.json, Apache License 2.0).
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy/kubernetes"
COMPOSE = ROOT / "deploy/compose.yaml"
# The oldest that is still to be found, and the newest that is known.
VERSIONS = ["1.29", "1.37"]
# The waits of a stop that have pitaya.limits.shutdown.timeout each (App::shutdown), and the seconds of those that have not.
WAITS, MORE = 7, 2

problems = []


class Strict(yaml.SafeLoader):
    """YAML in which a key may stand once."""

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for name in {name for name in names if names.count(name) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"`{name}` stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def hold(condition, where, what):
    if not condition:
        problems.append(f"{where}: {what}")


def seconds(text):
    found = re.fullmatch(r"(\d+)(ms|s|m|h)", text)
    if not found:
        sys.exit(f"`{text}` is not a duration")
    return int(found[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[found[2]]


def stop(told):
    """How long an orderly stop takes at most, without modules."""
    return WAITS * seconds(told["PITAYA_LIMITS_SHUTDOWN_TIMEOUT"]) + MORE


def keys_of_the_config():
    """Each variable of docs/config.md, with its default."""
    row = re.compile(r"^\| `pitaya\.[a-z.]+` \| `(PITAYA_[A-Z_]+)` \| [^|]* \| (?:`([^`]*)`|empty) \|", re.M)
    return dict(row.findall((ROOT / "docs/config.md").read_text()))


def variables(where, values, known):
    for name in values:
        hold(not name.startswith("PITAYA_") or name in known, where, f"{name} is not a variable of docs/config.md")
        hold(isinstance(values[name], str), where, f"{name} has to be a text, in quotes")


def schemas(resources):
    for where, resource in resources:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(resource, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                at = ".".join(map(str, error.path)) or "the whole"
                problems.append(f"{where} (Kubernetes {version}): {at}: {error.message}")
            except kubernetes_validate.SchemaNotFoundError as error:
                problems.append(f"{where}: {error.message}")


def of_kind(resources, *kinds):
    return [(where, resource) for where, resource in resources if resource["kind"] in kinds]


def matches(selector, labels):
    return all(labels.get(name) == value for name, value in selector.items())


def pods(resources):
    for where, workload in of_kind(resources, "Deployment", "StatefulSet"):
        template = workload["spec"]["template"]
        labels = template["metadata"]["labels"]
        hold(matches(workload["spec"]["selector"]["matchLabels"], labels), where, "it does not select its own pods")
        yield where, template


def references(resources, settings, secrets):
    """What one manifest says of another."""
    all_pods = list(pods(resources))
    for where, resource in of_kind(resources, "Service"):
        chosen = [t for _, t in all_pods if matches(resource["spec"]["selector"], t["metadata"]["labels"])]
        hold(chosen, where, "the Service selects no pod")
        for template in chosen:
            ports = {port["name"] for container in template["spec"]["containers"] for port in container["ports"]}
            for port in resource["spec"]["ports"]:
                hold(port["targetPort"] in ports, where, f"no container has the port {port['targetPort']}")
    for where, budget in of_kind(resources, "PodDisruptionBudget"):
        selector = budget["spec"]["selector"]["matchLabels"]
        hold(any(matches(selector, t["metadata"]["labels"]) for _, t in all_pods), where, "the budget is nobody's")
    for where, template in all_pods:
        secure(where, template["spec"])
        for container in template["spec"]["containers"]:
            ports = {port["name"] for port in container["ports"]}
            probes = [container.get(probe) for probe in ("livenessProbe", "readinessProbe", "startupProbe")]
            asked = [probe for probe in probes if probe] + [container.get("lifecycle", {}).get("preStop")]
            for probe in filter(None, asked):
                hold(probe["httpGet"]["port"] in ports, where, f"no port {probe['httpGet']['port']} to be probed")
            for source in container.get("envFrom", []):
                if "secretRef" in source:
                    hold(source["secretRef"]["name"] in secrets, where, "deploy/secrets makes no such Secret")
                else:
                    hold(source["configMapRef"]["name"] in settings, where, "there is no such ConfigMap")
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            for volume in template["spec"].get("volumes", []):
                if "secret" in volume and volume["name"] in mounted:
                    files = secrets.get(volume["secret"]["secretName"], {})
                    words = json.dumps(container.get("command", []) + container.get("args", []))
                    told = {name: value for values in settings.values() for name, value in values.items()}
                    words += json.dumps(told) if container["image"] == "pitaya-cluster" else ""
                    for name in re.findall(r"/secrets/([\w.]+)", words):
                        hold(name in files, where, f"the Secret of deploy/secrets has no {name}")


def secure(where, spec):
    pod = spec.get("securityContext", {})
    hold(pod.get("runAsNonRoot") and pod.get("runAsUser"), where, "it may run as root")
    for container in spec["containers"]:
        own = container.get("securityContext", {})
        hold(own.get("readOnlyRootFilesystem"), where, "its file system can be written")
        hold(own.get("allowPrivilegeEscalation") is False, where, "it may gain privileges")
        hold(own.get("capabilities", {}).get("drop") == ["ALL"], where, "it keeps capabilities")
        hold(container.get("resources", {}).get("limits", {}).get("memory"), where, "its memory has no limit")


def edge(where, told, set_here):
    """What the limits of `Config::edge()` ask of the surroundings."""
    host = told["PITAYA_METRICS_PROMETHEUS_HOST"]
    hold(host == "0.0.0.0", where, f"nobody reaches the admin port on {host}")
    limit = set_here.get("PITAYA_LIMITS_CONNECTIONS_PERADDRESS", "0")
    hold(int(limit) > 0, where, "PITAYA_LIMITS_CONNECTIONS_PERADDRESS is not set")


def servers(resources, settings, known):
    """What our own servers need."""
    for where, template in pods(resources):
        for container in template["spec"]["containers"]:
            if container["image"] != "pitaya-cluster":
                continue
            ours = {}
            for source in container["envFrom"]:
                if "secretRef" in source:
                    continue
                ours.update(settings.get(source["configMapRef"]["name"], {}))
            # In place of the default: the program starts from the limits of the edge.
            told = {**known, "PITAYA_METRICS_PROMETHEUS_HOST": "127.0.0.1", **ours}
            edge(where, told, ours)
            port = next((port for port in container["ports"] if port["name"] == "admin"), {})
            hold(str(port.get("containerPort")) == told["PITAYA_METRICS_PROMETHEUS_PORT"], where, "the admin port")
            hold(told["PITAYA_HEALTH_ENABLED"] == "true", where, "probes without PITAYA_HEALTH_ENABLED")
            hold(told["PITAYA_HEALTH_PRESTOP_ENABLED"] == "true", where, "a hook without PITAYA_HEALTH_PRESTOP_ENABLED")
            for probe, path in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
                hold(container[probe]["httpGet"]["path"] == path, where, f"the {probe} has to ask {path}")
            hold(container["lifecycle"]["preStop"]["httpGet"]["path"] == "/pre-stop", where, "the hook has to ask /pre-stop")
            need = (
                seconds(told["PITAYA_HEALTH_PRESTOP_DELAY"])
                + seconds(told["PITAYA_SESSION_DRAIN_TIMEOUT"])
                + stop(told)
            )
            grace = template["spec"].get("terminationGracePeriodSeconds", 30)
            hold(grace >= need, where, f"terminationGracePeriodSeconds is {grace}, a drain and a stop take up to {need:.0f}")
            scraped = template["metadata"]["annotations"]["prometheus.io/port"]
            hold(scraped == told["PITAYA_METRICS_PROMETHEUS_PORT"], where, "Prometheus is sent to another port")


def kubernetes(known):
    files = sorted(path for path in MANIFESTS.glob("*.yaml") if path.name != "kustomization.yaml")
    listed = yaml.load((MANIFESTS / "kustomization.yaml").read_text(), Strict)["resources"]
    names = {path.name for path in files}
    hold(set(listed) == names, "kustomization.yaml", f"it lists {sorted(listed)}, there are {sorted(names)}")
    resources = []
    for path in files:
        for resource in yaml.load_all(path.read_text(), Strict):
            resources.append((f"{path.name}, {resource['kind']} {resource['metadata']['name']}", resource))
    schemas(resources)
    if problems:
        return len(resources)
    for where, resource in resources:
        namespace = resource["metadata"].get("namespace")
        hold(resource["kind"] == "Namespace" or namespace == "pitaya", where, "it is in another namespace")
    settings = {resource["metadata"]["name"]: resource["data"] for _, resource in of_kind(resources, "ConfigMap")}
    for name, values in settings.items():
        variables(f"ConfigMap {name}", values, known)
    references(resources, settings, made_secrets())
    servers(resources, settings, known)
    return len(resources)


def made_secrets():
    """What deploy/secrets makes for Kubernetes, checked against its schema: the names in each Secret."""
    with tempfile.TemporaryDirectory() as folder:
        told = {"env": {**os.environ, "PITAYA_SECRETS": folder}, "check": True, "stdout": subprocess.PIPE}
        subprocess.run([ROOT / "deploy/secrets"], **told)
        made = subprocess.run([ROOT / "deploy/secrets", "--kubernetes"], **told)
    resources = [(f"Secret {r['metadata']['name']}", r) for r in yaml.load_all(made.stdout, Strict)]
    schemas(resources)
    return {r["metadata"]["name"]: {**r.get("data", {}), **r.get("stringData", {})} for _, r in resources}


def compose(known):
    document = yaml.load(COMPOSE.read_text(), Strict)
    schema = json.loads((ROOT / "tests/deploy/compose-spec.json").read_text())
    for error in jsonschema.Draft7Validator(schema).iter_errors(document):
        problems.append(f"compose.yaml: {'.'.join(map(str, error.path)) or 'the whole'}: {error.message}")
    services = document["services"]
    for name, service in services.items():
        where = f"compose.yaml, {name}"
        for other in service.get("depends_on", {}):
            hold(other in services and "healthcheck" in services[other], where, f"`{other}` has no health to wait for")
        if service["image"] == "pitaya-cluster":
            told = {**known, "PITAYA_METRICS_PROMETHEUS_HOST": "127.0.0.1", **service["environment"]}
            edge(where, told, service["environment"])
            variables(where, service["environment"], known)
            need = seconds(told["PITAYA_SESSION_DRAIN_TIMEOUT"]) + stop(told)
            grace = seconds(service["stop_grace_period"])
            hold(grace >= need, where, f"stop_grace_period is {grace} s, a drain and a stop take up to {need:.0f} s")
            build = service["build"]
            hold((COMPOSE.parent / build["context"] / build["dockerfile"]).is_file(), where, "there is no such Dockerfile")
    return len(services)


known = keys_of_the_config()
manifests, services = kubernetes(known), compose(known)
for problem in problems:
    print(problem)
print(f"{manifests} manifests for Kubernetes {' and '.join(VERSIONS)}, {services} services: {len(problems)} problems")
sys.exit(bool(problems))
