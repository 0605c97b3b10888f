"""Settings from file and environment; what is wrong is named by file, line and setting."""

from pathlib import Path
from typing import Any

import pytest

from central_server.domain.permissions import Role
from central_server.domain.yaml_lines import WrongFileError
from central_server.settings import ServerSettings, WebSettings, load_settings


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)


def written(folder: Path, text: str) -> Path:
    file = folder / "server.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_example_says_the_defaults(repository: Path) -> None:
    assert load_settings(repository / "configs/central_server.example.yaml") == ServerSettings()


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESTOP_WEB__PORT", "9000")
    settings = load_settings(written(tmp_path, "web:\n  port: 8500\n  host: 127.0.0.2\n"))
    assert (settings.web.port, settings.web.host) == (9000, "127.0.0.2")


@pytest.mark.parametrize(
    "address", ["onestop", "mysql://a:secret@b/c", "postgresql+asyncpg://b/c", "postgresql://b:x/c"]
)
def test_another_database_is_refused_without_its_password(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESTOP_DATABASE_URL", address)
    with pytest.raises(WrongFileError, match="must be like sqlite:///FILE or postgresql") as caught:
        load_settings(None)
    assert "ONESTOP_DATABASE_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_old_name_of_postgresql_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://somewhere/onestop?sslmode=verify-full")
    assert (
        load_settings(None).database_address == "postgresql://somewhere/onestop?sslmode=verify-full"
    )


@pytest.mark.parametrize("variable", ["ONESTOP_DATABASE_URL", "DATABASE_URL"])
def test_the_database_by_address(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "postgresql://somewhere/onestop?sslmode=verify-full")
    assert (
        load_settings(None).database_address == "postgresql://somewhere/onestop?sslmode=verify-full"
    )


@pytest.mark.parametrize(
    ("address", "is_taken"),
    [
        ("postgresql://db.example/onestop", False),
        (
            "postgresql://db.example/onestop?sslmode=require",
            False,
        ),  # whose certificate, it asks not
        ("postgresql://db.example/onestop?sslmode=prefer", False),
        ("postgresql:///onestop?host=db.example", False),
        ("postgresql://127.0.0.1@db.example/onestop", False),
        ("postgresql://db.example/onestop?sslmode=verify-full", True),
        ("postgresql://postgres/onestop?sslmode=disable", True),
        ("postgresql://127.0.0.1:5433/onestop", True),
        ("postgresql:///onestop?host=/run/postgresql", True),
    ],
)
def test_a_database_elsewhere_is_reached_by_tls_or_expressly_not(
    address: str, is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    if is_taken:
        assert load_settings(None).database_address == address
        return
    with pytest.raises(WrongFileError, match="=verify-full"):
        load_settings(None)


def test_the_database_by_file(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, "database_url: sqlite:////tmp/x.sqlite\n"))
    assert settings.database_address == "sqlite:////tmp/x.sqlite"
    assert ServerSettings(directory=tmp_path).database_address.endswith("/server.sqlite")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("web:\n  host: x\n  prot: 8000\n", "server.yaml:3: web.prot: Extra inputs"),
        ("web:\n  port: 99999\n", "server.yaml:2: web.port: Input should be less"),
        ("ingest:\n\n  batch_events: many\n", "server.yaml:3: ingest.batch_events: Input should"),
        ("notify:\n  targets:\n  - [a]\n  - 5\n", "server.yaml:4: notify.targets.1: Input should"),
        ("web: [1\n", "server.yaml:2: not YAML"),
        (
            "broker:\n  host: mqtt.example\n",
            "server.yaml:1: broker.tls: Value error, must be true: by broker.host, mqtt.example, "
            "passwords leave this machine",
        ),
        (
            "broker:\n  device_host: 10.0.0.5\n  tls: false\n",
            "server.yaml:3: broker.tls: Value error, must be true: by broker.device_host, 10.0.0.5",
        ),
        (
            "broker:\n  amqp: [10.0.0.6:5671]\n",
            "server.yaml:1: broker.tls: Value error, must be true: by broker.amqp, 10.0.0.6, passw",
        ),
        (
            "broker:\n  amqp: [127.0.0.1]\n",
            "server.yaml:2: broker.amqp: Value error, must be like HOST:PORT, not '127.0.0.1'",
        ),
        (
            "broker:\n  amqp: [127.0.0.1:5672]\n  dynamic_security: true\n",
            "server.yaml:2: broker.amqp: Value error, is RabbitMQ's: not with broker.embedded or ",
        ),
        (
            "broker:\n  embedded: true\n  tls: true\n",
            "server.yaml:3: broker.tls: Value error, the embedded broker speaks no TLS",
        ),
        (
            "web:\n  host: 10.0.0.5\n",
            "server.yaml:1: web.tls_at_proxy: Value error, must be true, or web.certificate_file "
            "set: by web.host, 10.0.0.5, log-ins leave this machine",
        ),
        (
            "web:\n  public_host: citizens.example\n  tls_at_proxy: false\n",
            "server.yaml:3: web.tls_at_proxy: Value error, must be true",
        ),
        (
            "web:\n  certificate_file: host.crt\n",
            "web.certificate_file and web.key_file go together",
        ),
        (
            "evidence:\n  automatic: [long_wait, late]\n",
            "server.yaml:2: evidence.automatic: Value error, no such rule: late",
        ),
        ("- web\n", "server.yaml:1: names and values are expected"),
        ("web: \x07\n", "server.yaml:1: not YAML"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(WrongFileError) as caught:
        load_settings(written(tmp_path, text))
    assert says in str(caught.value)


def test_a_broker_elsewhere_may_be_reached_by_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESTOP_BROKER__TLS", "true")
    settings = load_settings(written(tmp_path, "broker:\n  host: mqtt.example\n"))
    assert (settings.broker.host, settings.broker.tls) == ("mqtt.example", True)


@pytest.mark.parametrize(
    "private", ["  tls_at_proxy: true\n", "  certificate_file: host.crt\n  key_file: host.key\n"]
)
def test_pages_elsewhere_may_be_reached_by_tls(tmp_path: Path, private: str) -> None:
    settings = load_settings(written(tmp_path, f"web:\n  host: 10.0.0.5\n{private}"))
    assert settings.web.host == "10.0.0.5"


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESTOP_WEB__PORT", "eighty")
    with pytest.raises(WrongFileError, match=r"ONESTOP_WEB__PORT: web\.port: Input should"):
        load_settings(None)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongFileError, match=r"absent\.yaml: can't be read"):
        load_settings(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("web", "needs"),
    [
        ({}, False),
        ({"internal_url": "http://localhost:8000"}, False),
        ({"internal_url": "https://inspection.example"}, True),
        ({"internal_url": "https://inspection.example", "second_factor_roles": ()}, False),
        ({"second_factor_roles": (Role.INSPECTOR,)}, True),
    ],
)
def test_inspectors_need_a_second_factor_once_pages_leave_the_machine(
    web: dict[str, Any], needs: bool
) -> None:
    assert (Role.INSPECTOR in WebSettings(**web).second_factor_required) is needs
