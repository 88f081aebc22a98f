"""A sequence encoder (self-attention over the last items, as SASRec) from an event export, as ONNX.

    python -m qianmian_training.sequence events.ndjson --out sequence/ [--space sequence] [--push http://127.0.0.1:7700]

Every item of a history is predicted from those before it, among all items (a full softmax: on Amazon Beauty much better
than a few sampled negatives). Writes `model.onnx` and `manifest.json` of the encoder, and `vectors.npy`, `ids.json` and
`space.json` of the item vectors it is multiplied with. Each visitor's last item is held out first for `report.json`,
unless `--hold-out no`. Equal inputs give equal files on one machine with one thread.

Wants PyTorch, which requirements.txt leaves out for its size: `pip install torch`.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tqdm import tqdm

from . import events, push

OPSET = 17
TOLERANCE = 1e-4
# Far below any score that attention gives, and still finite.
NEVER = -1e9


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults are the ones measured on Amazon Beauty."""

    factors: int = 64
    layers: int = 2
    heads: int = 2
    length: int = 50
    dropout: float = 0.5
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    smoothing: float = 0.0
    batch: int = 128
    epochs: int = 22
    seed: int = 0
    threads: int = 1


def network(items: int, settings: Settings):
    """The network; `items` counts the padding, which is 0."""
    import torch
    from torch import nn

    class Block(nn.Module):
        """Attention and a two-layer network, each on normalised input and added to it."""

        def __init__(self) -> None:
            super().__init__()
            width = settings.factors
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.drop = nn.Dropout(settings.dropout)

        def forward(self, x, mask):
            batch, length, width = x.shape
            parts = self.qkv(self.first(x)).view(batch, length, 3, settings.heads, width // settings.heads)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(width // settings.heads) + mask, dim=-1)
            mixed = (self.drop(weights) @ v).transpose(1, 2).reshape(batch, length, width)
            x = x + self.drop(self.out(mixed))
            return x + self.drop(self.down(torch.relu(self.up(self.second(x)))))

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.items = nn.Embedding(items, settings.factors, padding_idx=0)
            self.places = nn.Embedding(settings.length, settings.factors)
            for table in (self.items, self.places):
                nn.init.normal_(table.weight, std=0.02)
            self.blocks = nn.ModuleList(Block() for _ in range(settings.layers))
            self.norm = nn.LayerNorm(settings.factors)
            self.drop = nn.Dropout(settings.dropout)

        def forward(self, ids):
            """`ids` i64 [n, L], left-padded with 0; vectors [n, L, factors]."""
            length = ids.shape[1]
            places = self.places.weight[settings.length - length :]
            x = self.drop(self.items(ids) * math.sqrt(settings.factors) + places)
            later = torch.triu(torch.full((length, length), NEVER), 1)
            mask = later + (ids == 0)[:, None, None, :] * NEVER
            for block in self.blocks:
                x = block(x, mask)
            return self.norm(x)

    return Encoder()


def padded(histories: list[list[int]], length: int) -> np.ndarray:
    """The last `length` of each, left-padded with 0."""
    rows = np.zeros((len(histories), length), dtype=np.int64)
    for row, history in zip(rows, histories):
        last = history[-length:]
        row[length - len(last) :] = last
    return rows


def train(histories: list[list[int]], items: int, settings: Settings = Settings(), watch=None):
    """Fits the network on histories of item numbers 1 to `items` - 1, oldest first.

    `watch(epoch, network)` is called after each epoch; training ends early when it returns False.
    """
    import torch

    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    rng = np.random.default_rng(settings.seed)
    histories = [history[-settings.length - 1 :] for history in histories if len(history) > 1]
    if not histories:
        raise ValueError("no visitor with two items: nothing to learn an order from")
    model = network(items, settings)
    optimiser = torch.optim.AdamW(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    # Histories of one length together waste no time on padding.
    by_length = np.array([len(history) for history in histories])
    batches = math.ceil(len(histories) / settings.batch)
    with tqdm(total=settings.epochs * batches, desc="encoder", unit="batch") as bar:
        for epoch in range(settings.epochs):
            order = np.lexsort((rng.random(len(histories)), by_length + rng.uniform(-1, 1, len(histories))))
            total = 0.0
            model.train()
            for start in rng.permutation(np.arange(0, len(histories), settings.batch)):
                some = [histories[at] for at in order[start : start + settings.batch]]
                rows = torch.from_numpy(padded(some, max(map(len, some))))
                before, target = rows[:, :-1], rows[:, 1:]
                known = (before > 0) & (target > 0)
                scores = model(before)[known] @ model.items.weight.T
                scores[:, 0] = NEVER
                loss = torch.nn.functional.cross_entropy(scores, target[known], label_smoothing=settings.smoothing)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimiser.step()
                total += float(loss.detach())
                bar.update(1)
            bar.set_postfix(epoch=epoch + 1, loss=f"{total / batches:.3f}")
            if watch is not None and watch(epoch, model) is False:
                break
    return model.eval()


def vectors_of(model, histories: list[list[int]], settings: Settings, batch: int = 512) -> np.ndarray:
    """A vector for each history, f32 [n, factors]."""
    import torch

    model.eval()
    out = []
    with torch.no_grad():
        for start in range(0, len(histories), batch):
            some = histories[start : start + batch]
            width = min(settings.length, max(map(len, some)))
            out.append(model(torch.from_numpy(padded(some, width)))[:, -1].numpy())
    return np.concatenate(out)


def ranks(users: np.ndarray, table: np.ndarray, histories: list[list[int]], targets: list[int]) -> np.ndarray:
    """The place of each target among all items outside the history, from 0; half of the ties go before it."""
    places = []
    for start in range(0, len(users), 256):
        scores = users[start : start + 256] @ table.T
        scores[:, 0] = -np.inf
        for row, history, target in zip(scores, histories[start:], targets[start:]):
            own = row[target]
            row[history] = -np.inf
            row[target] = own
            places.append((row > own).sum() + ((row == own).sum() - 1) // 2)
    return np.array(places)


def quality(places: np.ndarray, k: int = 10) -> dict[str, float]:
    """Hit rate and NDCG at `k` of a single right item at these places."""
    hit = places < k
    return {f"hr@{k}": round(float(hit.mean()), 4), f"ndcg@{k}": round(float((hit / np.log2(places + 2)).mean()), 4)}


def to_onnx(model, settings: Settings) -> bytes:
    """`input_ids` i64 [1, length], left-padded with 0, to `user_vec` f32 [1, factors]: plain operators, batch of one."""
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    length, width, heads = settings.length, settings.factors, settings.heads
    each = width // heads
    nodes, constants = [], []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def dense(x: str, name: str, output: str) -> str:
        weight = constant(f"{name}.w", weights[f"{name}.weight"].T)
        return node("Add", [node("MatMul", [x, weight], f"{output}.m"), constant(f"{name}.b", weights[f"{name}.bias"])], output)

    def norm(x: str, name: str, output: str) -> str:
        scale, bias = (constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return node("LayerNormalization", [x, scale, bias], output, axis=-1, epsilon=1e-5)

    table = constant("items", weights["items.weight"] * np.float32(math.sqrt(width)))
    found = node("Gather", [table, "input_ids"], "found", axis=0)
    x = node("Add", [found, constant("places", weights["places.weight"][None])], "x")
    empty = node("Equal", ["input_ids", constant("padding", np.array([[0]], dtype=np.int64))], "empty")
    hidden = node("Where", [empty, constant("never", np.array([[NEVER]], np.float32)), constant("none", np.zeros((1, 1), np.float32))], "hidden")
    hidden = node("Reshape", [hidden, constant("hidden_shape", np.array([1, 1, 1, length], np.int64))], "hidden4")
    later = np.triu(np.full((length, length), NEVER, np.float32), 1)
    mask = node("Add", [hidden, constant("later", later[None, None])], "mask")
    split = constant("split", np.array([1, length, heads, each], np.int64))
    join = constant("join", np.array([1, length, width], np.int64))
    for at in range(settings.layers):
        block = f"blocks.{at}"
        normed = norm(x, f"{block}.first", f"{block}.n1")
        kinds = {}
        for place, kind in enumerate("qkv"):
            part = slice(place * width, (place + 1) * width)
            scale = np.float32(1 / math.sqrt(each)) if kind == "q" else np.float32(1)
            for what in ("weight", "bias"):
                weights[f"{block}.{kind}.{what}"] = weights[f"{block}.qkv.{what}"][part] * scale
            full = dense(normed, f"{block}.{kind}", f"{block}.{kind}0")
            apart = node("Reshape", [full, split], f"{block}.{kind}1")
            turned = [0, 2, 3, 1] if kind == "k" else [0, 2, 1, 3]
            kinds[kind] = node("Transpose", [apart], f"{block}.{kind}2", perm=turned)
        scores = node("Add", [node("MatMul", [kinds["q"], kinds["k"]], f"{block}.s0"), mask], f"{block}.s")
        share = node("Softmax", [scores], f"{block}.a", axis=-1)
        mixed = node("Transpose", [node("MatMul", [share, kinds["v"]], f"{block}.o0")], f"{block}.o1", perm=[0, 2, 1, 3])
        mixed = node("Reshape", [mixed, join], f"{block}.o2")
        x = node("Add", [x, dense(mixed, f"{block}.out", f"{block}.o3")], f"{block}.x1")
        up = node("Relu", [dense(norm(x, f"{block}.second", f"{block}.n2"), f"{block}.up", f"{block}.u")], f"{block}.r")
        x = node("Add", [x, dense(up, f"{block}.down", f"{block}.d")], f"{block}.x2")
    last = node("Gather", [x, constant("last", np.array(length - 1, np.int64))], "newest", axis=1)
    norm(last, "norm", "user_vec")
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, length])]
    outputs = [helper.make_tensor_value_info("user_vec", TensorProto.FLOAT, [1, width])]
    graph = helper.make_graph(nodes, "sequence", inputs, outputs, constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def onnx_vectors(model: bytes, histories: list[list[int]], length: int) -> np.ndarray:
    """What onnxruntime says to each history, f32 [n, factors]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows = padded(histories, length)
    return np.concatenate([session.run(None, {"input_ids": row[None]})[0] for row in rows])


def write(out: Path, model, ids: list[str], name: str, space: str, histories: list[list[int]], settings: Settings) -> dict:
    """Writes encoder and space into `out`. `ids[0]` is the item of number 1. Raises ValueError when ONNX differs."""
    some = [history for history in histories if history][:: max(1, len(histories) // 64)][:64]
    table = model.items.weight.detach().numpy()
    return write_encoder(out, to_onnx(model, settings), table, ids, name, space, some, vectors_of(model, some, settings), settings.length)


def write_encoder(
    out: Path, onnx_file: bytes, table: np.ndarray, ids: list[str], name: str, space: str, some: list[list[int]],
    theirs: np.ndarray, length: int,
) -> dict:  # fmt: skip
    """Writes an encoder and its space; `table` has a row for each number, `theirs` what PyTorch says to `some` histories."""
    ours = onnx_vectors(onnx_file, some, length)
    difference = float(np.abs(ours - theirs).max())
    if difference > TOLERANCE:
        raise ValueError(f"the ONNX file and PyTorch differ by {difference}")
    golden = {"ids": [history[-length:] for history in some[:4]], "outputs": ours[:4].tolist(), "tolerance": TOLERANCE}
    manifest = {
        "name": name, "kind": "encoder", "length": length, "item_ids": ids, "space": space, "golden": golden,
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.onnx").write_bytes(onnx_file)
    (out / "manifest.json").write_text(json.dumps(manifest))
    np.save(out / "vectors.npy", np.ascontiguousarray(table[1:], dtype=np.float32))
    (out / "ids.json").write_text(json.dumps(ids))
    visitor = {"kind": "encoder", "model": name}
    (out / "space.json").write_text(json.dumps({"space": space, "metric": "dot", "visitor": visitor}, indent=1))
    return {"largest_difference": difference}


def numbered(path: Path) -> tuple[list[list[int]], list[str]]:
    """Histories of item numbers from an event export, visitors in order of their ids; `ids[0]` is number 1."""
    sequences = events.sequences(path)
    ids = sorted({item for items in sequences.values() for item in items})
    number = {item: at for at, item in enumerate(ids, 1)}
    return [[number[item] for item in sequences[visitor]] for visitor in sorted(sequences)], ids


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=Path, help="NDJSON written by `qianmian export events`")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--name", default="sequence-encoder", help="name of the encoder (default: %(default)s)")
    parser.add_argument("--space", default="sequence", help="name of the embedding space (default: %(default)s)")
    parser.add_argument("--hold-out", choices=["yes", "no"], default="yes", help="report on each visitor's last item first")
    parser.add_argument("--push", metavar="URL", help="hand encoder and space to the server there")
    parser.add_argument("--version", default="1", help="version to push as (default: 1)")
    for field, value in asdict(Settings()).items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=type(value), default=value, help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    settings = Settings(**{field: getattr(options, field) for field in asdict(Settings())})
    histories, ids = numbered(options.events)
    report: dict = {"visitors": len(histories), "items": len(ids), "settings": asdict(settings)}
    if options.hold_out == "yes":
        asked = [history for history in histories if len(history) > 2]
        if asked:
            model = train([h[:-1] if len(h) > 2 else h for h in histories], len(ids) + 1, settings)
            known = [history[:-1] for history in asked]
            table = model.items.weight.detach().numpy()
            places = ranks(vectors_of(model, known, settings), table, known, [history[-1] for history in asked])
            report["held_out"] = quality(places) | {"visitors": len(asked)}
    model = train(histories, len(ids) + 1, settings)
    report["onnx"] = write(options.out, model, ids, options.name, options.space, histories, settings)
    (options.out / "report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report))
    if options.push:
        print(json.dumps(push.model(options.push, options.out, options.version)))
        print(json.dumps(push.embeddings(options.push, options.out)))


if __name__ == "__main__":
    main()
