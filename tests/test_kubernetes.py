"""The Kubernetes manifests are valid, and consistent with the image and the application."""

import asyncio
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kubernetes_validate
import pytest
import yaml
from conftest import Bake, BakedProject
from image import arguments_of, command_of, read_stages
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

FOLDER = "deploy/kubernetes"
KUBERNETES = "1.33"
MARGIN_SECONDS = 5
KUBECTL = shutil.which("kubectl")

Manifest = dict[str, Any]


@pytest.fixture
def project(look: Bake) -> BakedProject:
    return look(project_slug="my_chat-1", deploy="kubernetes")


@pytest.fixture
def manifests(project: BakedProject) -> dict[str, Manifest]:
    """The manifests of the kustomization, by kind."""
    names = kustomization(project)["resources"]
    parsed = [yaml.safe_load(project.text(f"{FOLDER}/{name}")) for name in names]
    return {manifest["kind"]: manifest for manifest in parsed}


def kustomization(project: BakedProject) -> Manifest:
    parsed: Manifest = yaml.safe_load(project.text(f"{FOLDER}/kustomization.yaml"))
    return parsed


def test_every_manifest_is_listed_and_valid(
    project: BakedProject, manifests: dict[str, Manifest]
) -> None:
    files = {file.name for file in (project.path / FOLDER).glob("*.yaml")}
    assert files == {*kustomization(project)["resources"], "kustomization.yaml"}
    for manifest in manifests.values():
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_validator_refuses_unknown_fields(manifests: dict[str, Manifest]) -> None:
    manifests["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriod"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(manifests["Deployment"], KUBERNETES, strict=True)


@pytest.mark.skipif(KUBECTL is None, reason="no kubectl to build with")
def test_kubectl_builds_them(project: BakedProject) -> None:
    assert KUBECTL is not None
    built = subprocess.run(
        [KUBECTL, "kustomize", str(project.path / FOLDER)],
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout

    for manifest in yaml.safe_load_all(built):
        assert manifest["metadata"]["namespace"] == "my-chat-1"
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_namespace_is_a_dns_label(bake: Bake) -> None:
    for slug in ("1" * 64, f"{'a' * 62}_b"):
        namespace = kustomization(bake(project_slug=slug, deploy="kubernetes"))["namespace"]
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", namespace)


def test_probes_use_the_applications_routes(
    project: BakedProject, manifests: dict[str, Manifest]
) -> None:
    routes = [
        path
        for name in ("engine/operate/health.py", "engine/http/included.py")
        for path in re.findall(r'(?:@router\.get\(|PROBE_PATH = )"(/\w+)"', project.text(name))
    ]
    container = container_of(manifests["Deployment"])
    asked = {
        name: container[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "liveness", "readiness")
    }

    # An unavailable database must not make the cluster kill the pods.
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert set(asked.values()) <= set(routes)


def test_ports_and_commands_match_the_image(
    project: BakedProject, manifests: dict[str, Manifest], look: Bake
) -> None:
    *_, image = read_stages(project.text("Dockerfile"))
    container = container_of(manifests["Deployment"])
    [port] = container["ports"]
    [served] = manifests["Service"]["spec"]["ports"]

    assert "command" not in container
    assert "args" not in container
    assert [str(port["containerPort"])] == arguments_of(image, "EXPOSE")
    # It overrides settings.env and the secret.
    assert container["env"] == [{"name": "PORT", "value": str(port["containerPort"])}]
    assert served["targetPort"] == port["name"]
    assert container_of(manifests["Job"])["command"] == compose_migration(look())
    assert {container["image"], container_of(manifests["Job"])["image"]} == {
        entry["name"] for entry in kustomization(project)["images"]
    }


def compose_migration(project: BakedProject) -> list[str]:
    command: list[str] = yaml.safe_load(project.text("compose.yaml"))["services"]["migrate"][
        "command"
    ]
    return command


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_pods_have_minimal_rights(
    project: BakedProject, manifests: dict[str, Manifest], kind: str
) -> None:
    *_, image = read_stages(project.text("Dockerfile"))
    pod = manifests[kind]["spec"]["template"]["spec"]
    container = container_of(manifests[kind])

    assert pod["securityContext"]["runAsNonRoot"]
    assert f"--uid {pod['securityContext']['runAsUser']} " in " ".join(arguments_of(image, "RUN"))
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    # Otherwise, services of the namespace would set NAME_PORT, NAME_SERVICE_HOST and others in each pod.
    assert pod["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]


def test_a_stopping_pod_has_time_for_its_answers(
    project: BakedProject, manifests: dict[str, Manifest]
) -> None:
    *_, image = read_stages(project.text("Dockerfile"))
    command = command_of(image, "CMD")
    uvicorn = int(command[command.index("--timeout-graceful-shutdown") + 1])
    shutdown = int(settings(project)["SHUTDOWN_SECONDS"])
    pause = container_of(manifests["Deployment"])["lifecycle"]["preStop"]["exec"]["command"]
    grace = manifests["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]

    assert pause[0] == "sleep"
    assert grace >= int(pause[1]) + max(uvicorn, shutdown) + MARGIN_SECONDS


def test_secrets_are_not_in_files_and_both_pods_use_the_same(
    project: BakedProject, manifests: dict[str, Manifest]
) -> None:
    secrets = ("DATABASE_URL", "DATABASE_DIRECT_URL", "SECRET", "API_KEY", "PASSWORD")
    assert [name for name in settings(project) if any(word in name for word in secrets)] == []
    assert "Secret" not in manifests
    [generated] = kustomization(project)["configMapGenerator"]
    sources = [
        {"configMapRef": {"name": generated["name"]}},
        {"secretRef": {"name": "app"}},
    ]
    assert container_of(manifests["Deployment"])["envFrom"] == sources
    assert container_of(manifests["Job"])["envFrom"] == sources
    assert "create secret generic app " in project.text("docs/deploy.md")


def test_settings_are_known_to_the_application(project: BakedProject) -> None:
    known = set(re.findall(r"^(?:# )?([A-Z_]+)=", project.text(".env.example"), re.MULTILINE))

    assert set(settings(project)) - known == {"FORWARDED_ALLOW_IPS"}  # uvicorn's own


def test_a_visitor_cannot_forge_its_address(project: BakedProject) -> None:
    seen: list[Any] = []

    async def application(scope: Any, *_: Any) -> None:
        seen.append(scope["client"][0])

    assert settings(project)["FORWARDED_ALLOW_IPS"] == "", "a proxy that the operator did not name"
    # As set by an operator: the ingress controller's pods and the load balancer.
    named = "10.42.0.0/16,fd00:10:244::/64,10.0.0.2"
    server = ProxyHeadersMiddleware(application, named)
    # The visitor's forged address, its real address, and the load balancer.
    said = (b"x-forwarded-for", b"1.2.3.4, 203.0.113.9, 10.0.0.2")
    for pod in ("10.42.0.7", "fd00:10:244::5", "10.43.0.1"):
        scope: Any = {"type": "http", "scheme": "http", "client": (pod, 1), "headers": [said]}
        # In another thread, because a browser's event loop may be running in this one.
        with ThreadPoolExecutor() as thread:
            thread.submit(asyncio.run, server(scope, None, None)).result()  # type: ignore[arg-type]

    assert seen == ["203.0.113.9", "203.0.113.9", "10.43.0.1"]


def settings(project: BakedProject) -> dict[str, str]:
    lines = project.text(f"{FOLDER}/settings.env").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_selectors_match_the_pods(manifests: dict[str, Manifest]) -> None:
    deployment = manifests["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]

    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    for constraint in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == labels
    assert manifests["Job"]["spec"]["template"]["metadata"]["labels"] != labels
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    # The autoscaler sets the number of replicas.
    assert "replicas" not in deployment["spec"]


def test_all_replicas_fit_postgresqls_connections(
    project: BakedProject, manifests: dict[str, Manifest]
) -> None:
    """100 by default, 3 of them reserved for superusers; each replica needs one more than its pool."""
    replicas = manifests["HorizontalPodAutoscaler"]["spec"]["maxReplicas"]
    surge = manifests["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"]

    assert (replicas + surge) * (int(settings(project)["DATABASE_POOL_SIZE"]) + 1) <= 100 - 3


def container_of(workload: Manifest) -> Manifest:
    [container] = workload["spec"]["template"]["spec"]["containers"]
    return dict(container)
