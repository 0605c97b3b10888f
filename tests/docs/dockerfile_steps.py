"""A Dockerfile's steps, followed without an engine: each stage in a folder of its own.

COPY and RUN are really done; base images are this machine. A path in a RUN must therefore be
relative to WORKDIR, which the Dockerfile keeps to for all but the engine's own steps.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

# What only an engine can do, or what only describes the image.
NEEDS_AN_ENGINE = ("useradd ",)
DESCRIBES = {"USER", "VOLUME", "EXPOSE", "CMD"}


@dataclass
class Stage:
    """One stage while it is followed: its folder stands for `/`."""

    root: Path
    workdir: str = "/"
    environment: dict[str, str] = field(default_factory=dict)

    def place(self, path: str) -> Path:
        """Where a path of the image is here."""
        return self.root / (Path(self.workdir) / path).relative_to("/")


def read_steps(dockerfile: Path) -> list[tuple[str, str]]:
    """Instruction and arguments of each step, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (line.split(maxsplit=1)[0], " ".join(line.split(maxsplit=1)[1].split()))
        for line in joined.splitlines()
        if line.strip()
    ]


def follow(dockerfile: Path, context: Path, folder: Path) -> Stage:
    """Follow every step; the last stage. Raises if a step fails or is of an unknown kind."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for instruction, arguments in read_steps(dockerfile):
        if instruction == "FROM":
            name = arguments.partition(" AS ")[2] or "last"
            stage = stages[name] = Stage(folder / name)
            stage.root.mkdir()
        elif instruction == "WORKDIR":
            stage.workdir = arguments
            stage.place(".").mkdir(parents=True, exist_ok=True)
        elif instruction == "COPY":
            _copy(arguments.split(), stage, stages, context)
        elif instruction == "RUN":
            _run(arguments, stage)
        elif instruction == "ENV":
            stage.environment |= dict(pair.split("=", 1) for pair in arguments.split())
        elif instruction not in DESCRIBES:
            raise ValueError(f"no way to follow {instruction}")
    return stage


def _copy(words: list[str], stage: Stage, stages: dict[str, Stage], context: Path) -> None:
    origin = None
    if words[0].startswith("--from="):
        origin = stages[words.pop(0).removeprefix("--from=")]
    *sources, target = words
    for source in sources:
        found = origin.place(source) if origin else context / source
        goal = stage.place(target)
        if origin and source == target:
            # The same path on both sides: a link keeps true the addresses that a virtual
            # environment holds, as the same path does in an image.
            goal.rmdir()
            goal.symlink_to(found)
        elif found.is_dir():
            shutil.copytree(
                found,
                goal,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("node_modules", "vendor", "__pycache__"),
            )
        else:
            goal = goal / found.name if target.endswith("/") else goal
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, goal)


def _run(command: str, stage: Stage) -> None:
    if command.startswith(NEEDS_AN_ENGINE):
        return
    # An image has no cache of its own and wants byte code; here the machine's cache spares the
    # registry, and byte code nobody runs would take most of the time.
    command = command.replace("--no-cache-dir ", "--no-compile ")
    subprocess.run(
        ["/bin/sh", "-euc", command],
        cwd=stage.place("."),
        env=os.environ | stage.environment,
        check=True,
        capture_output=True,
        timeout=800,
    )
