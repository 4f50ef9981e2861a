"""The manifests: rendered, held against the API's schemas, and their daemon started with what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from support.pod import TOKEN, Pod
from support.repository import Repository

KUBERNETES = "1.37"
OVERLAYS = ["central", "sidecar"]

Documents = list[dict[str, Any]]


def of_kind(documents: Documents, kind: str) -> dict[str, Any]:
    (found,) = (it for it in documents if it["kind"] == kind)
    return found


def containers(documents: Documents) -> list[dict[str, Any]]:
    spec = of_kind(documents, "Deployment")["spec"]["template"]["spec"]
    return spec.get("initContainers", []) + spec["containers"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_knows_every_field(render: Any, overlay: str) -> None:
    documents = render(overlay)
    kinds = sorted(it["kind"] for it in documents)
    assert set(kinds) == {
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    }
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_field_that_the_api_does_not_know_is_found(render: Any) -> None:
    deployment = of_kind(render("central"), "Deployment")
    deployment["spec"]["template"]["spec"]["runAsNonRoot"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_pass_the_restricted_standard(render: Any, overlay: str) -> None:
    documents = render(overlay)
    spec = of_kind(documents, "Deployment")["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    for volume in spec["volumes"]:
        assert set(volume) - {"name"} <= {"configMap", "secret", "emptyDir"}, volume
        assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": None}), volume
    for container in containers(documents):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, container["name"]
        assert context["readOnlyRootFilesystem"] is True, container["name"]
        assert context["capabilities"] == {"drop": ["ALL"]}, container["name"]
        assert context["runAsUser"] > 0 and context["runAsGroup"] > 0, container["name"]
        assert container["resources"]["limits"]["memory"], container["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_selects_pods_selects_these(render: Any, overlay: str) -> None:
    documents = render(overlay)
    template = of_kind(documents, "Deployment")["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    ports = {port["name"] for it in containers(documents) for port in it.get("ports", [])}

    policy = of_kind(documents, "NetworkPolicy")["spec"]
    service = of_kind(documents, "Service")["spec"]
    selectors = [
        of_kind(documents, "Deployment")["spec"]["selector"]["matchLabels"],
        of_kind(documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        policy["podSelector"]["matchLabels"],
        service["selector"],
        template["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector and selector.items() <= labels, selector

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert {port["targetPort"] for port in service["ports"]} <= ports
    opened = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert opened <= ports
    assert all(rule.get("from") for rule in policy["ingress"]), "open to everyone"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_table_tells_every_field(root: Path, render: Any, overlay: str) -> None:
    """What the manifests set, docs/kubernetes.md tells the reason of: by the last word of the field's path."""
    page = (root / "docs/kubernetes.md").read_text()
    told = set(re.findall(r"`([A-Za-z]+)`", page))
    spec = of_kind(render(overlay), "Deployment")["spec"]
    fields = set(spec) | set(spec["template"]["spec"]) | set(spec["template"]["spec"]["securityContext"])
    for container in spec["template"]["spec"].get("initContainers", []) + spec["template"]["spec"]["containers"]:
        fields |= set(container) | set(container["securityContext"])
    fields |= {it["kind"] for it in render(overlay)}
    plain = {"name", "image", "command", "args", "containers", "template", "selector"}
    assert fields - plain - told == set()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_table_tells_every_flag(root: Path, render: Any, overlay: str) -> None:
    page = (root / "docs/kubernetes.md").read_text()
    (daemon,) = (it for it in containers(render(overlay)) if it["name"] == "refguard")
    for word in daemon["args"]:
        flag = word.split("=")[0]
        if flag.startswith("--"):
            assert f"`{flag}" in page, flag


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_daemon_of_the_manifests_serves(
    render: Any, overlay: str, policies: Repository, remote: str, tmp_path: Path, program: Path, root: Path
) -> None:
    pod = Pod(render(overlay), tmp_path / "pod", program)
    pod.mount(remote, root)
    pod.initialize()
    pod.start()
    try:
        pod.until_ready()
        for name in {"livenessProbe", "startupProbe"} & set(pod.container):
            assert pod.probe(name), name
        headers = {}
        if overlay == "central":
            assert pod.get("/v1/status")[0] == 401
            headers = {"Authorization": f"Bearer {TOKEN}"}
        served = pod.status(**headers, Host="localhost")["sets"][0]
        assert served["commit"] == policies.git("rev-parse", "production")
    finally:
        assert pod.stop() == 0

    # The container starts again in the same Pod while the forge is away: the init container changes nothing, and
    # what was served before is served.
    policies.path.rename(policies.path.with_name("away"))
    pod.initialize()
    pod.start()
    try:
        pod.until_ready()
        assert pod.status(**headers, Host="localhost")["sets"][0]["commit"] == served["commit"]
    finally:
        assert pod.stop() == 0


def test_a_daemon_that_has_nothing_to_serve_is_alive_and_not_ready(
    render: Any, tmp_path: Path, program: Path, root: Path
) -> None:
    pod = Pod(render("central"), tmp_path / "pod", program)
    pod.mount("http://127.0.0.1:1", root)
    pod.initialize()
    pod.start()
    try:
        assert pod.probe("livenessProbe")
        assert not pod.probe("readinessProbe")
    finally:
        assert pod.stop() == 0
