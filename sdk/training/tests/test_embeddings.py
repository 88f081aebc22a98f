"""Event exports to embeddings."""

import json

import numpy as np
import pytest

from qianmian_training import embeddings, events

SMALL = embeddings.Settings(factors=8, iterations=5)


def test_events_of_every_shape_count(event_file):
    table = events.strengths(event_file)
    assert len(table) == 60 and None not in table
    assert all(item.startswith("i") for row in table.values() for item in row)
    assert events.items_of({"items": ["a", "b", "a"]}) == ["a", "b"]
    assert events.visitor_of({"visitor": {"anonymous_id": "a9"}}) == "a9"
    assert events.visitor_of({"visitor": None}) is None


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "broken.ndjson"
    path.write_text('{"type":"view","item":"a"}\nnonsense\n')
    with pytest.raises(ValueError, match="line 2"):
        list(events.read(path))


def test_tastes_are_told_apart_and_runs_are_equal(event_file):
    table = events.strengths(event_file)
    vectors, ids, report = embeddings.train(table, SMALL)
    again, _, _ = embeddings.train(table, SMALL)
    assert np.array_equal(vectors, again)
    assert vectors.shape == (len(ids), 8) and vectors.dtype == np.float32
    assert report["own_items_in_top20"] > 0.8
    taste = np.array([int(i[1:]) >= 20 for i in ids])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    assert cosine[taste][:, taste].mean() > cosine[taste][:, ~taste].mean() + 0.3


def test_main_writes_a_space(event_file, tmp_path):
    out = tmp_path / "als"
    embeddings.main([str(event_file), "--out", str(out), "--factors", "4", "--iterations", "2"])
    assert json.loads((out / "space.json").read_text()) == {
        "space": "als",
        "metric": "dot",
        "visitor": {"kind": "ials", "alpha": 5.0, "regularization": 1.0},
    }
    assert np.load(out / "vectors.npy").shape == (len(json.loads((out / "ids.json").read_text())), 4)


def test_nothing_to_learn_from():
    with pytest.raises(ValueError, match="nothing to learn from"):
        embeddings.train({}, SMALL)
