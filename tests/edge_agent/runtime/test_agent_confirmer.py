"""A box whose second opinion can't be used says so on the wizard's page and in its telemetry."""

from datetime import UTC, datetime
from pathlib import Path

from edge_agent.delivery.health import HealthReporter
from edge_agent.http.parts import Check
from edge_agent.runtime.agent import Agent
from edge_agent.runtime.installation import AgentInstallation
from edge_agent.settings import ConfirmerSettings, EdgeSettings
from event_protocol.messages import MAX_PROBLEM_CHARACTERS
from tests.processes.edge_agent import make_enrolment
from tests.processes.ports import free_port, wait_until


def now() -> datetime:
    return datetime(2030, 1, 1, tzinfo=UTC)


def start(folder: Path, confirmer: ConfirmerSettings) -> Agent:
    """A paired box without cameras; nobody answers at its broker's port."""
    folder.mkdir()
    (folder / "enrolment.json").write_text(make_enrolment(free_port()).model_dump_json())
    agent = Agent(EdgeSettings(directory=folder, confirmer=confirmer), "0.1.0", now)
    agent.start()
    return agent


def confirmer_check(agent: Agent) -> list[Check]:
    return [c for c in AgentInstallation(agent).run_checks() if c.name == "confirmer"]


def test_a_refused_model_is_told_once_and_the_box_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"another model")
    settings = ConfirmerSettings(layout="yolox", model=file, sha256="0" * 64)
    agent = start(tmp_path / "box", settings)
    try:
        wait_until(lambda: agent.confirmer and agent.confirmer.problem, 60, "the refusal")
        (check,) = confirmer_check(agent)
        assert not check.is_ok
        assert "model.onnx: its SHA-256 is" in check.detail
        assert agent.outbox is not None
        health = HealthReporter(
            *(tmp_path, agent.outbox, dict, "0.1.0", now), confirmer_problem=lambda: check.detail
        )
        assert health.measure().confirmer_problem == check.detail[:MAX_PROBLEM_CHARACTERS]
    finally:
        agent.stop()


def test_a_box_without_one_has_no_tick_for_it(tmp_path: Path) -> None:
    agent = start(tmp_path / "box", ConfirmerSettings())
    try:
        assert confirmer_check(agent) == []
        assert agent.outbox is not None
        health = HealthReporter(tmp_path, agent.outbox, dict, "0.1.0", now)
        assert health.measure().confirmer_problem is None
    finally:
        agent.stop()
