"""Writes the data of `bench serve`: the same shop as arrays for the peer and as API bodies for the server under test.

    python make_bundle.py DIR [--items 20000] [--visitors 5000] [--dim 64]

DIR gets item_*.npy, event_*.npy, hnsw.bin, model.txt, model.onnx, meta.json for the peer; items.ndjson, events.ndjson,
embeddings.ndjson, model.onnx, manifest.json for the server. Seeded: the same arguments make the same shop, but for the
times of the events, which end an hour before now.
"""

import argparse
import json
import time
from pathlib import Path

import lightgbm
import numpy as np
import orjson
from bundle import DAY, FEATURES, K, PURCHASE, VIEW, Store

CLUSTERS, CATEGORIES = 50, 200
TREES, LEAVES = 200, 31


def write_ndjson(path: Path, rows) -> None:
    with path.open("wb") as out:
        for row in rows:
            out.write(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))


def make_shop(folder: Path, items: int, visitors: int, dim: int, rng: np.random.Generator) -> None:
    """Items in clusters of taste, visitors who like a few of them and viewed and bought accordingly."""
    unit = lambda m: (m / np.linalg.norm(m, axis=1, keepdims=True)).astype(np.float32)
    centres = unit(rng.standard_normal((CLUSTERS, dim)))
    cluster = rng.integers(0, CLUSTERS, items)
    vectors = unit(centres[cluster] + rng.standard_normal((items, dim)) * (0.9 / np.sqrt(dim)))
    # Four categories a cluster, and a third of the items anywhere: neighbours fill a page under the cap.
    category = np.where(rng.random(items) < 0.35, rng.integers(0, CATEGORIES, items), cluster * 4 + rng.integers(0, 4, items))
    attributes = rng.standard_normal((items, 12)).astype(np.float32)
    price = np.round(np.exp(rng.normal(3, 0.8, items)), 2).astype(np.float32)
    stock = rng.integers(5, 500, items).astype(np.float32)

    taste = np.zeros((visitors, dim), dtype=np.float32)
    for _ in range(3):
        taste += centres[rng.integers(0, CLUSTERS, visitors)] * rng.uniform(0.3, 1, (visitors, 1)).astype(np.float32)
    taste = unit(taste)
    event_visitor, event_item, event_kind, event_time = [], [], [], []
    end = np.floor(time.time()) - 3600
    for row in range(visitors):
        views = int(rng.integers(15, 26))
        liked = np.argpartition(-(vectors @ taste[row]), 400)[:400]
        seen = rng.choice(liked, views, replace=True)
        at = np.sort(end - rng.uniform(0, 60, views) * DAY)
        bought = np.flatnonzero(rng.random(views) < 0.1)
        event_visitor += [row] * (views + len(bought))
        event_item += [*seen.tolist(), *seen[bought].tolist()]
        event_kind += [VIEW] * views + [PURCHASE] * len(bought)
        event_time += [*at.tolist(), *(at[bought] + 60).tolist()]
    event_time = np.array(event_time)
    order = np.argsort(event_time, kind="stable")
    arrays = {
        "item_vectors": vectors,
        "item_category": category.astype(np.int32),
        "item_attributes": attributes,
        "item_price": price,
        "item_stock": stock,
        "event_visitor": np.array(event_visitor, dtype=np.int32)[order],
        "event_item": np.array(event_item, dtype=np.int32)[order],
        "event_kind": np.array(event_kind, dtype=np.int8)[order],
        "event_time": event_time[order],
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)

    write_ndjson(
        folder / "items.ndjson",
        (
            {
                "id": f"i{i}",
                "kind": "product",
                "title": f"Item {i}",
                "price": round(float(price[i]), 2),
                "stock": {"sellable": int(stock[i])},
                "categories": [f"c{category[i]}"],
                "attributes": {f"f{k}": attributes[i, k] for k in range(12)},
            }
            for i in range(items)
        ),
    )
    write_ndjson(folder / "embeddings.ndjson", ({"id": f"i{i}", "vector": vectors[i]} for i in range(items)))
    kinds = {VIEW: "view", PURCHASE: "purchase"}

    def event(n: int) -> dict:
        v, i, kind = (int(arrays[f"event_{c}"][n]) for c in ("visitor", "item", "kind"))
        out = {"id": f"e{n}", "type": kinds[kind], "time": int(arrays["event_time"][n] * 1000), "visitor": {"id": f"v{v}"}, "item": f"i{i}"}
        return out | {"quantity": 1, "value": round(float(price[i]), 2)} if kind == PURCHASE else out

    write_ndjson(folder / "events.ndjson", (event(n) for n in range(len(order))))


