"""A network of several heads from training exports: how likely a candidate is chosen, what it is then worth, and both.

    python -m qianmian_training.multitask exports/08 exports/09 --value item.price --name home-tasks --out tasks/

One body of dense layers, two heads: `chosen`, a probability, and `value`, the number of the column `--value` to expect of
a candidate that is chosen (learnt on chosen ones alone, on a log scale). `score` is the product, the default order of the
model. The network centres and scales its own input and fills gaps with the mean, a flag beside each column that had any,
so features go in as the server has them. The last export is held out for `report.json`. Writes `model.onnx` with the
three outputs, `manifest.json` and `report.json`.

Wants PyTorch, which requirements.txt leaves out for its size: `pip install torch`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tqdm import tqdm

from . import data, metrics, push

OPSET = 17
TOLERANCE = 1e-4
OUTPUTS = ["chosen", "value", "score"]
# Deviations from the mean that are told apart: what lies further out is an outlier no training has seen enough of.
FURTHEST = 8.0
# Of log(1 + value): no prediction overflows.
HIGHEST = 20.0


@dataclass(frozen=True)
class Settings:
    """How to train."""

    hidden: int = 64
    layers: int = 2
    dropout: float = 0.1
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    # How much the value head weighs against the other.
    value_weight: float = 0.2
    batch: int = 4096
    epochs: int = 5
    negatives: int = 60
    seed: int = 0
    threads: int = 1


@dataclass
class Scale:
    """Mean and deviation of each column, and which columns had gaps."""

    mean: np.ndarray
    deviation: np.ndarray
    gaps: np.ndarray

    @staticmethod
    def of(features: np.ndarray) -> Scale:
        """Of finite numbers; a column without any has mean 0."""
        finite = np.isfinite(features)
        count = np.maximum(finite.sum(axis=0), 1)
        mean = np.where(finite, features, 0).sum(axis=0, dtype=np.float64) / count
        spread = (np.where(finite, features - mean, 0) ** 2).sum(axis=0, dtype=np.float64) / count
        deviation = np.where(spread > 1e-12, np.sqrt(spread), 1.0)
        return Scale(mean.astype(np.float32), deviation.astype(np.float32), np.flatnonzero((~finite).any(axis=0)))

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Columns centred, scaled and cut, gaps 0, then a flag for each column of `gaps`."""
        scaled = (features - self.mean) / self.deviation
        missing = np.isnan(features)
        flags = missing[:, self.gaps].astype(np.float32)
        near = np.clip(np.where(missing, 0, scaled), -FURTHEST, FURTHEST)
        return np.concatenate([near.astype(np.float32), flags], axis=1)


def network(width: int, settings: Settings):
    """The body and both heads."""
    import torch
    from torch import nn

    class Tasks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [width] + [settings.hidden] * settings.layers
            self.body = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
            self.chosen, self.value = nn.Linear(widths[-1], 1), nn.Linear(widths[-1], 1)
            self.drop = nn.Dropout(settings.dropout)

        def forward(self, x):
            for layer in self.body:
                x = self.drop(torch.relu(layer(x)))
            return self.chosen(x)[:, 0], self.value(x)[:, 0]

    return Tasks()


def train(ranked: data.Ranked, values: np.ndarray, scale: Scale, settings: Settings = Settings()):
    """Fits the network; `values` are what each candidate is worth, NaN where not known."""
    import torch

    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    x = torch.from_numpy(scale.apply(ranked.features))
    chosen = torch.from_numpy((ranked.labels > 0).astype(np.float32))
    worth = torch.from_numpy(np.log1p(np.maximum(np.nan_to_num(values), 0)).astype(np.float32))
    told = (chosen > 0) & torch.from_numpy(np.isfinite(values))
    model = network(x.shape[1], settings)
    optimiser = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    batches = (len(x) + settings.batch - 1) // settings.batch
    with tqdm(total=settings.epochs * batches, desc="tasks", unit="batch") as bar:
        for _ in range(settings.epochs):
            order = torch.randperm(len(x))
            for start in range(0, len(x), settings.batch):
                some = order[start : start + settings.batch]
                choice, value = model(x[some])
                loss = torch.nn.functional.binary_cross_entropy_with_logits(choice, chosen[some])
                right = told[some]
                if right.any():
                    loss = loss + settings.value_weight * torch.nn.functional.mse_loss(value[right], worth[some][right])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                bar.update(1)
    return model.eval()


