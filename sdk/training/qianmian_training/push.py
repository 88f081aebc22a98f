"""Hands embeddings and models to a running server over HTTP."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import numpy as np


class PushError(Exception):
    """The server refused; the text says what it answered."""


def put(url: str, body: bytes, content_type: str, timeout: float = 600.0) -> dict:
    """`PUT` of a body; the answer as JSON. Raises PushError for anything but success."""
    return send("PUT", url, body, content_type, timeout)


def lines(server: str, method: str, path: str, rows: list[dict]) -> dict:
    """Sends rows as NDJSON: the catalogue, events."""
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return send(method, f"{server.rstrip('/')}{path}", body, "application/x-ndjson")


def send(method: str, url: str, body: bytes, content_type: str, timeout: float = 600.0) -> dict:
    """A request with a body; the answer as JSON. Raises PushError for anything but success."""
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": content_type})
    token = os.environ.get("QIANMIAN_TOKEN")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        raise PushError(f"{method} {url}: {error.code} {error.read().decode(errors='replace')}") from error
    except urllib.error.URLError as error:
        raise PushError(f"{method} {url}: {error.reason}; is the server running there?") from error


def embeddings(server: str, folder: Path, timeout: float = 600.0) -> dict:
    """`PUT /v1/embeddings/{space}` with what `embeddings.write` wrote into `folder`."""
    space = json.loads((folder / "space.json").read_text())
    vectors = np.load(folder / "vectors.npy", allow_pickle=False)
    ids = json.loads((folder / "ids.json").read_text())
    lines = (json.dumps({"id": i, "vector": v.tolist()}) for i, v in zip(ids, vectors))
    visitor = dict(space["visitor"])
    query = {"metric": space["metric"], "visitor": visitor.pop("kind"), **visitor}
    if space.get("exact"):
        query["exact"] = "true"
    url = f"{server.rstrip('/')}/v1/embeddings/{urllib.parse.quote(space['space'])}?{urllib.parse.urlencode(query)}"
    return put(url, ("\n".join(lines) + "\n").encode(), "application/x-ndjson", timeout)


def model(server: str, folder: Path, version: str, timeout: float = 600.0) -> dict:
    """`PUT /v1/models/{name}/versions/{version}` with `model.onnx` and `manifest.json` of `folder`."""
    manifest = (folder / "manifest.json").read_bytes()
    boundary = uuid.uuid4().hex
    body = b""
    for name, kind, data in (
        ("manifest", "application/json", manifest),
        ("model", "application/octet-stream", (folder / "model.onnx").read_bytes()),
    ):
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        body += head.encode() + f"Content-Type: {kind}\r\n\r\n".encode() + data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    name = urllib.parse.quote(json.loads(manifest)["name"])
    url = f"{server.rstrip('/')}/v1/models/{name}/versions/{urllib.parse.quote(version)}"
    return put(url, body, f"multipart/form-data; boundary={boundary}", timeout)
