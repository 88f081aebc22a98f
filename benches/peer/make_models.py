"""Writes the models of `bench models`, each with its inputs.

    python make_models.py DIR            # what the bench measures
    python make_models.py DIR --small    # the same graphs, a few KB each: the fixtures of models/tests

DIR/NAME.onnx, and for each number of candidates DIR/NAME.N.INPUT.npy; DIR/models.json lists inputs and their sides. With
--small the inputs and onnxruntime's outputs go to DIR/NAME.json. The trees are trained by LightGBM and converted by
onnxmltools; the networks are authored with the `onnx` package as PyTorch's exporter writes them, with random weights: what
a layer costs does not depend on them. Seeded: the same arguments make the same files.
"""

import argparse
import json
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

BATCHES = (1, 100, 500)
SMALL_BATCHES = (1, 30)


class Size:
    """How large things are; divided by a lot for fixtures."""

    def __init__(self, small: bool):
        self.small = small

    def rows(self, n: int) -> int:
        """Rows of an embedding table."""
        return 20 if self.small else n

    def wide(self, n: int) -> int:
        """Width of a layer."""
        return max(6, n // 14 + 3) if self.small else n

    def long(self, n: int) -> int:
        """Length of a history."""
        return n // 7 if self.small else n


class Graph:
    """An ONNX graph under construction; every method returns the name of a value."""

    def __init__(self, name: str, size: Size, opset: int = 17):
        self.name, self.size, self.opset = name, size, opset
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.nodes, self.constants, self.inputs, self.outputs, self.sides, self.count = [], [], [], [], {}, 0

    def const(self, array, dtype=None) -> str:
        self.count += 1
        name = f"c{self.count}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype=dtype), name))
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes):
        self.count += 1
        names = [f"{kind}_{self.count}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"n{self.count}", domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def input(self, name: str, dtype, shape, side: str = "candidate", most: int = 0) -> str:
        """`most`: ids run from 1 to one less, histories end in a ragged padding of 0."""
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        self.sides[name] = {"side": side, "most": most, "shape": shape[1:], "first": shape[0]}
        return name

    def output(self, value: str, shape, name: str = "score", dtype=TensorProto.FLOAT) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def model(self):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.constants)
        domains = sorted({n.domain for n in self.nodes} - {""})
        opsets = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(d, 3) for d in domains]
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model

    # layers

    def linear(self, x, i, o, activation=None, gemm=True, bias=True):
        weight = (self.rng.standard_normal((o, i)) / np.sqrt(i)).astype("f4")
        shift = (self.rng.standard_normal(o) * 0.1).astype("f4")
        if gemm:
            y = self.op("Gemm", x, self.const(weight), self.const(shift), transB=1)
        else:
            y = self.op("MatMul", x, self.const(weight.T.copy()))
            y = self.op("Add", y, self.const(shift)) if bias else y
        if activation == "PRelu":
            return self.op("PRelu", y, self.const([0.25], "f4"))
        return self.op(activation, y) if activation else y

    def stack(self, x, i, widths, last=None):
        for o in widths:
            x, i = self.linear(x, i, o, "Relu"), o
        return self.linear(x, i, 1, last)

    def table(self, rows, width):
        return self.const((self.rng.standard_normal((rows, width)) * 0.5).astype("f4"))

    def ints(self, *values):
        return self.const(values, "i8")

    def unsqueeze(self, x, axis):
        return self.op("Unsqueeze", x, self.ints(axis))

    def squeeze(self, x, axis):
        return self.op("Squeeze", x, self.ints(axis))

    def rows_of(self, x):
        return self.op("Unsqueeze", self.op("Gather", self.op("Shape", x), self.const(0, "i8")), self.ints(0))

    def norm(self, x, d, fused=True):
        gain = self.const((1 + 0.1 * self.rng.standard_normal(d)).astype("f4"))
        shift = self.const((0.1 * self.rng.standard_normal(d)).astype("f4"))
        if fused:
            return self.op("LayerNormalization", x, gain, shift, axis=-1, epsilon=1e-5)
        centred = self.op("Sub", x, self.op("ReduceMean", x, axes=[-1]))
        variance = self.op("ReduceMean", self.op("Pow", centred, self.const(2, "f4")), axes=[-1])
        deviation = self.op("Sqrt", self.op("Add", variance, self.const(1e-5, "f4")))
        return self.op("Add", self.op("Mul", self.op("Div", centred, deviation), gain), shift)

    def gelu(self, x):
        erf = self.op("Erf", self.op("Div", x, self.const(np.sqrt(2), "f4")))
        return self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.const(1, "f4"))), self.const(0.5, "f4"))

    def attention(self, x, rows, length, d, heads, mask):
        each = d // heads
        shape = self.op("Concat", rows, self.ints(length), self.ints(heads), self.ints(each), axis=0)
        q, k, v = (self.op("Reshape", self.linear(x, d, d, gemm=False), shape) for _ in range(3))
        q, v = (self.op("Transpose", y, perm=[0, 2, 1, 3]) for y in (q, v))
        k = self.op("Transpose", k, perm=[0, 2, 3, 1])
        a = self.op("Div", self.op("MatMul", q, k), self.const(np.sqrt(each), "f4"))
        a = self.op("Softmax", self.op("Add", a, mask), axis=-1)
        y = self.op("Transpose", self.op("MatMul", a, v), perm=[0, 2, 1, 3])
        y = self.op("Reshape", y, self.op("Concat", rows, self.ints(length), self.ints(d), axis=0))
        return self.linear(y, d, d, gemm=False)

    def encoder_layer(self, x, rows, length, d, heads, mask, fused=True):
        x = self.norm(self.op("Add", x, self.attention(x, rows, length, d, heads, mask)), d, fused)
        y = self.linear(self.gelu(self.linear(x, d, 4 * d, gemm=False)), 4 * d, d, gemm=False)
        return self.norm(self.op("Add", x, y), d, fused)

    def padding_mask(self, ids):
        """0 where there is an item, -1e9 where there is none: [rows, 1, 1, length]."""
        empty = self.op("Equal", ids, self.const(0, "i8"))
        mask = self.op("Where", empty, self.const(-1e9, "f4"), self.const(0, "f4"))
        return self.unsqueeze(self.unsqueeze(mask, 1), 1)


FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def mlp(s):
    g = Graph("mlp", s)
    x = g.input("x", FLOAT, ["N", s.wide(64)])
    g.output(g.stack(x, s.wide(64), [s.wide(256), s.wide(128)], "Sigmoid"), ["N", 1])
    return g


def ctr(s):
    """Half of a row is the visitor's, the same for every candidate."""
    g = Graph("ctr", s)
    user, item = g.input("user", FLOAT, ["N", s.wide(128)], "visitor"), g.input("item", FLOAT, ["N", s.wide(64)])
    x = g.op("Concat", user, item, axis=1)
    g.output(g.stack(x, s.wide(128) + s.wide(64), [s.wide(256), s.wide(128)], "Sigmoid"), ["N", 1])
    return g


def multitask(s):
    """A shared bottom and three heads (ESMM-like): click, conversion after a click, value."""
    g = Graph("multitask", s)
    user, item = g.input("user", FLOAT, ["N", s.wide(64)], "visitor"), g.input("item", FLOAT, ["N", s.wide(64)])
    x = g.linear(g.op("Concat", user, item, axis=1), 2 * s.wide(64), s.wide(128), "Relu")
    click, buy = (g.stack(x, s.wide(128), [s.wide(64)], "Sigmoid") for _ in range(2))
    value = g.op("Exp", g.op("Clip", g.stack(x, s.wide(128), [s.wide(64)]), g.const(-5, "f4"), g.const(5, "f4")))
    g.output(click, ["N", 1], "ctr")
    g.output(g.op("Mul", click, buy), ["N", 1], "ctcvr")
    g.output(value, ["N", 1], "value")
    return g