def train(folder: Path, rng: np.random.Generator) -> None:
    """A LambdaMART ranker over what the peer's own retrieval and features give, on relevance made up from them."""
    store = Store(folder)
    groups = rng.choice(len(store.visitor_rows), min(1000, len(store.visitor_rows)), replace=False)
    x = np.empty((len(groups) * K, len(FEATURES)), dtype=np.float32)
    for at, visitor in enumerate(groups):
        rows, near = store.candidates(int(visitor))
        store.features(int(visitor), rows, near, x[at * K : (at + 1) * K])
    column = {name: x[:, at] for at, name in enumerate(FEATURES)}
    utility = 8 * column["near.bench"] + 3 * column["history.category_share"] + 0.15 * np.log1p(column["item.views"])
    utility += 0.3 * np.sin(2 * column["item.attributes.f0"]) + 0.3 * column["item.attributes.f1"] * column["item.attributes.f2"]
    utility += 0.2 * np.abs(column["item.attributes.f3"]) - 0.1 * np.nan_to_num(np.abs(np.log(column["history.price_ratio"])))
    utility += sum(0.1 * column[f"item.attributes.f{k}"] for k in range(4, 12)) + 0.2 * column["history.views"]
    utility += rng.normal(0, 0.4, len(x))
    grades = np.argsort(np.argsort(utility.reshape(-1, K), axis=1), axis=1).ravel() * 5 // K
    data = lightgbm.Dataset(x, grades, group=[K] * len(groups), feature_name=[f"x{i}" for i in range(len(FEATURES))])
    parameters = {
        "objective": "lambdarank",
        "num_leaves": LEAVES,
        "learning_rate": 0.1,
        "min_data_in_leaf": 50,
        "lambdarank_truncation_level": 30,
        "num_threads": 2,
        "seed": 7,
        "deterministic": True,
        "verbosity": -1,
    }
    booster = lightgbm.train(parameters, data, TREES)
    leaves = [tree["num_leaves"] for tree in booster.dump_model()["tree_info"]]
    print(f"model: {len(leaves)} trees, {np.mean(leaves):.1f} leaves on average")
    booster.save_model(folder / "model.txt")

    import onnxruntime
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    onnx = convert_lightgbm(booster, initial_types=[("x", FloatTensorType([None, len(FEATURES)]))], zipmap=False)
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    got = session.run(None, {"x": x[: 10 * K]})[0][:, 0]
    print(f"onnx against lightgbm: largest difference {np.abs(got - booster.predict(x[: 10 * K])).max():.2e}")
    golden = {
        "rows": [[None if np.isnan(v) else float(v) for v in row] for row in x[: 10 * K : K]],
        "outputs": [[float(v)] for v in got[::K]],
    }
    manifest = {"name": "bench", "kind": "ranker", "features": FEATURES, "golden": golden}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--visitors", type=int, default=5_000)
    parser.add_argument("--dim", type=int, default=64)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    (given.folder / "hnsw.bin").unlink(missing_ok=True)
    meta = {"items": given.items, "visitors": given.visitors, "dim": given.dim, "categories": CATEGORIES}
    meta |= {"purchase_weight": 5.0, "interest_half_life_days": 30.0}
    (given.folder / "meta.json").write_text(json.dumps(meta))
    rng = np.random.default_rng(7)
    make_shop(given.folder, given.items, given.visitors, given.dim, rng)
    train(given.folder, rng)
    # Last, as the mark of a complete bundle.
    (given.folder / "complete").write_text("1\n")


if __name__ == "__main__":
    main()
