"""Settings are read whole, and what is wrong is named by its line or its variable."""

from pathlib import Path

import pytest

from edge_agent.settings import SettingsError, load_settings

GOOD = """\
directory: data
http:
  port: 8081
cameras:
  - name: room
    source: clip.mp4
    empty: 0-5
    desks:
      - desk: desk-1
        zones:
          citizen: {role: citizen, polygon: [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9]]}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "edge.yaml"
    file.write_text(text)
    return file


def test_relative_paths_are_the_settings_files(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD))
    assert settings.directory == tmp_path / "data"
    (camera,) = settings.cameras
    assert camera.source == str(tmp_path / "clip.mp4")
    assert camera.empty == (0, 5)
    assert [zone.name for zone in camera.desks[0].read_zones()] == ["citizen"]


def test_evidence_has_its_masks_and_its_detector(tmp_path: Path) -> None:
    text = GOOD.replace("empty: 0-5", "masks: [[[0, 0], [1, 0], [0.5, 1]]]")
    settings = load_settings(write(tmp_path, text + "evidence: {face_detector: faces.xml}\n"))
    assert settings.cameras[0].masks == (((0, 0), (1, 0), (0.5, 1)),)
    assert settings.evidence.face_detector == tmp_path / "faces.xml"


def test_a_second_opinions_model_is_named_with_its_hash(tmp_path: Path) -> None:
    model = f"confirmer: {{layout: yolox, model: tiny.onnx, sha256: {'0a' * 32}}}\n"
    settings = load_settings(write(tmp_path, GOOD + model))
    assert settings.confirmer.model == tmp_path / "tiny.onnx"
    assert load_settings(write(tmp_path, GOOD)).confirmer.layout == "none"


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_HTTP__PORT", "9090")
    assert load_settings(write(tmp_path, GOOD)).http.port == 9090


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_DIRECTORY", "/nowhere")
    assert load_settings(None).directory == Path("/nowhere")


@pytest.mark.parametrize("source", ["scene:7", "0", "usb:1", "rtsp://camera/stream"])
def test_what_is_no_file_stays_as_it_is(tmp_path: Path, source: str) -> None:
    settings = load_settings(write(tmp_path, GOOD.replace("clip.mp4", source)))
    assert settings.cameras[0].source == source


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("port: 8081", "port: 99999", "edge.yaml:3: http.port: "),
        ("port: 8081", "prot: 8081", "edge.yaml:3: http.prot: "),
        ("empty: 0-5", "empty: 5-0", "edge.yaml:7: cameras.0.empty: "),
        ("source: clip.mp4", "source: ''", "edge.yaml:6: cameras.0.source: "),
        ("desk: desk-1", "desk: Desk 1", "edge.yaml:9: cameras.0.desks.0.desk: "),
        ("[[0.1, 0.1], ", "[", "edge.yaml:9: cameras.0.desks.0: Value error, zone citizen: 2 "),
        ("0.9]", "1.9]", "is outside the picture"),
        ("empty: 0-5", "masks: [[[0, 0], [1, 0]]]", "edge.yaml:7: cameras.0.masks: "),
        ("empty: 0-5", "masks: [[[0, 0], [1, 0], [2, 1]]]", "mask 1: point 3 [2, 1] is outside"),
        ("directory: data", "evidence: {max_mb: 0}", "edge.yaml:1: evidence.max_mb: "),
        ("directory: data", "confirmer: {layout: mtcnn}", "edge.yaml:1: confirmer.layout: "),
        ("directory: data", "confirmer: {layout: ssd}", "`model` and `sha256` belong to"),
        ("directory: data", "confirmer: {layout: face, model: a.onnx}", "belong to yolox"),
        ("directory: data", "directory: [", "edge.yaml: line "),
        ("directory: data", "- directory", "edge.yaml: "),
        ("name: room", "name: room\n  - name: hall", "edge.yaml:5: cameras.0.source: "),
    ],
)
def test_what_is_wrong_is_named_by_its_line(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(write(tmp_path, GOOD.replace(old, new)))
    assert complaint in str(raised.value)


def test_a_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_HTTP__PORT", "many")
    with pytest.raises(SettingsError, match=r"^EDGE_HTTP__PORT: http\.port: "):
        load_settings(write(tmp_path, GOOD))


def test_two_cameras_with_one_desk_are_refused(tmp_path: Path) -> None:
    other = GOOD.partition("cameras:\n")[2].replace("room", "hall")
    with pytest.raises(SettingsError, match="desk desk-1 is named twice"):
        load_settings(write(tmp_path, GOOD + other))


def test_a_zones_file_is_read_at_start(tmp_path: Path) -> None:
    text = GOOD.partition("        zones:")[0] + "        zones_file: zones.yaml\n"
    with pytest.raises(SettingsError, match=r"zones\.yaml: .*No such file"):
        load_settings(write(tmp_path, text))
    (tmp_path / "zones.yaml").write_text("zones: {citizen: {role: nobody, polygon: []}}")
    with pytest.raises(SettingsError, match=r"zones\.yaml: zone citizen: role"):
        load_settings(write(tmp_path, text))


def test_a_missing_settings_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"/none\.yaml: can't be read"):
        load_settings(tmp_path / "none.yaml")


def test_the_example_can_be_used_as_it_is(repository: Path) -> None:
    settings = load_settings(repository / "configs" / "edge_agent.example.yaml")
    assert settings.cameras[0].is_scene