def dlrm(s):
    g = Graph("dlrm", s)
    rows, d, fields = s.rows(10_000), 16, 8
    x, ids = g.input("dense", FLOAT, ["N", 13]), g.input("ids", INT, ["N", fields], most=rows)
    dense = g.linear(g.linear(x, 13, 64, "Relu"), 64, d, "Relu")
    vectors, wide = [g.unsqueeze(dense, 1)], []
    for field in range(fields):
        column = g.op("Gather", ids, g.const(field, "i8"), axis=1)
        vectors.append(g.unsqueeze(g.op("Gather", g.table(rows, d), column), 1))
        wide.append(g.op("Gather", g.table(rows, 1), column))
    z = g.op("Concat", *vectors, axis=1)
    products = g.op("MatMul", z, g.op("Transpose", z, perm=[0, 2, 1]))
    i, j = np.tril_indices(fields + 1, -1)
    flat = g.op("Reshape", products, g.ints(-1, (fields + 1) ** 2))
    pairs = g.op("Gather", flat, g.const(i * (fields + 1) + j, "i8"), axis=1)
    y = g.stack(g.op("Concat", dense, pairs, axis=1), d + len(i), [s.wide(128), s.wide(64)])
    w = g.op("ReduceSum", g.op("Concat", *wide, axis=1), g.ints(1), keepdims=1)
    g.output(g.op("Sigmoid", g.op("Add", y, w)), ["N", 1])
    return g


def deepfm(s):
    """Factorisation machine by the square of the sum less the sum of the squares, and a deep part on the same vectors."""
    g = Graph("deepfm", s)
    rows, d, fields = s.rows(100_000), 16, 12
    ids = g.input("ids", INT, ["N", fields], most=rows)
    e = g.op("Gather", g.table(rows, d), ids)
    total = g.op("ReduceSum", e, g.ints(1), keepdims=0)
    squares = g.op("ReduceSum", g.op("Mul", e, e), g.ints(1), keepdims=0)
    pairs = g.op("ReduceSum", g.op("Sub", g.op("Mul", total, total), squares), g.ints(1), keepdims=1)
    second = g.op("Mul", pairs, g.const(0.5, "f4"))
    first = g.op("ReduceSum", g.op("Gather", g.table(rows, 1), ids), g.ints(1), keepdims=0)
    deep = g.stack(g.op("Flatten", e, axis=1), fields * d, [s.wide(256), s.wide(128)])
    g.output(g.op("Sigmoid", g.op("Add", g.op("Add", deep, first), second)), ["N", 1])
    return g


def dcn(s):
    """Deep and cross network, version 2: x0 * (W x + b) + x, three times."""
    g = Graph("dcn", s)
    rows, d, fields = s.rows(50_000), 2 if s.small else 8, 8
    x, ids = g.input("dense", FLOAT, ["N", 16]), g.input("ids", INT, ["N", fields], most=rows)
    width = 16 + fields * d
    x0 = g.op("Concat", x, g.op("Flatten", g.op("Gather", g.table(rows, d), ids), axis=1), axis=1)
    cross = x0
    for _ in range(3):
        cross = g.op("Add", g.op("Mul", x0, g.linear(cross, width, width)), cross)
    deep = g.linear(x0, width, s.wide(128), "Relu")
    g.output(g.linear(g.op("Concat", cross, deep, axis=1), width + s.wide(128), 1, "Sigmoid"), ["N", 1])
    return g


def widedeep(s):
    g = Graph("widedeep", s)
    rows, fields, d = s.rows(200_000), 10, 16
    x, ids = g.input("dense", FLOAT, ["N", 20]), g.input("ids", INT, ["N", fields], most=rows)
    e = g.op("Flatten", g.op("Gather", g.table(rows, d), ids), axis=1)
    y = g.stack(g.op("Concat", x, e, axis=1), 20 + fields * d, [s.wide(256), s.wide(128)])
    w = g.op("ReduceSum", g.op("Gather", g.table(rows, 1), ids), g.ints(1), keepdims=0)
    g.output(g.op("Sigmoid", g.op("Add", y, w)), ["N", 1])
    return g


