"""Rankers: LambdaMART (LightGBM) over exported feature columns, as ONNX.

    python -m qianmian_training.ranker exports/08 exports/09 exports/10 --name home --out home/ [--push URL --version 1]

The last export (of a single one, its last fifth of queries) is held out first to report what to expect; the model that
is written is then trained on everything. Writes `model.onnx`, `manifest.json` and `report.json`. Equal inputs give an
equal model.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
import onnx
import onnxruntime
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from tqdm import tqdm

from . import data, metrics, push

OPSET = 15
GOLDEN_ROWS = 16
TOLERANCE = 1e-4


class ConversionError(Exception):
    """The ONNX file does not rank as the trained model does."""


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults are the ones measured on the online-retail shop."""

    trees: int = 200
    leaves: int = 31
    learning_rate: float = 0.05
    min_data_in_leaf: int = 50
    feature_fraction: float = 0.7
    bagging_fraction: float = 0.8
    l2: float = 5.0
    truncation: int = 20
    # Wrong candidates a query that are trained on; 0 keeps all.
    negatives: int = 120
    seed: int = 1
    threads: int = 2


def fit(ranked: data.Ranked, settings: Settings = Settings(), label: str = "trees") -> lgb.Booster:
    """Trains; the thresholds are float32 numbers, so that float32 features fall to the same side in ONNX."""
    if settings.negatives:
        ranked = ranked.thinned(settings.negatives, settings.seed)
    parameters = {
        "objective": "lambdarank",
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.min_data_in_leaf,
        "feature_fraction": settings.feature_fraction,
        "bagging_fraction": settings.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": settings.l2,
        "lambdarank_truncation_level": settings.truncation,
        "label_gain": [0, 1],
        "seed": settings.seed,
        "num_threads": settings.threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    # LightGBM refuses characters that JSON gives a meaning, so it knows columns by number only.
    dataset = lgb.Dataset(ranked.features, (ranked.labels > 0).astype(np.int32), group=ranked.groups)
    with tqdm(total=settings.trees, desc=label, unit="tree") as bar:
        booster = lgb.train(parameters, dataset, settings.trees, callbacks=[lambda _: bar.update(1) and None])
    return with_float32_thresholds(booster)


def with_float32_thresholds(booster: lgb.Booster) -> lgb.Booster:
    """The same model with every threshold rounded down to a float32.

    `x <= t` for a float32 x is `x <= floor32(t)`; rounding to the nearest, as converters do, may go above t and send x
    to the other side.
    """

    def floor32(text: str) -> str:
        wide = float(text)
        narrow = np.float32(wide)
        if float(narrow) > wide:
            narrow = np.nextafter(narrow, np.float32(-np.inf))
        return repr(float(narrow))

    def line(match: re.Match[str]) -> str:
        return "threshold=" + " ".join(floor32(text) for text in match.group(1).split())

    text = re.sub(r"^threshold=(.*)$", line, booster.model_to_string(), flags=re.MULTILINE)
    # The sizes in bytes that stand there are no longer true; without them the trees are read one after the other.
    text = re.sub(r"^tree_sizes=.*\n", "", text, flags=re.MULTILINE)
    return lgb.Booster(model_str=text)


def to_onnx(booster: lgb.Booster) -> bytes:
    """One input `input` f32 [n, F], one output f32 [n, 1]."""
    types = [("input", FloatTensorType([None, booster.num_feature()]))]
    # A name, because the converter would make one up at random.
    model = convert_lightgbm(booster, name="ranker", initial_types=types, target_opset=OPSET)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    onnx.checker.check_model(model)
    return model.SerializeToString()


def onnx_scores(model: bytes, features: np.ndarray) -> np.ndarray:
    """What onnxruntime says, f32 [n]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return session.run(None, {name: np.ascontiguousarray(features, dtype=np.float32)})[0].reshape(-1)


def check(booster: lgb.Booster, model: bytes, ranked: data.Ranked, rows: int = 200_000) -> dict:
    """Compares ONNX and LightGBM on the first queries of `ranked`, up to about `rows` candidates.

    Gates on the ranking: NDCG must agree to 0.001, because scores may differ where sums are rounded. Raises
    ConversionError.
    """
    last = max(1, int(np.searchsorted(np.cumsum(ranked.groups), rows)))
    some = ranked.part(0, min(last, ranked.queries()))
    ours, theirs = onnx_scores(model, some.features), booster.predict(some.features)
    a, b = (metrics.report(scores, some.labels, some.groups) for scores in (ours, theirs))
    difference = float(np.abs(ours - theirs).max())
    if abs(a["ndcg@10"] - b["ndcg@10"]) > 1e-3:
        raise ConversionError(f"NDCG@10 is {a['ndcg@10']} in ONNX and {b['ndcg@10']} in LightGBM (scores differ by {difference})")
    return {"onnx_ndcg@10": a["ndcg@10"], "lightgbm_ndcg@10": b["ndcg@10"], "largest_difference": difference}


def golden(model: bytes, ranked: data.Ranked) -> dict:
    """Rows spread over the data, those with gaps among them, and their scores. Missing numbers are null."""
    rows = np.unique(np.linspace(0, len(ranked.labels) - 1, GOLDEN_ROWS).astype(int))
    gaps = np.flatnonzero(np.isnan(ranked.features).any(axis=1))[:2]
    features = ranked.features[np.union1d(rows, gaps)]
    scores = onnx_scores(model, features)
    return {
        "rows": [[None if np.isnan(value) else float(value) for value in row] for row in features],
        "outputs": [[float(score)] for score in scores],
        "tolerance": TOLERANCE,
    }


def importance(booster: lgb.Booster, names: list[str]) -> dict[str, float]:
    """Share of the gain by column, highest first."""
    gain = booster.feature_importance("gain")
    share = gain / max(gain.sum(), 1e-12)
    return {names[at]: round(float(share[at]), 4) for at in np.argsort(-share, kind="stable")}


def train(parts: list[data.Ranked], name: str, out: Path, settings: Settings = Settings()) -> dict:
    """Holds out the last part, reports, trains on everything, converts, checks, and writes into `out`."""
    if len(parts) > 1:
        known, held = data.join(parts[:-1]), parts[-1]
    else:
        cut = max(1, parts[0].queries() * 4 // 5)
        known, held = parts[0].part(0, cut), parts[0].part(cut, parts[0].queries())
    report: dict = {"name": name, "queries": sum(p.queries() for p in parts), "settings": asdict(settings)}
    if held.queries():
        booster = fit(known, settings, f"{name}, held out")
        report["held_out"] = metrics.report(booster.predict(held.features), held.labels, held.groups)
    everything = data.join(parts)
    booster = fit(everything, settings, name)
    report["trained_on"] = metrics.report(booster.predict(everything.features), everything.labels, everything.groups)
    model = to_onnx(booster)
    report["onnx"] = check(booster, model, held if held.queries() else everything)
    report["importance"] = importance(booster, everything.names)
    manifest = {"name": name, "kind": "ranker", "features": everything.names, "golden": golden(model, everything)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.onnx").write_bytes(model)
    (out / "manifest.json").write_text(json.dumps(manifest, allow_nan=False))
    (out / "report.json").write_text(json.dumps(report, indent=1))
    return report


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", type=Path, nargs="+", help="folders of `qianmian export training`, oldest first")
    parser.add_argument("--name", required=True, help="the name strategies use")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--features", type=Path, help="JSON list of the columns to use (default: all of the export)")
    parser.add_argument("--push", metavar="URL", help="hand the model to the server there")
    parser.add_argument("--version", default="1", help="version to push as (default: 1)")
    for field, value in asdict(Settings()).items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=type(value), default=value, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    parts = [data.load(folder) for folder in options.exports]
    if options.features:
        wanted = json.loads(options.features.read_text())
        parts = [part.only(wanted) for part in parts]
    settings = Settings(**{field: getattr(options, field) for field in asdict(Settings())})
    report = train(parts, options.name, options.out, settings)
    print(json.dumps({key: report[key] for key in ("name", "queries", "held_out", "trained_on", "onnx") if key in report}))
    if options.push:
        print(json.dumps(push.model(options.push, options.out, options.version)))


if __name__ == "__main__":
    main()
