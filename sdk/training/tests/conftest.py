"""Small shops and exports made up here."""

import json

import numpy as np
import pytest


@pytest.fixture
def event_file(tmp_path):
    """60 visitors of two tastes over 40 items, in every shape an event may have."""
    rng = np.random.default_rng(7)
    path = tmp_path / "events.ndjson"
    with path.open("w") as file:
        for number in range(400):
            visitor = int(rng.integers(60))
            items = [f"i{int(i)}" for i in (visitor % 2) * 20 + rng.integers(0, 20, 3)]
            event = {"id": f"e{number}", "time": number, "visitor": {"id": f"v{visitor}"}}
            if number % 4:
                event |= {"type": "purchase", "items": items, "quantity": [1, 2, 1]}
            else:
                event |= {"type": "view", "item": items[0]}
            file.write(json.dumps(event) + "\n")
        file.write("\n")
        file.write(json.dumps({"id": "anonymous", "type": "purchase", "time": 1, "visitor": None, "items": ["i1"]}) + "\n")
        file.write(json.dumps({"id": "other", "type": "search", "time": 1, "visitor": {"id": "v1"}}) + "\n")
    return path


def write_export(folder, seed, queries=60, candidates=30):
    """An export in which `signal` tells the right candidate, `gap` is missing for half, and `noise` says nothing."""
    rng = np.random.default_rng(seed)
    rows = queries * candidates
    signal, noise = rng.normal(size=rows), rng.normal(size=rows)
    gap = np.where(rng.random(rows) < 0.5, np.nan, signal + rng.normal(size=rows) * 0.5)
    labels = np.zeros(rows, dtype=np.float32)
    for query in range(queries):
        part = slice(query * candidates, (query + 1) * candidates)
        right = np.argsort(-(signal[part] + rng.normal(size=candidates) * 0.3))[:3]
        labels[part][right] = 1
    folder.mkdir(parents=True)
    np.save(folder / "features.npy", np.stack([signal, gap, noise], 1).astype(np.float32))
    np.save(folder / "labels.npy", labels)
    np.save(folder / "groups.npy", np.full(queries, candidates, dtype=np.int32))
    (folder / "names.json").write_text(json.dumps(["item.signal", "source.near.rank", "item.noise"]))
    return folder


@pytest.fixture
def exports(tmp_path):
    return [write_export(tmp_path / f"export{seed}", seed) for seed in (1, 2)]