def twotower(s):
    """Both towers and their cosine; the visitor's tower is repeated for every candidate, as trained."""
    g = Graph("twotower", s)
    length, d = s.long(50), 32
    user = g.input("user", INT, ["N"], "candidate", s.rows(50_000))
    cats = g.input("cats", INT, ["N", 4], "candidate", s.rows(1_000))
    hist = g.input("hist", INT, ["N", length], "candidate", s.rows(20_000))
    x = g.input("dense", FLOAT, ["N", 10])
    ue = g.op("Gather", g.table(s.rows(50_000), d), user)
    ce = g.op("Flatten", g.op("Gather", g.table(s.rows(1_000), 16), cats), axis=1)
    he = g.op("Gather", g.table(s.rows(20_000), d), hist)
    real = g.op("Cast", g.op("Not", g.op("Equal", hist, g.const(0, "i8"))), to=FLOAT)
    total = g.op("ReduceSum", g.op("Mul", he, g.unsqueeze(real, 2)), g.ints(1), keepdims=0)
    count = g.op("Clip", g.op("ReduceSum", real, g.ints(1), keepdims=1), g.const(1, "f4"))
    y = g.op("Concat", ue, ce, g.op("Div", total, count), x, axis=1)
    y = g.linear(g.linear(y, 2 * d + 74, s.wide(256), "Relu"), s.wide(256), s.wide(128), "Relu")
    y = g.linear(y, s.wide(128), 64)
    length_of = g.op("Clip", g.op("ReduceL2", y, axes=[1], keepdims=1), g.const(1e-12, "f4"))
    g.output(g.op("Div", y, length_of), ["N", 64], "vector")
    return g


def din(s):
    """Deep interest network: attention of each candidate over one visitor's history, with a mask."""
    g = Graph("din", s)
    length, d = s.long(50), 32
    target = g.input("target", INT, ["N"], "candidate", s.rows(20_000))
    hist = g.input("hist", INT, [1, length], "visitor", s.rows(20_000))
    context = g.input("context", FLOAT, ["N", 16])
    items = g.table(s.rows(20_000), d)
    q = g.op("Gather", items, target)
    shape = g.op("Concat", g.rows_of(target), g.ints(length), g.ints(d), axis=0)
    k = g.op("Expand", g.op("Gather", items, hist), shape)
    qe = g.op("Expand", g.unsqueeze(q, 1), shape)
    a = g.op("Concat", qe, k, g.op("Sub", qe, k), g.op("Mul", qe, k), axis=-1)
    a = g.linear(a, 4 * d, s.wide(80), "Sigmoid", gemm=False)
    a = g.linear(g.linear(a, s.wide(80), s.wide(40), "PRelu", gemm=False), s.wide(40), 1, gemm=False)
    empty = g.op("Equal", hist, g.const(0, "i8"))
    a = g.op("Softmax", g.op("Where", empty, g.const(-1e9, "f4"), g.squeeze(a, 2)), axis=-1)
    u = g.squeeze(g.op("MatMul", g.unsqueeze(a, 1), k), 1)
    y = g.op("Concat", u, q, context, axis=1)
    y = g.linear(g.linear(y, 2 * d + 16, s.wide(200), "PRelu"), s.wide(200), s.wide(80), "PRelu")
    g.output(g.linear(y, s.wide(80), 1, "Sigmoid"), ["N", 1])
    return g


