"""The peers of `bench-index`: one JSON command a line in, one JSON answer a line out.

Every time is CPU of this process around a single native call over the whole batch of queries, so Python costs nothing
that counts, and neither does what else runs on the machine.
"""

import gzip
import json
import subprocess
import sys
import time

import faiss
import hnswlib
import numpy as np
import usearch
from usearch.index import Index

M, EF_CONSTRUCTION = 16, 200
BUILT = {}


def read(path, dim):
    return np.fromfile(path, dtype=np.float32).reshape(-1, dim)


class Hnswlib:
    name = f"hnswlib {hnswlib.__version__ if hasattr(hnswlib, '__version__') else '0.8.0'}"

    def __init__(self, base, metric):
        self.index = hnswlib.Index({"cosine": "cosine", "dot": "ip", "l2": "l2"}[metric], base.shape[1])
        self.index.init_index(len(base), ef_construction=EF_CONSTRUCTION, M=M)
        self.index.set_num_threads(1)
        self.index.add_items(base, num_threads=1)

    def query(self, queries, k, ef):
        self.index.set_ef(max(ef, k))
        began = time.process_time()
        found, _ = self.index.knn_query(queries, k, num_threads=1)
        return found, time.process_time() - began

    def filtered(self, queries, k, ef, allowed):
        # A filter is a Python function here, called under the lock for every row met: asked for one query at a time.
        self.index.set_ef(max(ef, k))
        keep = allowed.tolist().__getitem__
        began = time.process_time()
        found = [self.index.knn_query(q, k, num_threads=1, filter=keep)[0][0] for q in queries]
        return found, time.process_time() - began

    def size(self):
        return self.index.index_file_size()


class Usearch:
    name = f"usearch {usearch.__version__}"

    def __init__(self, base, metric):
        names = {"cosine": "cos", "dot": "ip", "l2": "l2sq"}
        self.index = Index(
            ndim=base.shape[1], metric=names[metric], dtype="f32", connectivity=M, expansion_add=EF_CONSTRUCTION
        )
        self.index.add(np.arange(len(base), dtype=np.uint64), base, threads=1)

    def query(self, queries, k, ef):
        self.index.expansion_search = max(ef, k)
        began = time.process_time()
        found = self.index.search(queries, k, threads=1)
        return found.keys, time.process_time() - began

    def size(self):
        return self.index.memory_usage


class Faiss:
    name = f"faiss HNSW {faiss.__version__}"

    def __init__(self, base, metric):
        faiss.omp_set_num_threads(1)
        self.cosine = metric == "cosine"
        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.index = faiss.IndexHNSWFlat(base.shape[1], M, kind)
        self.index.hnsw.efConstruction = EF_CONSTRUCTION
        self.index.add(self.unit(base))

    def unit(self, vectors):
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if self.cosine else vectors

    def query(self, queries, k, ef):
        queries = np.ascontiguousarray(self.unit(queries), dtype=np.float32)
        self.index.hnsw.efSearch = max(ef, k)
        began = time.process_time()
        _, found = self.index.search(queries, k)
        return found, time.process_time() - began

    def size(self):
        return int(self.index.ntotal) * (self.index.d * 4 + 2 * M * 4 + 8)


ENGINES = {"hnswlib": Hnswlib, "usearch": Usearch, "faiss": Faiss}


def build(command):
    base = read(command["base"], command["dim"])
    began = time.process_time()
    engine = ENGINES[command["engine"]](base, command["metric"])
    took = time.process_time() - began
    BUILT[command["engine"]] = engine
    return {"name": engine.name, "seconds": took, "bytes": int(engine.size())}


MEMORY = """
import sys, hnswlib
def resident():
    resident, shared = map(int, open("/proc/self/statm").read().split()[1:3])
    return (resident - shared) * 4096
index = hnswlib.Index(sys.argv[2], int(sys.argv[3]))
before = resident()
index.load_index(sys.argv[1])
print(resident() - before)
"""


def memory(command):
    index = BUILT["hnswlib"].index
    index.save_index(command["file"])
    arguments = [sys.executable, "-c", MEMORY, command["file"], index.space, str(command["dim"])]
    return {"bytes": int(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)}


def recall(found, truth, k):
    hits = sum(len(set(map(int, row)) & set(map(int, wanted))) for row, wanted in zip(found, truth))
    return hits / (len(truth) * k)


def query(command):
    k = command["k"]
    queries = read(command["queries"], command["dim"])
    truth = np.fromfile(command["truth"], dtype=np.uint32).reshape(-1, k)
    engine = BUILT[command["engine"]]
    if "allowed" in command:
        allowed = np.fromfile(command["allowed"], dtype=np.uint8).astype(bool)
        found, took = engine.filtered(queries, k, command["ef"], allowed)
    else:
        found, took = engine.query(queries, k, command["ef"])
    return {"qps": len(queries) / took, "recall": recall(found, truth, k)}


def beauty(command):
    """Visitors' vectors by the published encoder, for the items of the same model."""
    import onnxruntime

    folder, wanted = command["folder"], command["count"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{folder}/onnx/encoder.onnx", options)
    sequences = []
    with gzip.open(f"{folder}/sequences.txt.gz", "rt") as lines:
        for line in lines:
            items = [int(x) for x in line.split()[1:]][:-1][-50:]
            sequences.append([0] * (50 - len(items)) + items)
            if len(sequences) == wanted:
                break
    ids = np.array(sequences, dtype=np.int64)
    users = np.concatenate([session.run(None, {"input_ids": ids[i : i + 100]})[0] for i in range(0, len(ids), 100)])
    users.astype(np.float32).tofile(command["queries"])
    items = np.load(f"{folder}/onnx/items.npy")[1:-1].astype(np.float32)
    items.tofile(command["base"])
    return {"rows": len(items), "dim": items.shape[1], "queries": len(users)}


def main():
    commands = {"build": build, "query": query, "beauty": beauty, "memory": memory, "forget": lambda _: BUILT.clear() or {}}
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(commands[command["do"]](command)), flush=True)


main()
