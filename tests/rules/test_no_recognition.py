"""Nobody is recognised: no part of OpenCV or of another library that tells faces apart is used."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("event_protocol", "edge_agent", "central_server", "web", "scripts", "bench")
# Recognisers, their descriptors, and libraries made for it. To *find* a face is none of them.
BANNED = re.compile(
    r"FaceRecogni[sz]er|(LBPH|Eigen|Fisher)Face|Facemark|cv2\.face\b|\bSFace\b|(?i:arc_?face|face_?net"
    r"|face_recognition|deepface|insightface|embedding|re_?identif)"
)


def test_the_rule_sees_what_it_is_about() -> None:
    for code in (
        "cv2.FaceRecognizerSF.create(model, '')",
        "cv2.face.createFacemark()",
        "import face_recognition",
        "from deepface import DeepFace",
        "embedding = network.forward()",
    ):
        assert list(find_banned(ast.parse(code))), code
    for code in ("cv2.CascadeClassifier(path)", "blur_faces = True", "broker.embedded"):
        assert not list(find_banned(ast.parse(code))), code


def test_no_code_tells_faces_apart(repository: Path) -> None:
    files = [path for package in PACKAGES for path in (repository / package).rglob("*.py")]
    assert len(files) > 200
    suspects = [path for path in files if BANNED.search(path.read_text())]  # text and comments too
    found = [
        f"{path}: {name}" for path in suspects for name in find_banned(ast.parse(path.read_text()))
    ]
    assert found == []


def test_no_dependency_was_made_for_it(repository: Path) -> None:
    for locked in (repository / "requirements").glob("*.txt"):
        assert not BANNED.search(locked.read_text().replace("-", "_")), locked


def find_banned(tree: ast.AST) -> Iterator[str]:
    """Names, attributes with what they belong to, and modules; no text and no comment."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            names = [f"{owner}.{node.attr}"]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if BANNED.search(name))