def to_onnx(model, scale: Scale) -> bytes:
    """`input` f32 [n, F] with gaps as NaN, to `chosen`, `value` and `score`, each f32 [n, 1]."""
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    nodes, constants = [], []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def dense(x: str, name: str, output: str) -> str:
        return node("Gemm", [x, constant(f"{name}.w", weights[f"{name}.weight"]), constant(f"{name}.b", weights[f"{name}.bias"])], output, transB=1)

    # The one number that differs from itself.
    there = node("Equal", ["input", "input"], "there")
    centred = node("Sub", ["input", constant("mean", scale.mean[None])], "centred")
    scaled = node("Div", [centred, constant("deviation", scale.deviation[None])], "scaled")
    x = node("Where", [there, scaled, constant("fill", np.zeros((1, 1), np.float32))], "filled")
    ends = [constant("least", np.array(-FURTHEST, np.float32)), constant("most", np.array(FURTHEST, np.float32))]
    x = node("Clip", [x, *ends], "cut")
    if len(scale.gaps):
        ones, zeros = constant("one", np.ones((1, 1), np.float32)), constant("zero", np.zeros((1, 1), np.float32))
        flags = node("Where", [there, zeros, ones], "flags")
        some = node("Gather", [flags, constant("gaps", scale.gaps.astype(np.int64))], "flagged", axis=1)
        x = node("Concat", [x, some], "widened", axis=1)
    for at in range(len(model.body)):
        x = node("Relu", [dense(x, f"body.{at}", f"layer{at}")], f"relu{at}")
    chosen = node("Sigmoid", [dense(x, "chosen", "logit")], "chosen")
    ends = [constant("nothing", np.array(0, np.float32)), constant("highest", np.array(HIGHEST, np.float32))]
    exponent = node("Exp", [node("Clip", [dense(x, "value", "log"), *ends], "log_cut")], "exponent")
    value = node("Sub", [exponent, constant("unit", np.ones((1, 1), np.float32))], "value")
    node("Mul", [chosen, value], "score")
    given = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", len(scale.mean)])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in OUTPUTS]
    graph = helper.make_graph(nodes, "multitask", given, outputs, constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def answers(model: bytes, features: np.ndarray) -> dict[str, np.ndarray]:
    """What onnxruntime says, f32 [n] by output."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    got = session.run(OUTPUTS, {"input": np.ascontiguousarray(features, dtype=np.float32)})
    return {name: values.reshape(-1) for name, values in zip(OUTPUTS, got)}


def predicted(model, scale: Scale, features: np.ndarray) -> dict[str, np.ndarray]:
    """The same by PyTorch."""
    import torch

    with torch.no_grad():
        choice, value = model(torch.from_numpy(scale.apply(features)))
        chosen, worth = torch.sigmoid(choice).numpy(), torch.expm1(value.clamp(0, HIGHEST)).numpy()
    return {"chosen": chosen, "value": worth, "score": chosen * worth}


def quality(got: dict[str, np.ndarray], ranked: data.Ranked, values: np.ndarray) -> dict:
    """How well `chosen` and `score` rank; how far `value` is off, as a share of the mean, on what was chosen."""
    right = (ranked.labels > 0) & np.isfinite(values)
    off = float(np.abs(got["value"][right] - values[right]).mean() / max(np.abs(values[right]).mean(), 1e-9)) if right.any() else None
    mean = float(got["chosen"].mean()) / max(float((ranked.labels > 0).mean()), 1e-9)
    return {
        "chosen": metrics.report(got["chosen"], ranked.labels, ranked.groups),
        "score": metrics.report(got["score"], ranked.labels, ranked.groups),
        "value_off": None if off is None else round(off, 4),
        "chosen_over_actual": round(mean, 4),
    }


def run(parts: list[data.Ranked], value: str, name: str, order_by: str, out: Path, settings: Settings = Settings()) -> dict:
    """Trains, checks and writes; returns the report. Raises ValueError for an unknown column or a conversion that differs."""
    if value not in parts[0].names:
        raise ValueError(f"no column {value!r} in the export; it has {', '.join(parts[0].names)}")
    if len(parts) > 1:
        known, held = data.join(parts[:-1]), parts[-1]
    else:
        cut = max(1, parts[0].queries() * 4 // 5)
        known, held = parts[0].part(0, cut), parts[0].part(cut, parts[0].queries())
    column = parts[0].names.index(value)

    def fit(ranked: data.Ranked):
        thin = ranked.thinned(settings.negatives, settings.seed) if settings.negatives else ranked
        scale = Scale.of(thin.features)
        model = train(thin, thin.features[:, column], scale, settings)
        # Wrong candidates left out made being chosen look more likely than it is.
        wrong = [max(int((part.labels <= 0).sum()), 1) for part in (thin, ranked)]
        model.chosen.bias.data += float(np.log(wrong[0] / wrong[1]))
        return model, scale

    report: dict = {"name": name, "settings": asdict(settings), "queries": sum(part.queries() for part in parts)}
    if held.queries():
        model, scale = fit(known)
        report["held_out"] = quality(predicted(model, scale, held.features), held, held.features[:, column])
    everything = data.join(parts)
    model, scale = fit(everything)
    file = to_onnx(model, scale)
    some = everything.features[:: max(1, len(everything.labels) // 2000)][:2000]
    ours, theirs = answers(file, some), predicted(model, scale, some)
    difference = max(float((np.abs(ours[o] - theirs[o]) / np.maximum(1, np.abs(theirs[o]))).max()) for o in OUTPUTS)
    if difference > TOLERANCE:
        raise ValueError(f"the ONNX file and PyTorch differ by {difference}")
    report["onnx"] = {"largest_difference": difference}
    golden = {
        "rows": [[None if np.isnan(v) else float(v) for v in row] for row in some[:16]],
        "outputs": [[float(v)] for v in ours[order_by][:16]],
        "tolerance": TOLERANCE,
    }
    manifest = {"name": name, "kind": "ranker", "features": everything.names, "output": order_by, "golden": golden}
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.onnx").write_bytes(file)
    (out / "manifest.json").write_text(json.dumps(manifest, allow_nan=False))
    (out / "report.json").write_text(json.dumps(report, indent=1))
    return report


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", type=Path, nargs="+", help="folders of `qianmian export training`, oldest first")
    parser.add_argument("--value", default="item.price", help="column of what a candidate is worth (default: %(default)s)")
    parser.add_argument("--order-by", choices=OUTPUTS, default="score", help="the output that ranks (default: %(default)s)")
    parser.add_argument("--name", required=True, help="the name strategies use")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--push", metavar="URL", help="hand the model to the server there")
    parser.add_argument("--version", default="1", help="version to push as (default: 1)")
    for field, value in asdict(Settings()).items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=type(value), default=value, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    settings = Settings(**{field: getattr(options, field) for field in asdict(Settings())})
    parts = [data.load(folder) for folder in options.exports]
    report = run(parts, options.value, options.name, options.order_by, options.out, settings)
    print(json.dumps({key: report[key] for key in ("name", "queries", "held_out", "onnx") if key in report}))
    if options.push:
        print(json.dumps(push.model(options.push, options.out, options.version)))


if __name__ == "__main__":
    main()
