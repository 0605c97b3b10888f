"""Every file in configs/ is read by a test: a sample that no program takes is worse than none."""

from pathlib import Path

from central_server.domain.flags import REGISTRY
from central_server.domain.rules import parse_rules
from edge_agent.settings import load_settings


def test_every_configuration_file_is_named_by_a_test(repository: Path) -> None:
    tests = "\n".join(
        path.read_text()
        for path in (repository / "tests").rglob("*.py")
        if "node_modules" not in path.parts
    )
    unread = {
        str(path.relative_to(repository))
        for path in (repository / "configs").rglob("*")
        if path.is_file() and path.name not in tests
    }
    assert unread == set()


def test_the_edge_agents_sample_is_taken(repository: Path) -> None:
    sample = load_settings(repository / "configs" / "edge_agent.example.yaml")
    assert [zone.role for zone in sample.cameras[0].desks[0].read_zones()] == ["citizen", "officer"]


def test_the_shipped_rules_are_taken_and_name_every_rule(repository: Path) -> None:
    path = repository / "configs" / "flag_rules.yaml"
    shipped = parse_rules(path.read_text(), path.name)
    assert set(type(shipped.rules).model_fields) == set(REGISTRY)
