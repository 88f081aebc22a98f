"""Two towers from an event export: one makes a vector of a visitor's last items, the other one of each item, as ONNX.

    python -m qianmian_training.two_tower events.ndjson --out towers/ [--space towers] [--push http://127.0.0.1:7700]

The visitor's tower is a weighted mean of item embeddings, newer ones weighing more, and a small network; the item's has
embeddings of its own. Trained against the other items of the batch, corrected for how often each is in one (a popular
item is a negative more often than it should). Cheaper than `sequence`, and indifferent to order but for recency. Writes
the same files as `sequence`.

Wants PyTorch, which requirements.txt leaves out for its size: `pip install torch`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tqdm import tqdm

from . import push, sequence


@dataclass(frozen=True)
class Settings:
    """How to train. Measured on Amazon Beauty; more epochs were not tried."""

    factors: int = 64
    hidden: int = 128
    length: int = 50
    dropout: float = 0.2
    learning_rate: float = 1e-3
    batch: int = 512
    epochs: int = 7
    # How sharp the softmax over normalised item vectors is.
    sharpness: float = 10.0
    seed: int = 0
    threads: int = 1


def network(items: int, settings: Settings):
    """Both towers; `items` counts the padding, which is 0."""
    import torch
    from torch import nn

    class Towers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = settings.factors
            self.seen = nn.Embedding(items, width, padding_idx=0)
            self.items = nn.Embedding(items, width)
            self.age = nn.Parameter(torch.zeros(settings.length))
            self.up, self.down = nn.Linear(width, settings.hidden), nn.Linear(settings.hidden, width)
            self.drop = nn.Dropout(settings.dropout)
            for table in (self.seen, self.items):
                nn.init.normal_(table.weight, std=0.1)
            with torch.no_grad():
                self.seen.weight[0] = 0

        def visitor(self, ids):
            """`ids` i64 [n, L], left-padded with 0; vectors [n, factors]."""
            weights = torch.exp(self.age[settings.length - ids.shape[1] :]) * (ids > 0)
            weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-6)
            mean = (weights[:, :, None] * self.drop(self.seen(ids))).sum(1)
            return mean + self.down(torch.relu(self.up(mean)))

        def table(self, numbers=None):
            """Normalised and sharpened: the vectors of these items, or of all."""
            found = self.items.weight if numbers is None else self.items(numbers)
            return nn.functional.normalize(found, dim=1) * settings.sharpness

    return Towers()


def train(histories: list[list[int]], items: int, settings: Settings = Settings()):
    """Fits both towers on histories of item numbers 1 to `items` - 1, oldest first. Raises ValueError without pairs."""
    import torch

    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    rng = np.random.default_rng(settings.seed)
    # Every item but the first of a history, with what stood before it.
    asked = [(at, end) for at, history in enumerate(histories) for end in range(max(1, len(history) - settings.length), len(history))]
    if not asked:
        raise ValueError("no visitor with two items: nothing to learn from")
    counts = np.bincount([histories[at][end] for at, end in asked], minlength=items)
    often = torch.from_numpy(np.log(np.maximum(counts, 1) / len(asked))).float()
    model = network(items, settings)
    optimiser = torch.optim.Adam(model.parameters(), settings.learning_rate)
    batches = (len(asked) + settings.batch - 1) // settings.batch
    with tqdm(total=settings.epochs * batches, desc="towers", unit="batch") as bar:
        for epoch in range(settings.epochs):
            model.train()
            total = 0.0
            order = rng.permutation(len(asked))
            for start in range(0, len(asked), settings.batch):
                some = [asked[at] for at in order[start : start + settings.batch]]
                rows = [histories[at][max(0, end - settings.length) : end] for at, end in some]
                target = torch.tensor([histories[at][end] for at, end in some])
                ids = torch.from_numpy(sequence.padded(rows, max(map(len, rows))))
                scores = model.visitor(ids) @ model.table(target).T - often[target]
                # The same item twice in a batch is no negative of itself.
                twice = (target[:, None] == target[None, :]) & ~torch.eye(len(some), dtype=torch.bool)
                loss = torch.nn.functional.cross_entropy(scores.masked_fill(twice, sequence.NEVER), torch.arange(len(some)))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                total += float(loss.detach())
                bar.update(1)
            bar.set_postfix(epoch=epoch + 1, loss=f"{total / batches:.3f}")
    return model.eval()


def vectors_of(model, histories: list[list[int]], settings: Settings, batch: int = 1024) -> np.ndarray:
    """A vector for each history, f32 [n, factors]."""
    import torch

    parts = []
    with torch.no_grad():
        for start in range(0, len(histories), batch):
            some = histories[start : start + batch]
            ids = sequence.padded(some, min(settings.length, max(map(len, some))))
            parts.append(model.eval().visitor(torch.from_numpy(ids)).numpy())
    return np.concatenate(parts)


def table_of(model) -> np.ndarray:
    """The items' vectors f32 [items, factors]; row 0 is padding."""
    return model.table().detach().numpy()