def bst(s):
    """Behaviour sequence transformer: the candidate is the last item of the sequence."""
    g = Graph("bst", s)
    length, d = s.long(20) + 1, 16 if s.small else 32
    target = g.input("target", INT, ["N"], "candidate", s.rows(20_000))
    hist = g.input("hist", INT, ["N", length - 1], "candidate", s.rows(20_000))
    context = g.input("context", FLOAT, ["N", 16])
    ids = g.op("Concat", hist, g.unsqueeze(target, 1), axis=1)
    place = g.const((g.rng.standard_normal((1, length, d)) * 0.1).astype("f4"))
    x = g.op("Add", g.op("Gather", g.table(s.rows(20_000), d), ids), place)
    x = g.encoder_layer(x, g.rows_of(target), length, d, 2, g.padding_mask(ids))
    y = g.op("Concat", g.op("Flatten", x, axis=1), context, axis=1)
    g.output(g.linear(g.linear(y, length * d + 16, s.wide(128), "Relu"), s.wide(128), 1, "Sigmoid"), ["N", 1])
    return g


def sasrec(s, fused=True):
    """Self-attentive sequence encoder for one visitor, and the products with every candidate."""
    g = Graph("sasrec" if fused else "sasrec_parts", s)
    length, d = s.long(50), 64 if not s.small else 16
    hist = g.input("hist", INT, ["B", length], "visitor", s.rows(20_000))
    candidates = g.input("candidates", INT, ["N"], "candidate", s.rows(20_000))
    items = g.table(s.rows(20_000), d)
    place = g.const((g.rng.standard_normal((1, length, d)) * 0.1).astype("f4"))
    x = g.op("Add", g.op("Mul", g.op("Gather", items, hist), g.const(8, "f4")), place)
    causal = g.const(np.triu(np.full((length, length), -1e9, "f4"), 1)[None, None])
    mask = g.op("Max", g.op("Add", causal, g.padding_mask(hist)), g.const(-1e9, "f4"))
    for _ in range(2):
        x = g.encoder_layer(x, g.rows_of(hist), length, d, 2, mask, fused)
    user = g.op("Gather", x, g.const(-1, "i8"), axis=1)
    vectors = g.op("Gather", items, candidates)
    g.output(g.op("MatMul", user, g.op("Transpose", vectors, perm=[1, 0])), ["B", "N"])
    return g


def gru4rec(s):
    """A gated recurrent encoder for one visitor, and the products with every candidate."""
    g = Graph("gru4rec", s)
    length, d = s.long(50), 64 if not s.small else 8
    hist = g.input("hist", INT, [1, length], "visitor", s.rows(20_000))
    candidates = g.input("candidates", INT, ["N"], "candidate", s.rows(20_000))
    items = g.table(s.rows(20_000), d)
    weight = lambda *shape: g.const((g.rng.standard_normal(shape) / np.sqrt(d)).astype("f4"))
    x = g.op("Transpose", g.op("Gather", items, hist), perm=[1, 0, 2])
    names = g.op("GRU", x, weight(1, 3 * d, d), weight(1, 3 * d, d), weight(1, 6 * d), outputs=2, hidden_size=d,
                 linear_before_reset=1)
    user = g.squeeze(names[1], 0)
    g.output(g.op("MatMul", user, g.op("Transpose", g.op("Gather", items, candidates), perm=[1, 0])), [1, "N"])
    return g


def half(s):
    """An exported network in half precision."""
    g = Graph("half", s)
    x = g.input("x", TensorProto.FLOAT16, ["N", s.wide(64)])
    w = (g.rng.standard_normal((s.wide(64), s.wide(32))) / 8).astype("f2")
    v = (g.rng.standard_normal((s.wide(32), 1)) / 8).astype("f2")
    y = g.op("Relu", g.op("Gemm", x, g.const(w), g.const(np.zeros(s.wide(32), "f2"))))
    g.output(g.op("Sigmoid", g.op("MatMul", y, g.const(v))), ["N", 1], dtype=TensorProto.FLOAT16)
    return g


MODELS = [mlp, ctr, din, twotower, widedeep, dlrm, deepfm, bst, sasrec]
FIXTURES = [*MODELS, multitask, dcn, gru4rec, lambda s: sasrec(s, fused=False), half]


