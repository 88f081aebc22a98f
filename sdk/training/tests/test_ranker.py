"""Training exports to rankers."""

import json

import lightgbm as lgb
import numpy as np
import onnx
import pytest

from qianmian_training import data, metrics, ranker

SMALL = ranker.Settings(trees=30, leaves=7, min_data_in_leaf=5, negatives=20, threads=1)


def test_a_ranker_learns_converts_and_is_the_same_again(exports, tmp_path):
    parts = [data.load(folder) for folder in exports]
    report = ranker.train(parts, "home", tmp_path / "a", SMALL)
    assert report["held_out"]["ndcg@10"] > 0.8
    assert report["onnx"]["largest_difference"] < 1e-4
    assert next(iter(report["importance"])) == "item.signal"
    ranker.train(parts, "home", tmp_path / "b", SMALL)
    for file in ("model.onnx", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_manifest_is_what_the_server_reads(exports, tmp_path):
    ranker.main([*map(str, exports), "--name", "home", "--out", str(tmp_path / "m"), "--trees", "10", "--threads", "1"])
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert (manifest["name"], manifest["kind"]) == ("home", "ranker")
    assert manifest["features"] == ["item.signal", "source.near.rank", "item.noise"]
    golden = manifest["golden"]
    assert len(golden["rows"]) == len(golden["outputs"]) >= 16
    assert any(None in row for row in golden["rows"]), "gaps are golden too"
    model = (tmp_path / "m" / "model.onnx").read_bytes()
    rows = np.array([[np.nan if v is None else v for v in row] for row in golden["rows"]], dtype=np.float32)
    assert np.allclose(ranker.onnx_scores(model, rows), np.ravel(golden["outputs"]), atol=1e-6)
    graph = onnx.load_from_string(model).graph
    assert [node.op_type for node in graph.node][0] == "TreeEnsembleRegressor"
    assert graph.input[0].type.tensor_type.shape.dim[1].dim_value == 3


def test_thresholds_send_every_float_to_the_same_side():
    # All values are equal but for their last bits, so every threshold lies between two neighbouring floats.
    values = np.float32(0.1) * (1 + np.arange(64, dtype=np.float32) * np.float32(2**-23))
    labels = (np.arange(64) // 4 % 2).astype(np.int32)
    booster = lgb.train(
        {"objective": "lambdarank", "min_data_in_leaf": 1, "min_data_in_bin": 1, "verbose": -1, "num_threads": 1},
        lgb.Dataset(values[:, None], labels, group=[64]),
        20,
    )
    rounded = ranker.with_float32_thresholds(booster)
    assert np.array_equal(booster.predict(values[:, None]), rounded.predict(values[:, None]))
    onnx_side = ranker.onnx_scores(ranker.to_onnx(rounded), values[:, None])
    assert np.abs(onnx_side - booster.predict(values[:, None])).max() < 1e-5


def test_missing_where_training_had_no_gap_counts_as_zero(exports):
    part = data.load(exports[0]).only(["item.signal", "item.noise"])
    booster = ranker.fit(part, SMALL)
    gaps = part.features[:200].copy()
    gaps[::2, 0] = np.nan
    gaps[::3, 1] = np.nan
    scores = ranker.onnx_scores(ranker.to_onnx(booster), gaps)
    assert np.abs(scores - booster.predict(np.nan_to_num(gaps, nan=0.0))).max() < 1e-5


def test_a_conversion_that_ranks_otherwise_is_refused(exports):
    part = data.load(exports[0])
    good, bad = ranker.fit(part, SMALL), ranker.fit(part.only(["item.noise"]), SMALL)
    with pytest.raises(ranker.ConversionError, match="NDCG@10"):
        ranker.check(good, _widened(bad), part)


def _widened(booster):
    """A model of the noise alone that takes all three columns."""
    model = onnx.load_from_string(ranker.to_onnx(booster))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3
    return model.SerializeToString()


def test_exports_that_do_not_fit_are_refused(exports):
    np.save(exports[0] / "groups.npy", np.array([5], dtype=np.int32))
    with pytest.raises(ValueError, match="do not fit together"):
        data.load(exports[0])
    with pytest.raises(ValueError, match="no column item.colour"):
        data.load(exports[1]).only(["item.colour"])


def test_thinning_keeps_what_is_right(exports):
    part = data.load(exports[0])
    thin = part.thinned(5, seed=1)
    assert (thin.labels > 0).sum() == (part.labels > 0).sum()
    assert set(thin.groups) == {8} and len(thin.labels) == 8 * 60


def test_metrics_by_hand():
    scores, labels = np.array([3.0, 2.0, 1.0, 5.0, 4.0]), np.array([0, 1, 0, 0, 1])
    report = metrics.report(scores, labels, np.array([3, 2]))
    assert report == {"ndcg@10": round(1 / np.log2(3), 4), "hr@10": 1.0, "mrr@10": 0.5, "groups": 2}
    with pytest.raises(ValueError, match="5 scores"):
        metrics.report(scores, labels, np.array([3]))
