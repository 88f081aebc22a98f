"""The kit's ALS on CiteULike-a: one known item against a hundred listed ones, beside the published references.

    python -m qianmian_training.citeulike PATH/citeulike-a --out build/citeulike-a

Items are learnt from `train.tsv.gz` alone; each visitor is folded in as the server does it. `test.tsv.gz` has a visitor, the
item that was held back and its hundred negatives; those of them that the visitor has in training are left out, as the protocol
says. Writes the space (`vectors.npy`, `ids.json`, `space.json`) and `report.json`: HR and NDCG at 5 and 10, and `baselines.json` beside them.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import embeddings

# Of the published iALS, but for alpha: strengths go in as ln(1 + 1).
SETTINGS = embeddings.Settings(factors=115, regularization=1.0, alpha=22.0, iterations=20)


def fold_in(vectors: np.ndarray, gram: np.ndarray, own: list[int], weight: float, settings: embeddings.Settings) -> np.ndarray:
    """The visitor's vector for the items they have (Hu, Koren, Volinsky 2008, eq. 4)."""
    rows = vectors[own]
    confidence = settings.alpha * weight
    system = gram + (confidence - 1) * rows.T @ rows + settings.regularization * np.eye(len(gram))
    return np.linalg.solve(system, confidence * rows.sum(0))


def evaluate(vectors: np.ndarray, ids: list[str], seen: dict[str, dict[str, float]], tests: Path, settings) -> dict[str, float]:
    """HR and NDCG at 5 and 10 over the lines of `tests`. An item without a vector is last; ties go against the held-back item."""
    place = {item: at for at, item in enumerate(ids)}
    gram = vectors.T @ vectors
    ranks = []
    with gzip.open(tests, "rt") as file:
        for line in tqdm(file, desc="visitors", unit="visitor", total=len(seen)):
            visitor, held, *others = line.split()
            own = [place[item] for item in seen.get(visitor, {})]
            user = fold_in(vectors, gram, own, float(np.log1p(1.0)), settings)
            score = lambda item: float(vectors[place[item]] @ user) if item in place else -np.inf
            mine = score(held)
            ranks.append(sum(score(item) >= mine for item in others if item not in seen.get(visitor, {})))
    if not ranks:
        raise ValueError(f"{tests} has no line: expected a visitor, an item and its negatives in each")
    ranks = np.array(ranks)
    found = {f"HR@{k}": round(float((ranks < k).mean()), 4) for k in (5, 10)}
    gains = 1 / np.log2(ranks + 2)
    return found | {f"NDCG@{k}": round(float(np.where(ranks < k, gains, 0).mean()), 4) for k in (5, 10)}


def run(data: Path, out: Path, settings: embeddings.Settings = SETTINGS) -> dict:
    """Learns, asks and writes; returns the report."""
    seen: dict[str, dict[str, float]] = defaultdict(dict)
    with gzip.open(data / "train.tsv.gz", "rt") as file:
        for line in file:
            visitor, item = line.split()
            seen[visitor][item] = 1.0
    vectors, ids, fit = embeddings.train(seen, settings)
    embeddings.write(out, "als", vectors, ids, settings)
    figures = evaluate(vectors.astype(np.float64), ids, seen, data / "test.tsv.gz", settings)
    references = data / "baselines.json"
    report = {"fit": fit, "als": figures, "references": json.loads(references.read_text()) if references.exists() else {}}
    (out / "report.json").write_text(json.dumps(report, indent=1))
    return report


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder citeulike-a")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    report = run(options.data, options.out)
    for name, row in {"this ALS": report["als"], **report["references"]}.items():
        print(f"{name:45}" + "".join(f"  {key} {row[key]:.4f}" for key in ("HR@5", "NDCG@5", "HR@10", "NDCG@10")))


if __name__ == "__main__":
    main()
