"""kustomize/ built by kustomize itself and checked offline: schemas, the services' own settings, who reaches whom."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs]  # has none
import pytest
import yaml

from bot.settings import BotSettings
from bridge.settings import BridgeSettings
from logsvc.settings import LogsvcSettings
from tests.eventually import READY_SECONDS
from tests.tools import tool
from tocsin.doctor.consul import LOOKED_UP
from tocsin.settings import Settings, read

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, type[Settings]] = {"bridge": BridgeSettings, "logsvc": LogsvcSettings, "bot": BotSettings}
NAME = "app.kubernetes.io/name"
OWN_KINDS = {"ServiceMonitor"}
"""Of Prometheus Operator: their schemas are not Kubernetes' own."""

Resource = dict[str, Any]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of secret files, as envs/secrets.sh makes it, and the optional ones."""
    folder = tmp_path_factory.mktemp("secrets")
    making = {"PATH": os.environ["PATH"], "TOCSIN_SECRETS": str(folder), "TELEGRAM_BOT_TOKEN": "1:x"}
    subprocess.run(["sh", str(ROOT / "envs" / "secrets.sh")], env=making, check=True, capture_output=True)
    (folder / "redis_actions_url").write_text("redis://tocsin-actions:x@valkey:6379/0")
    (folder / "kafka_sasl_password").write_text("x")
    (folder / "kafka_ca.pem").write_text("")
    return folder


@pytest.fixture(scope="module", params=["local", "production"])
def resources(
    request: pytest.FixtureRequest, secrets: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Resource]:
    """What `kustomize build` of an overlay gives."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "kustomize", tree / "kustomize", ignore=shutil.ignore_patterns("secrets"))
    shutil.copytree(ROOT / "proxy", tree / "proxy")
    shutil.copytree(secrets, tree / "kustomize" / "overlays" / "local" / "secrets")
    argv = [tool("kustomize"), "build", str(tree / "kustomize" / "overlays" / request.param)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=READY_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(resources: list[Resource], *kinds: str) -> dict[str, Resource]:
    return {one["metadata"]["name"]: one for one in resources if one["kind"] in kinds}


def workloads(resources: list[Resource]) -> dict[str, Resource]:
    return of_kind(resources, "Deployment", "StatefulSet")


def containers(resources: list[Resource]) -> Iterator[tuple[str, Resource, Resource]]:
    """Name, pod and container of each workload."""
    for name, workload in workloads(resources).items():
        pod = workload["spec"]["template"]["spec"]
        for container in pod["containers"]:
            yield name, pod, container


def test_kubernetes_knows_every_field(resources: list[Resource]) -> None:
    for one in resources:
        if one["kind"] not in OWN_KINDS:
            kubernetes_validate.validate(one, "1.34", strict=True)


def test_a_wrong_field_would_be_noticed(resources: list[Resource]) -> None:
    broken = workloads(resources)["bridge"] | {"spec": {"replicas": "two"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.34", strict=True)


def test_each_service_starts_with_the_settings_it_is_given(resources: list[Resource], secrets: Path) -> None:
    values = next(one["data"] for name, one in of_kind(resources, "ConfigMap").items() if name.startswith("tocsin-"))
    for name, pod, container in containers(resources):
        if name not in SERVICES:
            continue
        files = mounted_files(pod, container)
        environ: dict[str, str] = dict(values)
        for variable in container["env"]:
            value = variable.get("value", "someone")
            if variable["name"].endswith("_FILE"):
                value = str(secrets / files[value])
            environ[variable["name"]] = value
        if ca_file := environ.get("KAFKA_SSL_CAFILE"):
            environ["KAFKA_SSL_CAFILE"] = str(secrets / files[ca_file])
        settings = read(SERVICES[name], environ)
        assert settings.bind_host == "0.0.0.0"
        assert settings.tocsin_service_token is not None
        waits = 5 + settings.drain_seconds
        assert pod["terminationGracePeriodSeconds"] > waits


def test_the_proxy_is_told_of_the_header_that_logsvc_believes(resources: list[Resource]) -> None:
    [container] = [container for name, _, container in containers(resources) if name == "proxy"]
    [told] = [variable["valueFrom"] for variable in container["env"] if variable["name"] == "PROXY_USER_HEADER"]
    assert told["configMapKeyRef"]["key"].lower() in SERVICES["logsvc"].model_fields
    assert told["configMapKeyRef"]["name"] in of_kind(resources, "ConfigMap")


def mounted_files(pod: Resource, container: Resource) -> dict[str, str]:
    """Path in the container -> key of tocsin-secrets."""
    volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
    found: dict[str, str] = {}
    for mount in container["volumeMounts"]:
        secret = volumes.get(mount["name"], {}).get("secret")
        for item in secret["items"] if secret else ():
            assert re.fullmatch(r"tocsin-secrets(-\w+)?", secret["secretName"])
            found[f"{mount['mountPath']}/{item['path']}"] = item["key"]
    return found


def test_every_key_of_the_secret_is_documented(resources: list[Resource]) -> None:
    used = {key for _, pod, container in containers(resources) for key in mounted_files(pod, container).values()}
    documented = set(re.findall(r"^\| `(\w[\w.]+)` ", (ROOT / "kustomize" / "README.md").read_text(), re.MULTILINE))
    assert used - documented == set()
    assert "service_token" in used


def test_no_service_sees_the_secrets_of_another(resources: list[Resource]) -> None:
    keys = {name: set(mounted_files(pod, container).values()) for name, pod, container in containers(resources)}
    assert {"telegram_bot_token", "database_url"} & (keys["bridge"] | keys["logsvc"]) == set()
    assert {"redis_url", "redis_actions_url"} & (keys["bot"] | keys["logsvc"]) == set()
    assert keys["proxy"] == set()


def test_each_selector_picks_the_pods_of_one_workload(resources: list[Resource]) -> None:
    labels = {name: one["spec"]["template"]["metadata"]["labels"] for name, one in workloads(resources).items()}
    for name, one in of_kind(resources, "Service").items():
        wanted = one["spec"]["selector"]
        picked = [pod for pod, has in labels.items() if wanted.items() <= has.items()]
        assert picked == [name]
        ports = {port["name"] for _, _, container in containers(resources) for port in container.get("ports", ())}
        assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports
    for name, one in of_kind(resources, "PodDisruptionBudget").items():
        assert one["spec"]["selector"]["matchLabels"] == {NAME: name}


def test_every_pod_runs_with_the_least_rights(resources: list[Resource]) -> None:
    for name, pod, container in containers(resources):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name  # a Service `bridge` would set BRIDGE_PORT
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
        assert container["resources"]["limits"]["memory"], name
        assert container["readinessProbe"], name


def test_each_service_is_watched_by_kubernetes_and_logsvc_grows_with_its_load(resources: list[Resource]) -> None:
    for name, _, container in containers(resources):
        if name in SERVICES:
            asked = {
                kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness", "startup")
            }
            assert asked["liveness"] == "/health/live", name
            assert asked["readiness"] == "/health/ready", name
    assert set(SERVICES) <= set(of_kind(resources, "PodDisruptionBudget"))
    [scaler] = of_kind(resources, "HorizontalPodAutoscaler").values()
    assert scaler["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "logsvc"}
    assert 1 < scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"]


def test_prometheus_operator_is_led_to_every_service(resources: list[Resource]) -> None:
    services, found = of_kind(resources, "Service"), set[str]()
    monitors = of_kind(resources, "ServiceMonitor").values()
    for monitor in monitors:
        wanted = monitor["spec"]["selector"]
        for name, service in services.items():
            labels, ports = service["metadata"].get("labels", {}), {port["name"] for port in service["spec"]["ports"]}
            if is_selected(labels, wanted) and {at["port"] for at in monitor["spec"]["endpoints"]} & ports:
                found.add(name)
    assert found == ({"proxy", *SERVICES} if monitors else set())


def is_selected(labels: Mapping[str, str], selector: Resource) -> bool:
    """By Kubernetes' rules, as far as the manifests use them."""
    for rule in selector.get("matchExpressions", ()):
        assert rule["operator"] == "In"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def test_only_the_edge_is_open(resources: list[Resource]) -> None:
    policies = of_kind(resources, "NetworkPolicy")
    assert policies["tocsin-nobody"]["spec"].get("ingress", []) == []
    assert [rule for rule in policies["proxy"]["spec"]["ingress"] if "from" not in rule] == [
        {"ports": [{"port": "http"}]}
    ]
    for name in SERVICES:
        assert all(rule["from"] for rule in policies[name]["spec"]["ingress"]), name
    for one in of_kind(resources, "Ingress").values():
        backends = [
            path["backend"]["service"]["name"] for rule in one["spec"]["rules"] for path in rule["http"]["paths"]
        ]
        assert backends == ["proxy"]


def test_every_service_lets_in_those_that_call_it(resources: list[Resource]) -> None:
    callers = {name: {caller for caller, called in LOOKED_UP.items() if name in called} for name in SERVICES}
    callers["logsvc"].add("proxy")
    policies = of_kind(resources, "NetworkPolicy")
    for name, expected in callers.items():
        spec = policies[name]["spec"]
        assert spec["podSelector"] == {"matchLabels": {NAME: name}}
        admitted: set[str] = set()
        for rule in spec["ingress"]:
            assert rule.get("ports", [{"port": "http"}]) == [{"port": "http"}]
            admitted |= {peer["podSelector"]["matchLabels"][NAME] for peer in rule["from"]}
        assert admitted == expected, name
    [egress, _] = policies["proxy"]["spec"]["egress"]
    assert egress == {"to": [{"podSelector": {"matchLabels": {NAME: "logsvc"}}}]}


def test_the_servers_are_those_of_docker_compose(resources: list[Resource]) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    images = {name: container["image"] for name, _, container in containers(resources) if name not in SERVICES}
    assert images == {name: compose[name]["image"] for name in images}
    kafka = next((container for name, _, container in containers(resources) if name == "kafka"), None)
    if kafka is not None:
        written = dict(re.findall(r"^(KAFKA_\w+)=(.*)$", (ROOT / "envs" / "kafka.env").read_text(), re.MULTILINE))
        ours = {variable["name"]: variable["value"] for variable in kafka["env"]}
        differ = {name for name in written.keys() | ours.keys() if written.get(name) != ours.get(name)}
        assert differ == {"KAFKA_CONTROLLER_QUORUM_VOTERS", "KAFKA_LISTENERS", "KAFKA_LOG_DIRS"}
