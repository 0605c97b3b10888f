"""The registry's file: whole or not at all, and each fault named by its line."""

from pathlib import Path

import pytest

from central_server.domain.device_log import DeviceRevoked
from central_server.domain.server_log import RegistryChanged
from central_server.domain.yaml_lines import WrongFileError
from central_server.services import registry as registry_service
from central_server.services.context import ServerContext
from central_server.storage import registry, server_log
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import Clock, make_context

TREE = """
units:
  - {id: province, name: Tỉnh, kind: province}
  - {id: ward, parent: province, name: Phường, kind: commune, valid_from: 2025-07-01}
devices:
  - {id: box, unit: ward}
desks:
  - {id: desk-1, unit: ward, name: Quầy 1, device: box}
"""


@pytest.fixture
def context(database: Database, tmp_path: Path, repository: Path) -> ServerContext:
    rules = repository / "configs" / "flag_rules.yaml"
    return make_context(database, tmp_path, Clock(), rules_file=rules)


def load(context: ServerContext, text: str) -> int:
    file = context.settings.directory / "units.yaml"
    file.write_text(text, encoding="utf-8")
    return registry_service.load_units(context, file)


def changes(context: ServerContext) -> list[str]:
    with context.database.reading() as db:
        entries = [logged.entry for logged in server_log.read_after(db, 0)]
    return [entry.what for entry in entries if isinstance(entry, RegistryChanged)]


def test_loading_twice_changes_nothing(context: ServerContext) -> None:
    assert load(context, TREE) == 4
    with context.database.reading() as db:
        [desk] = registry.list_desks(db)
        assert [unit.parent_id for unit in registry.list_units(db)] == [None, "province"]
    assert (desk.unit_id, desk.device_id, len(desk.token_key)) == ("ward", "box", 64)
    assert load(context, TREE) == 0
    assert changes(context) == ["units.loaded"]
    with context.database.reading() as db:
        assert registry.list_desks(db)[0].token_key == desk.token_key


def test_a_later_file_changes_what_it_names(context: ServerContext) -> None:
    load(context, TREE)
    later = """
devices: [{id: box, unit: ward, revoked: true}]
desks: [{id: desk-1, unit: province, name: Quầy đổi tên}]
"""
    assert load(context, later) == 2
    with context.database.reading() as db:
        [desk], [device] = registry.list_desks(db), registry.list_devices(db)
    assert (desk.unit_id, desk.name, desk.device_id) == ("province", "Quầy đổi tên", None)
    assert device.revoked_at == context.now()
    assert load(context, later) == 0


def test_who_was_revoked_stays_so_and_gets_no_desk(context: ServerContext) -> None:
    load(context, TREE)
    load(context, "devices: [{id: box, unit: ward, revoked: true}, {id: new, unit: ward}]")
    with context.database.reading() as db:
        logged = [one.entry for one in server_log.read_after(db, 0)]
    assert [one.device for one in logged if isinstance(one, DeviceRevoked)] == ["box"]
    assert load(context, "devices: [{id: box, unit: ward}]") == 0
    desk = "desks: [{{id: desk-1, unit: ward, name: Quầy, device: {}}}]"
    load(context, desk.format("box"))  # where it was
    load(context, desk.format("new"))
    with pytest.raises(WrongFileError, match="device 'box' was revoked"):
        load(context, desk.format("box"))


def test_the_example_loads(context: ServerContext, repository: Path) -> None:
    file = repository / "configs" / "units.example.yaml"
    assert registry_service.load_units(context, file) == 8


@pytest.mark.parametrize(
    ("wrong", "line", "says"),
    [
        ("units: [{id: a, name: A, kind: x, parent: nowhere}]", 1, "unit 'nowhere' is not known"),
        ("units:\n- {id: Big, name: A, kind: x}", 2, "units.0.id: String should match"),
        ("units:\n- {id: a, name: A}", 2, "units.0.kind: Field required"),
        (
            "units:\n- {id: a, parent: b, name: A, kind: x}\n"
            "- {id: b, parent: a, name: B, kind: x}",
            2,
            "unit 'a' would lie below itself",
        ),
        (
            "units:\n- {id: a, name: A, kind: x}\n- {id: a, name: A, kind: x}",
            3,
            "'a' is named twice",
        ),
        (
            "units: [{id: a, name: A, kind: x, valid_from: 2026-01-02, valid_to: 2026-01-02}]",
            1,
            "the end is not after the beginning",
        ),
        ("devices:\n\n- {id: d, unit: nowhere}", 3, "unit 'nowhere' is not known"),
        ("desks:\n- id: d\n  name: D\n  unit: nowhere", 4, "unit 'nowhere' is not known"),
        (
            "units: [{id: a, name: A, kind: x}]\ndesks:\n- {id: d, name: D, unit: a, device: x}",
            3,
            "device 'x' is not known",
        ),
        (
            "units: [{id: a, name: A, kind: x}]\ndesks:\n- {id: d, name: D, unit: a, schedule: x}",
            3,
            "schedule 'x' is not in the rules file",
        ),
    ],
)
def test_a_fault_is_named_and_nothing_is_changed(
    context: ServerContext, wrong: str, line: int, says: str
) -> None:
    with pytest.raises(WrongFileError) as caught:
        load(context, wrong)
    assert f"units.yaml:{line}: " in str(caught.value)
    assert says in str(caught.value)
    with context.database.reading() as db:
        assert registry.list_units(db) == []
    assert changes(context) == []


def test_a_missing_file_is_named(context: ServerContext, tmp_path: Path) -> None:
    with pytest.raises(WrongFileError, match="can't be read"):
        registry_service.load_units(context, tmp_path / "absent.yaml")