def to_onnx(model, settings: Settings) -> bytes:
    """The visitor's tower: `input_ids` i64 [1, length], left-padded with 0, to `user_vec` f32 [1, factors]."""
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    length = settings.length
    constants = {
        "seen": weights["seen.weight"],
        "age": np.exp(weights["age"])[None],
        "least": np.array([[1e-6]], np.float32),
        "zero": np.array([[0]], np.int64),
        "gone": np.zeros((1, 1), np.float32),
        "up.w": weights["up.weight"].T,
        "up.b": weights["up.bias"],
        "down.w": weights["down.weight"].T,
        "down.b": weights["down.bias"],
        "flat": np.array([1, 1, length], np.int64),
        "vector": np.array([1, settings.factors], np.int64),
        "last": np.array([1], np.int64),
    }
    steps = [
        ("Equal", ["input_ids", "zero"], "empty", {}),
        ("Where", ["empty", "gone", "age"], "weights", {}),
        ("ReduceSum", ["weights", "last"], "sum", {"keepdims": 1}),
        ("Max", ["sum", "least"], "most", {}),
        ("Div", ["weights", "most"], "shares", {}),
        ("Reshape", ["shares", "flat"], "row", {}),
        ("Gather", ["seen", "input_ids"], "found", {"axis": 0}),
        ("MatMul", ["row", "found"], "mean3", {}),
        ("Reshape", ["mean3", "vector"], "mean", {}),
        ("MatMul", ["mean", "up.w"], "u0", {}),
        ("Add", ["u0", "up.b"], "u1", {}),
        ("Relu", ["u1"], "u2", {}),
        ("MatMul", ["u2", "down.w"], "d0", {}),
        ("Add", ["d0", "down.b"], "d1", {}),
        ("Add", ["mean", "d1"], "user_vec", {}),
    ]
    nodes = [helper.make_node(kind, inputs, [output], output, **more) for kind, inputs, output, more in steps]
    tensors = [numpy_helper.from_array(np.array(value, order="C"), name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, length])]
    outputs = [helper.make_tensor_value_info("user_vec", TensorProto.FLOAT, [1, settings.factors])]
    graph = helper.make_graph(nodes, "two_tower", inputs, outputs, tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", sequence.OPSET)], ir_version=8)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def write(out: Path, model, ids: list[str], name: str, space: str, histories: list[list[int]], settings: Settings) -> dict:
    """Writes encoder and space into `out`. `ids[0]` is the item of number 1. Raises ValueError when ONNX differs."""
    some = [history for history in histories if history][:: max(1, len(histories) // 64)][:64]
    theirs = vectors_of(model, some, settings)
    return sequence.write_encoder(out, to_onnx(model, settings), table_of(model), ids, name, space, some, theirs, settings.length)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=Path, help="NDJSON written by `qianmian export events`")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--name", default="visitor-tower", help="name of the encoder (default: %(default)s)")
    parser.add_argument("--space", default="towers", help="name of the embedding space (default: %(default)s)")
    parser.add_argument("--hold-out", choices=["yes", "no"], default="yes", help="report on each visitor's last item first")
    parser.add_argument("--push", metavar="URL", help="hand encoder and space to the server there")
    parser.add_argument("--version", default="1", help="version to push as (default: 1)")
    for field, value in asdict(Settings()).items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=type(value), default=value, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    settings = Settings(**{field: getattr(options, field) for field in asdict(Settings())})
    histories, ids = sequence.numbered(options.events)
    report: dict = {"visitors": len(histories), "items": len(ids), "settings": asdict(settings)}
    asked = [history for history in histories if len(history) > 2]
    if options.hold_out == "yes" and asked:
        model = train([h[:-1] if len(h) > 2 else h for h in histories], len(ids) + 1, settings)
        known = [history[:-1] for history in asked]
        places = sequence.ranks(vectors_of(model, known, settings), table_of(model), known, [history[-1] for history in asked])
        report["held_out"] = sequence.quality(places) | {"visitors": len(asked)}
    model = train(histories, len(ids) + 1, settings)
    report["onnx"] = write(options.out, model, ids, options.name, options.space, histories, settings)
    (options.out / "report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report))
    if options.push:
        print(json.dumps(push.model(options.push, options.out, options.version)))
        print(json.dumps(push.embeddings(options.push, options.out)))


if __name__ == "__main__":
    main()
