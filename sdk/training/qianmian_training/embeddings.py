"""Item embeddings by implicit-feedback ALS (Hu, Koren, Volinsky 2008) from an event export.

    python -m qianmian_training.embeddings events.ndjson --out als/ [--space als] [--push http://127.0.0.1:7700]

Writes `vectors.npy` f32 [items, factors], `ids.json` and `space.json`, which tells the server how to turn a visitor's
history into a vector of the same space. The same events give the same vectors.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

# implicit warns of, and suffers from, BLAS threads inside its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from . import events, push


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults are the ones measured on the online-retail shop."""

    factors: int = 64
    regularization: float = 1.0
    alpha: float = 5.0
    iterations: int = 15
    seed: int = 0
    threads: int = 1


def train(table: dict[str, dict[str, float]], settings: Settings = Settings()) -> tuple[np.ndarray, list[str], dict]:
    """Vectors f32 [items, factors], the items' ids in that order, and a report of how well visitors find their items.

    Raises ValueError when there is no interaction to learn from.
    """
    visitors = sorted(table)
    ids = sorted({item for row in table.values() for item in row})
    if not ids:
        raise ValueError("no visitor touched an item: nothing to learn from; expected purchases, carts, views or clicks")
    place = {item: at for at, item in enumerate(ids)}
    rows = np.concatenate([np.full(len(table[v]), at) for at, v in enumerate(visitors)])
    columns = np.array([place[i] for v in visitors for i in sorted(table[v])])
    values = np.array([table[v][i] for v in visitors for i in sorted(table[v])], dtype=np.float32)
    matrix = sp.csr_matrix((np.log1p(values), (rows, columns)), shape=(len(visitors), len(ids)))
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=settings.factors,
            regularization=settings.regularization,
            alpha=settings.alpha,
            iterations=settings.iterations,
            random_state=settings.seed,
            num_threads=settings.threads,
            use_gpu=False,
        )
        model.fit(matrix, show_progress=True)
        vectors = np.ascontiguousarray(model.item_factors, dtype=np.float32)
        found = _own_items_found(matrix, np.asarray(model.user_factors), vectors)
    if not np.isfinite(vectors).all():
        raise ValueError("training diverged to non-finite vectors: raise --regularization")
    return vectors, ids, {"visitors": len(visitors), "items": len(ids), "pairs": int(matrix.nnz), "own_items_in_top20": found}


def _own_items_found(matrix: sp.csr_matrix, users: np.ndarray, items: np.ndarray, most: int = 500) -> float:
    """Share of the first 20 places that hold items the visitor has, over what is possible: is the fit sane?"""
    some = np.flatnonzero(np.diff(matrix.indptr))
    some = some[:: max(1, len(some) // most)]
    k = min(20, items.shape[0])
    top = np.argpartition(-(users[some] @ items.T), k - 1, axis=1)[:, :k]
    shares = []
    for at, places in zip(some, top):
        own = matrix.indices[matrix.indptr[at] : matrix.indptr[at + 1]]
        shares.append(np.isin(places, own).sum() / min(k, len(own)))
    return round(float(np.mean(shares)), 4)


def write(folder: Path, space: str, vectors: np.ndarray, ids: list[str], settings: Settings = Settings()) -> dict:
    """Writes the three files of a space into `folder`, and returns the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "space": space,
        "metric": "dot",
        "visitor": {"kind": "ials", "alpha": settings.alpha, "regularization": settings.regularization},
    }
    np.save(folder / "vectors.npy", vectors)
    (folder / "ids.json").write_text(json.dumps(ids))
    (folder / "space.json").write_text(json.dumps(manifest, indent=1))
    return manifest


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=Path, help="NDJSON written by `qianmian export events`")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--space", default="als", help="name of the embedding space (default: als)")
    parser.add_argument("--push", metavar="URL", help="hand the space to the server there")
    for name, kind in (("factors", int), ("regularization", float), ("alpha", float), ("iterations", int), ("seed", int), ("threads", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Settings, name), help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    settings = Settings(**{name: getattr(options, name) for name in Settings.__dataclass_fields__})
    vectors, ids, report = train(events.strengths(options.events), settings)
    write(options.out, options.space, vectors, ids, settings)
    print(json.dumps(report))
    if options.push:
        print(json.dumps(push.embeddings(options.push, options.out)))


if __name__ == "__main__":
    main()
