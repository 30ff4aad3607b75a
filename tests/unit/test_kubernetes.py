"""The manifests of `deploy/kubernetes`: valid by Kubernetes' own schemas, and what they promise."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from flows.settings import Settings
from tests.watching import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
OLDEST, NEWEST = "1.29", "1.34"
WAYS = ("one-pod", "pods")


def documents(path: Path) -> list[dict]:
    return list(yaml.safe_load_all(path.read_text()))


def manifests(*folders: str) -> list[dict]:
    paths = [path for folder in folders for path in sorted((FOLDER / folder).glob("*.yaml"))]
    return [one for path in paths if path.name != "kustomization.yaml" for one in documents(path)]


def the(kind: str, *folders: str) -> dict:
    [found] = [one for one in manifests(*folders) if one["kind"] == kind]
    return found


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_manifest_is_valid_and_names_no_field_that_is_not(version):
    for one in manifests("base", *WAYS):
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("way", WAYS)
def test_every_manifest_is_in_its_kustomization(way):
    for folder in ("base", way):
        kustomization = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())
        named = kustomization["resources"]
        named += [patch["path"] for patch in kustomization.get("patches", ())]
        there = {path.name for path in (FOLDER / folder).glob("*.yaml")}
        assert there - {"kustomization.yaml", "secret.example.yaml"} == set(named) - {"../base"}


@pytest.mark.parametrize("way", WAYS)
def test_what_kustomize_makes_of_them_is_valid(way):
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl: the manifests are not rendered")
    words = [kubectl, "kustomize", str(FOLDER / way)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    rendered = list(yaml.safe_load_all(done.stdout))
    for one in rendered:
        kubernetes_validate.validate(one, NEWEST, strict=True)
    [flow] = [one for one in rendered if one["kind"] == "StatefulSet"]
    labels = flow["spec"]["template"]["metadata"]["labels"]
    for one in rendered:
        if one["kind"] in ("PodDisruptionBudget", "StatefulSet"):
            assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
        if one["kind"] == "Service":
            assert one["spec"]["selector"].items() <= labels.items()


@pytest.mark.parametrize("way", WAYS)
def test_pods_run_as_nobody_in_the_exec_form(way):
    pod = the("StatefulSet", way)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["command"][:3] == ["farwatch", "run", "watch"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not pod["automountServiceAccountToken"]
    # Else Kubernetes sets FARWATCH_... for each service, which are unknown settings.
    assert not pod["enableServiceLinks"]
    assert container["envFrom"] == [{"secretRef": {"name": "farwatch-logins"}}]
    assert container["resources"]["limits"]["memory"]
    wanted = {"startup": "readyz", "readiness": "readyz", "liveness": "livez"}
    for name, path in wanted.items():
        probe = container[f"{name}Probe"]
        if way == "pods":
            assert probe["httpGet"] == {"path": f"/{path}", "port": "metrics"}
        else:
            # Asks every process of the pod.
            assert probe["exec"] == {"command": ["farwatch", "probe", path]}


def test_every_process_of_one_pod_has_a_port_that_prometheus_reaches():
    [container] = the("StatefulSet", "one-pod")["spec"]["template"]["spec"]["containers"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    first = ports["metrics"]
    assert sorted(ports.values()) == [
        first + number for number in range(int(variables["FARWATCH_PROCESSES"]))
    ]
    service = the("Service", "one-pod")
    assert service["metadata"] == the("Service", "base")["metadata"]
    reached = {port["port"]: port["targetPort"] for port in service["spec"]["ports"]}
    assert reached == {port: name for name, port in ports.items()}
    [allowed] = [
        port
        for rule in the("NetworkPolicy", "base")["spec"]["ingress"]
        for port in rule["ports"]
        if "endPort" in port
    ]
    assert allowed["port"] == first
    assert allowed["endPort"] >= max(ports.values())


@pytest.mark.parametrize("way", WAYS)
def test_settings_are_settings_and_a_pod_may_drain(way, tmp_path, monkeypatch):
    file = tmp_path / "farwatch.toml"
    file.write_text(the("ConfigMap", "base")["data"]["farwatch.toml"])
    settings = Settings.load(file)
    pod = the("StatefulSet", way)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert settings.epoch_s + settings.drain_s < pod["terminationGracePeriodSeconds"]
    [port] = [p["containerPort"] for p in container["ports"] if p["name"] == "metrics"]
    assert port == tomllib.loads(file.read_text())["metrics_port"]
    # The recovery folder is below a volume that outlives the pod.
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert settings.recovery is not None
    assert settings.recovery.is_relative_to(mounts["state"])


def test_one_pod_has_a_claim_of_its_own_and_pods_share_one_on_one_node():
    alone = the("StatefulSet", "one-pod")["spec"]
    assert alone["replicas"] == 1
    [claim] = alone["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    pods = the("StatefulSet", "pods")["spec"]
    assert "volumeClaimTemplates" not in pods
    pod = pods["template"]["spec"]
    [shared] = [v for v in pod["volumes"] if "persistentVolumeClaim" in v]
    claim = the("PersistentVolumeClaim", "pods")
    assert shared["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    rules = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert [rule["topologyKey"] for rule in rules] == ["kubernetes.io/hostname"]
    # Bytewax's cluster dies of a process's end: one update at a time would end it each time.
    assert (pods["podManagementPolicy"], pods["updateStrategy"]["type"]) == ("Parallel", "OnDelete")


def test_the_hostfile_names_each_pod_of_the_stateful_set():
    flow = the("StatefulSet", "pods")
    name, service = flow["metadata"]["name"], flow["spec"]["serviceName"]
    assert the("Service", "base")["metadata"]["name"] == service
    cluster = next(
        one for one in manifests("pods") if one["metadata"]["name"] == "farwatch-cluster"
    )
    port = next(
        p["containerPort"]
        for p in flow["spec"]["template"]["spec"]["containers"][0]["ports"]
        if p["name"] == "cluster"
    )
    assert cluster["data"]["hostfile.txt"].split() == [
        f"{name}-{number}.{service}.farwatch.svc:{port}"
        for number in range(flow["spec"]["replicas"])
    ]


def test_only_the_flow_reaches_its_cluster_port():
    policy = the("NetworkPolicy", "base")["spec"]
    assert policy["podSelector"] == {}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    ports = {port["port"]: rule["from"] for rule in policy["ingress"] for port in rule["ports"]}
    assert set(ports) == {9464, 9999}
    assert [set(each) for each in ports[9999]] == [{"podSelector"}]
