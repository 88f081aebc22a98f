"""Trains the demo storefront's vectors and ranker, which are kept in the repository, from what the demo generates.

    python -m qianmian_training.demo --qianmian target/debug/qianmian --out runtime/server/src/demo/models

The generated shop has 60 days of events. The ranker's queries are the first orders of the last seven of them, with the
shop folded, and the vectors trained, as of the day before; the vectors that are kept are trained on everything.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from . import data, embeddings, events, ranker
from .binary import Qianmian

SPACE = "taste"
FACTORS = 32
LABEL_DAYS = 7
DAY_MS = 86_400_000

FEATURES = [
    "item.price", "item.age_days", "item.views_1d", "item.views_7d", "item.orders_7d", "item.orders_30d", "item.ctr",
    "item.conversion", "item.buyers", "visitor.orders", "visitor.events", "visitor.average_price",
    "visitor.days_since_order", "history.views", "history.carts", "history.orders", "history.impressions",
    "history.days_since_last", "history.category_share", "history.brand_share", "history.price_ratio",
    "history.similarity", "history.viewed_similarity", "history.next_similarity", f"near.{SPACE}",
    "source.near.rank", "source.bought_together.rank", "source.viewed_together.rank", "source.trending.rank",
    "source.buy_again.rank",
]  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qianmian", type=Path, required=True, help="the binary")
    parser.add_argument("--out", type=Path, required=True, help="folder of the kept files")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        report = run(Qianmian(options.qianmian, Path(folder) / "shop"), Path(folder), options.out)
    print(json.dumps(report, indent=1))


def run(binary: Qianmian, work: Path, out: Path) -> dict:
    """Generates, trains, and writes the kept files; returns the report."""
    binary.generate_demo()
    now = int(time.time() * 1000)
    cut = now - LABEL_DAYS * DAY_MS
    settings = embeddings.Settings(factors=FACTORS)
    space = work / "space"
    log = work / "events.ndjson"

    def learn(until: int) -> tuple[np.ndarray, list[str], dict]:
        space.mkdir(exist_ok=True)
        binary.export_events(str(until), log)
        vectors, ids, report = embeddings.train(events.strengths(log), settings)
        embeddings.write(space, SPACE, vectors, ids, settings)
        return vectors, ids, report

    learn(cut)
    names = work / "features.json"
    names.write_text(json.dumps(FEATURES))
    parameters = {"space": SPACE, "model": "demo-ranker", "flat": True}
    exported = binary.export_training(
        "home", str(cut), LABEL_DAYS, "first-order", names, space, work / "export", parameters
    )
    ranked = ranker.train([data.load(work / "export")], "demo-ranker", work / "model", ranker.Settings(trees=120))
    vectors, ids, learned = learn(now + DAY_MS)
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "vectors.npy", vectors.astype(np.float16))
    (out / "ids.txt").write_text("\n".join(ids) + "\n")
    shutil.copy(space / "space.json", out / "space.json")
    for name in ("model.onnx", "manifest.json"):
        shutil.copy(work / "model" / name, out / name)
    return {"space": learned, "export": exported, "ranker": ranked}


if __name__ == "__main__":
    main()
