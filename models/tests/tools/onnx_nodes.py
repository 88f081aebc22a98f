"""Writes the ONNX project's own node tests in a form that `operators` (models/examples) reads.

    python onnx_nodes.py target/onnx-nodes
    python onnx_nodes.py target/onnx-nodes --fixture models/tests/fixtures/nodes.json

Takes them from the installed `onnx` package (onnx/backend/test/data/node). Each becomes NAME/model.onnx and NAME/case.json
with the inputs and expected outputs of the first data set. Where an operator gets shapes, axes or indices as inputs,
NAME/frozen.onnx has those that are integers, but for the first input, as constants: that is how exporters write them, and
a server fixes its shapes when it loads a model. The second form also writes the smallest tests of each operator that
supported models are made of into one file, for an ordinary test.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import numpy_helper

TESTS = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"


def tensors(folder, kind, values):
    """The tensors of a data set, or None where one is a sequence, a map or optional."""
    found = []
    for at, value in enumerate(values):
        path = folder / f"{kind}_{at}.pb"
        if value.type.WhichOneof("value") != "tensor_type" or not path.exists():
            return None
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.read_bytes())
        found.append((value.name, onnx.TensorProto.DataType.Name(tensor.data_type), tensor))
    return found


def entry(name, kind, tensor):
    if kind not in ("FLOAT", "INT64"):
        return {"name": name, "type": kind, "shape": list(tensor.dims), "values": []}
    array = numpy_helper.to_array(tensor)
    # JSON has no NaN and no infinity; texts stand for them.
    plain = [v if np.isfinite(v) else str(v) for v in array.reshape(-1).tolist()]
    return {"name": name, "type": kind, "shape": list(array.shape), "values": plain}


def frozen(model, inputs):
    """The model with integer inputs after the first as constants; None when there is nothing to freeze."""
    names = {name for at, (name, kind, _) in enumerate(inputs) if at > 0 and kind == "INT64"}
    if not names:
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = [value for value in copy.graph.input if value.name not in names]
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    for name, _, tensor in inputs:
        if name in names:
            constant = onnx.TensorProto()
            constant.CopyFrom(tensor)
            constant.name = name
            copy.graph.initializer.append(constant)
    return copy


# What the networks, trees and pre-processing of docs/models.md are made of, so far as the project has tests of it.
SUPPORTED = """
    Abs Add Clip Concat Div Elu Erf Exp Expand Flatten GRU Gather GatherElements Gelu Gemm HardSigmoid Identity
    LayerNormalization LeakyRelu Log LogSoftmax MatMul Max Mean Min Mul Neg PRelu Pow ReduceMax ReduceMean ReduceSum Relu
    Reshape Sigmoid Slice Softmax Softplus Split Sqrt Squeeze Sub Sum Tanh Tile Transpose Unsqueeze
    ArrayFeatureExtractor
""".split()
# Characters of a test in the fixture.
LARGEST = 3000


def fixture(out):
    """The smallest test of each supported operator, of numbers that are fed, as one JSON text."""
    chosen = []
    for operator in SUPPORTED:
        found = []
        for folder in sorted(out.iterdir()):
            case = json.loads((folder / "case.json").read_text())
            if case["operator"] != operator or not case["inputs"] or not case["outputs"]:
                continue
            file = folder / ("frozen.onnx" if (folder / "frozen.onnx").exists() else "model.onnx")
            inputs = case["inputs"]
            if file.name == "frozen.onnx":
                inputs = [one for at, one in enumerate(inputs) if at == 0 or one["type"] == "FLOAT"]
            types = {one["type"] for one in inputs} | {"FLOAT"}
            if types > {"FLOAT", "INT64"} or any(one["type"] != "FLOAT" for one in case["outputs"]):
                continue
            body = {"name": folder.name, "operator": operator, "model": file.read_bytes().hex(), "inputs": inputs, "outputs": case["outputs"]}
            text = json.dumps(body, separators=(",", ":"))
            found.append((len(text), text))
        found.sort()
        chosen += [text for size, text in found[:1] if size <= LARGEST]
    return "[\n" + ",\n".join(chosen) + "\n]\n"


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for folder in sorted(TESTS.iterdir()):
        if not (folder / "test_data_set_0").is_dir():
            continue
        model = onnx.load(folder / "model.onnx")
        given = {constant.name for constant in model.graph.initializer}
        inputs = tensors(folder / "test_data_set_0", "input", [v for v in model.graph.input if v.name not in given])
        outputs = tensors(folder / "test_data_set_0", "output", model.graph.output)
        # A function test is of the operator it spells out, which its name says.
        kinds = [node.op_type for node in model.graph.node]
        case = {"operator": kinds[0] if len(kinds) == 1 else "", "domain": model.graph.node[0].domain, "inputs": None, "outputs": None}
        if inputs is not None and outputs is not None:
            case |= {"inputs": [entry(*one) for one in inputs], "outputs": [entry(*one) for one in outputs]}
        place = out / folder.name
        place.mkdir(exist_ok=True)
        (place / "model.onnx").write_bytes(model.SerializeToString())
        (place / "case.json").write_text(json.dumps(case))
        other = frozen(model, inputs) if inputs is not None else None
        if other is not None:
            (place / "frozen.onnx").write_bytes(other.SerializeToString())
        written += 1
    if "--fixture" in sys.argv:
        pathlib.Path(sys.argv[sys.argv.index("--fixture") + 1]).write_text(fixture(out))
    print(f"{written} tests of onnx {onnx.__version__} in {out}")


if __name__ == "__main__":
    main()
