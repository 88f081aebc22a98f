"""Every call of the `qianmian` binary in one place."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterator


class BinaryError(Exception):
    """The binary failed; its own message went to the terminal."""


class Qianmian:
    """The binary at `path`, working on the data folder `data`."""

    def __init__(self, path: Path, data: Path) -> None:
        self.path, self.data = path, data

    def _run(self, *arguments: object) -> str:
        command = [str(self.path), *(str(argument) for argument in arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise BinaryError(f"{' '.join(command)}: exit code {done.returncode}")
        return done.stdout

    def import_file(self, preset: str, file: Path, until: str) -> str:
        """Loads a shop's file as it was at `until`."""
        return self._run("import", preset, file, "--data", self.data, "--until", until)

    def generate_demo(self) -> None:
        """Fills the data folder with the demo's generated shop."""
        self._run("demo", "--data", self.data, "--generate-only")

    def export_events(self, until: str, out: Path) -> None:
        """Writes the events before `until` as NDJSON."""
        self._run("export", "events", "--data", self.data, "--until", until, "--out", out)

    def export_training(
        self, scenario: str, as_of: str, horizon_days: int, group: str, features: Path, space: Path | None, out: Path,
        parameters: dict | None = None,
    ) -> dict:
        """Writes what a ranker of `scenario` would have seen at `as_of`; returns the binary's report.

        `space` is a folder of `embeddings.write`, trained on nothing after `as_of`; None where those in the data folder
        are.
        """
        vectors = []
        if space is not None:
            spec = json.loads((space / "space.json").read_text())
            visitor, files = spec["visitor"], f"{space / 'vectors.npy'},{space / 'ids.json'}"
            vectors = ["--embeddings", f"{spec['space']}={files},{visitor['alpha']},{visitor['regularization']}"]
        report = self._run(
            "export", "training", "--data", self.data, "--scenario", scenario, "--as-of", as_of,
            "--horizon-days", horizon_days, "--group", group, "--features", features, *vectors,
            "--out", out, "--parameters", json.dumps(parameters or {}),
        )  # fmt: skip
        return json.loads(report.strip().splitlines()[-1])

    @contextlib.contextmanager
    def serving(self, patience: float = 120.0) -> Iterator[str]:
        """A server on a free port of this machine while the block runs; gives its address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        server = subprocess.Popen([str(self.path), "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{port}"])
        try:
            _wait(url, server, patience)
            yield url
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait(url: str, server: subprocess.Popen, patience: float) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if server.poll() is not None:
            raise BinaryError(f"the server ended with exit code {server.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise BinaryError(f"the server at {url} was not ready within {patience} seconds")
