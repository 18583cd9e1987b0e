"""deploy/: the files parse, every setting that a process needs is set, every name they refer to exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.common.settings import Settings
from services.ops.install import SERVICES
from services.ops.install_command import InstallSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRETS = {
    "POSTGRES_PASSWORD": "p" * 32,
    "TALLY_LEDGER_PASSWORD": "l" * 32,
    "TALLY_TIERING_PASSWORD": "t" * 32,
    "TALLY_REWARDS_PASSWORD": "r" * 32,
    "TALLY_IDENTIFIER_KEY": "ab" * 32,
    "TALLY_LEDGER_KEY": "tb_0a0b0c_" + "s" * 64,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without anything that the settings read."""
    for name in [
        *SECRETS,
        "DATABASE_URL",
        "KAFKA_BOOTSTRAP_SERVERS",
        "TALLY_TOPIC_PREFIX",
        "TALLY_DATABASE_PREFIX",
    ]:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def compose_environment(service: str) -> dict[str, str]:
    """What the container gets, with deploy/.env filled in as compose does it."""
    raw = compose()["services"][service]["environment"]
    return {
        name: re.sub(r"\$\{(\w+)(:\?[^}]*)?\}", lambda found: SECRETS[found.group(1)], value)
        for name, value in raw.items()
    }


def kubernetes() -> Iterator[dict[str, Any]]:
    listed = yaml.safe_load((DEPLOY / "k8s" / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in (DEPLOY / "k8s").iterdir())
    for name in listed:
        yield from yaml.safe_load_all((DEPLOY / "k8s" / name).read_text())


def kubernetes_environment(kind: str, name: str) -> dict[str, str]:
    """What the container gets: the config map's literals, then `env` in order, with $(NAME) filled in."""
    settings = yaml.safe_load((DEPLOY / "k8s" / "kustomization.yaml").read_text())["configMapGenerator"][0]
    values = dict(literal.split("=", 1) for literal in settings["literals"])
    found = [it for it in kubernetes() if it["kind"] == kind and it["metadata"]["name"] == name]
    container = found[0]["spec"]["template"]["spec"]["containers"][0]
    for entry in container["env"]:
        if "value" in entry:
            value = re.sub(r"\$\((\w+)\)", lambda reference: values[reference.group(1)], entry["value"])
        else:
            assert entry["valueFrom"]["secretKeyRef"]["name"] == "tallybook"
            value = SECRETS[entry["valueFrom"]["secretKeyRef"]["key"]]
        values[entry["name"]] = value
    return values


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_a_service_finds_every_setting_that_it_needs(
    where: str, service: str, environment: pytest.MonkeyPatch
) -> None:
    values = (
        compose_environment(service) if where == "compose" else kubernetes_environment("Deployment", service)
    )
    for name, value in values.items():
        environment.setenv(name, value)
    settings = Settings()
    assert settings.kafka_bootstrap_servers == "kafka:9092"
    url = settings.database_url.get_secret_value()
    password = SECRETS[f"TALLY_{service.upper()}_PASSWORD"]
    assert url == f"postgresql://tallybook_{service}:{password}@postgres:5432/tallybook_{service}"
    if service == "rewards":
        assert values["TALLY_LEDGER_URL"] == "http://ledger:8000"
        assert values["TALLY_LEDGER_KEY"] == SECRETS["TALLY_LEDGER_KEY"]


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_the_installation_makes_the_logins_that_the_services_use(
    where: str, environment: pytest.MonkeyPatch
) -> None:
    values = (
        compose_environment("install") if where == "compose" else kubernetes_environment("Job", "install")
    )
    for name, value in values.items():
        environment.setenv(name, value)
    settings = InstallSettings()
    for service in SERVICES:
        logs_in = (
            compose_environment(service)
            if where == "compose"
            else kubernetes_environment("Deployment", service)
        )
        assert settings.database(service).url == logs_in["TALLY_DATABASE_URL"]


def test_every_service_runs_its_own_module_from_one_image() -> None:
    services = compose()["services"]
    for service in SERVICES:
        assert services[service]["command"] == ["python", "-m", f"services.{service}.main"]
        assert services[service]["image"] == "tallybook:latest"
    for resource in kubernetes():
        if resource["kind"] == "Deployment":
            name = resource["metadata"]["name"]
            pod = resource["spec"]["template"]
            assert pod["spec"]["containers"][0]["command"] == ["python", "-m", f"services.{name}.main"]
            assert pod["metadata"]["labels"] == resource["spec"]["selector"]["matchLabels"]


def test_what_the_image_copies_exists() -> None:
    root = DEPLOY.parent
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (root / source).exists(), f"deploy/Dockerfile copies {source}"
