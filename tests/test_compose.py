"""docker-compose.yml is valid: for Debian's docker-compose, and against the Compose Specification's schema.

No Docker engine is at hand: that the images build and the services start is not tested.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import jsonschema
import yaml

from tests.conftest import skip_or_fail

ROOT = Path(__file__).parent.parent
COMPOSE_FILE = ROOT / "docker-compose.yml"
SCHEMA = Path("/usr/lib/python3/dist-packages/compose/config/compose_spec.json")  # of Debian's docker-compose
SECRETS = {"POSTGRES_PASSWORD": "a", "PROVENANT_TOKEN": "b"}


def test_docker_compose_reads_it() -> None:
    if shutil.which("docker-compose") is None:
        skip_or_fail("Debian's docker-compose is not installed")
    command = ["docker-compose", "--file", str(COMPOSE_FILE), "config", "--quiet"]
    ran = subprocess.run(command, env={**os.environ, **SECRETS}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_secrets_are_asked_for_and_never_written_down() -> None:
    if shutil.which("docker-compose") is None:
        skip_or_fail("Debian's docker-compose is not installed")
    command = ["docker-compose", "--file", str(COMPOSE_FILE), "config", "--quiet"]
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode != 0
    assert "set POSTGRES_PASSWORD" in ran.stderr or "set PROVENANT_TOKEN" in ran.stderr


def test_it_follows_the_compose_specification() -> None:
    if not SCHEMA.exists():
        skip_or_fail(f"the schema {SCHEMA} of Debian's docker-compose is not installed")
    value = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft201909Validator({**schema, "$schema": jsonschema.Draft201909Validator.META_SCHEMA["$id"]}).validate(
        value
    )
    assert set(value["services"]) == {"app", "worker", "qdrant", "postgres"}


def test_only_loopback_is_published() -> None:
    services = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:7860:7860"]