def feeds(sides, types, n, rng):
    """Inputs for `n` candidates of one visitor: what is the visitor's is the same in every row."""
    made = {}
    for name, about in sides.items():
        one = about["side"] == "visitor"
        rows = 1 if one else n
        shape = [rows, *about["shape"]]
        if about["most"]:
            values = rng.integers(1, about["most"], shape).astype("i8")
            if name == "hist":
                length = shape[1]
                lengths = rng.integers(length // 4, length + 1, rows)
                values[np.arange(length)[None, :] >= lengths[:, None]] = 0
                values = values[:, ::-1].copy() if about["first"] == "B" else values
        else:
            values = rng.standard_normal(shape).round(3).astype({1: "f4", 10: "f2"}[types[name]])
        made[name] = np.repeat(values, n, 0) if one and about["first"] == "N" else values
    return made


def trees(folder: Path, rng) -> None:
    """200 trees of 31 leaves on 50 features, LambdaMART; the text for LightGBM's own predict beside the ONNX file."""
    import lightgbm
    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    queries, each, features = 200, 100, 50
    x = rng.standard_normal((queries * each, features)).astype("f4")
    z = x[:, 0] * 2 + x[:, 1] * x[:, 2] + np.sin(3 * x[:, 3]) + (x[:, 4] > 0) * x[:, 5]
    z = z + 0.06 * x[:, 6:].sum(1) + 0.5 * rng.standard_normal(len(x))
    grade = np.digitize(z, np.quantile(z, [0.5, 0.75, 0.9, 0.97]))
    model = lightgbm.LGBMRanker(n_estimators=200, num_leaves=31, learning_rate=0.05, n_jobs=2, verbose=-1, random_state=1)
    model.fit(x, grade, group=[each] * queries)
    onnx.save(convert_lightgbm(model, initial_types=[("input", FloatTensorType([None, features]))], target_opset=15),
              folder / "trees.onnx")
    model.booster_.save_model(folder / "trees.txt")
    for n in BATCHES:
        np.save(folder / f"trees.{n}.input.npy", x[:n])


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    folder, size = arguments.folder, Size(arguments.small)
    folder.mkdir(parents=True, exist_ok=True)
    listed = {}
    for make in FIXTURES if size.small else MODELS:
        g = make(size)
        rng = np.random.default_rng(zlib.crc32(g.name.encode()) + 1)
        onnx.save(g.model(), folder / f"{g.name}.onnx")
        types = {i.name: i.type.tensor_type.elem_type for i in g.inputs}
        inputs = [{"name": name, "side": about["side"], "integers": about["most"] > 0} for name, about in g.sides.items()]
        if size.small:
            runs = []
            for n in SMALL_BATCHES:
                feed = feeds(g.sides, types, n, rng)
                outputs = session(folder / f"{g.name}.onnx").run(None, feed)
                body = {name: [round(float(v), 3) if a.dtype.kind == "f" else int(v) for v in a.ravel()]
                        for name, a in feed.items()}
                names = [o.name for o in g.outputs]
                runs.append({"n": n, "inputs": body,
                             "outputs": {name: [float(f"{v:.7g}") for v in a.astype("f8").ravel()]
                                         for name, a in zip(names, outputs)}})
            text = json.dumps({"inputs": inputs, "runs": runs}, separators=(",", ":"))
            (folder / f"{g.name}.json").write_text(text + "\n")
        else:
            for n in BATCHES:
                for name, values in feeds(g.sides, types, n, rng).items():
                    np.save(folder / f"{g.name}.{n}.{name}.npy", values)
        listed[g.name] = inputs
    if not size.small:
        trees(folder, np.random.default_rng(1))
        listed["trees"] = [{"name": "input", "side": "candidate", "integers": False}]
        (folder / "models.json").write_text(json.dumps(listed, indent=1) + "\n")


if __name__ == "__main__":
    main()
