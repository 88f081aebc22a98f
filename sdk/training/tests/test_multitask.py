"""A network of several heads."""

import json

import numpy as np
import pytest

from qianmian_training import data

torch = pytest.importorskip("torch")

from qianmian_training import multitask  # noqa: E402

SMALL = multitask.Settings(hidden=16, epochs=30, batch=256, learning_rate=0.01, negatives=15)


def test_both_heads_learn_and_are_the_same_in_onnx(exports, tmp_path):
    parts = [data.load(folder) for folder in exports]
    worth = np.random.default_rng(1).uniform(1, 9, len(parts[0].labels)).astype(np.float32)
    for part in parts:
        part.names = [*part.names, "item.price"]
        part.features = np.concatenate([part.features, worth[:, None]], axis=1)
    report = multitask.run(parts, "item.price", "tasks", "score", tmp_path / "m", SMALL)
    held = report["held_out"]
    assert held["chosen"]["ndcg@10"] > 0.7, held
    assert held["value_off"] < 0.3 and 0.5 < held["chosen_over_actual"] < 2, held
    assert report["onnx"]["largest_difference"] < 1e-4
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert (manifest["kind"], manifest["output"], len(manifest["features"])) == ("ranker", "score", 4)
    assert any(None in row for row in manifest["golden"]["rows"])
    got = multitask.answers((tmp_path / "m" / "model.onnx").read_bytes(), parts[0].features[:50])
    assert np.isfinite(got["score"]).all() and ((got["chosen"] >= 0) & (got["chosen"] <= 1)).all()
    assert np.allclose(got["score"], got["chosen"] * got["value"], rtol=1e-5)


def test_gaps_are_filled_and_flagged():
    scale = multitask.Scale.of(np.array([[1, np.nan, 5], [3, 4, 5]], dtype=np.float32))
    assert scale.gaps.tolist() == [1] and scale.mean.tolist() == [2, 4, 5]
    assert scale.apply(np.array([[2, np.nan, 6]], dtype=np.float32)).tolist() == [[0, 0, 1, 1]]
    assert scale.apply(np.array([[2, 4, 1e9]], dtype=np.float32)).tolist() == [[0, 0, multitask.FURTHEST, 0]]


def test_an_unknown_value_column_is_told(exports, tmp_path):
    with pytest.raises(ValueError, match="no column 'item.price'"):
        multitask.main([*map(str, exports), "--name", "x", "--out", str(tmp_path / "m")])
