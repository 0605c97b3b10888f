"""A real Mosquitto by configs/mosquitto/, with what `prepare-broker` writes, on a free port."""

import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.processes.mosquitto import DAEMON
from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.program import Program

REPOSITORY = Path(__file__).resolve().parents[2]
_PLUGINS = (*Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), Path("/usr/lib/mosquitto"))


class SecuredMosquitto(Program):
    """`prepare` fills `folder` by the server's own command; then as any program."""

    def __init__(self, folder: Path) -> None:
        assert DAEMON is not None, "mosquitto is not installed (apt install mosquitto)"
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        text = (REPOSITORY / "configs" / "mosquitto" / "mosquitto.conf").read_text()
        # This machine's places in the stead of the container's.
        for theirs, ours in {
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "plugin /usr/lib/mosquitto_dynamic_security.so": f"plugin {_PLUGINS[0]}",
            "config_file /mosquitto/data/": f"config_file {folder}/",
            "/onestop/": f"{folder}/",
            "/mosquitto/data/": f"{folder}/",
        }.items():
            assert theirs in text, theirs
            text = text.replace(theirs, ours)
        # Started as root it would otherwise change to a user who can't read the folder.
        (folder / "mosquitto.conf").write_text(f"{text}\nuser root\n")
        super().__init__([DAEMON, "-c", folder / "mosquitto.conf"], folder / "mosquitto.log")

    def prepare(self, server_directory: Path) -> Self:
        """Certificate, authority, first accounts: from the server that keeps its keys there."""
        command = [sys.executable, "-m", "central_server", "prepare-broker", "127.0.0.1"]
        subprocess.run(
            [*command, "--into", self.folder],
            check=True,
            cwd=REPOSITORY,
            env={"ONESTOP_DIRECTORY": str(server_directory)},
            timeout=60,
        )
        return self

    def start(self) -> Self:
        """Start (again) and return once it takes connections."""
        super().start()
        wait_until(lambda: is_listening(self.port) or not self.is_running, 10, "Mosquitto listens")
        assert self.is_running, self.output
        return self
