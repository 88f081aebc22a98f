"""Item vectors without training on anybody's clicks: from what is written about items, and from what is bought together.

Both are sparse matrices brought down to a few dozen dimensions (truncated SVD) and normalised, so that a product of two
vectors is about the cosine of the rows they stand for.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits


def of_tokens(tokens: list[list[str]], factors: int = 128, seed: int = 0) -> np.ndarray:
    """Vectors f32 [items, factors] from each item's words or attributes, rarer ones weighing more (TF-IDF).

    Items of no tokens get zeros. Raises ValueError when no item has any.
    """
    vocabulary: dict[str, int] = {}
    rows, columns = [], []
    for row, words in enumerate(tokens):
        for word in dict.fromkeys(words):
            rows.append(row)
            columns.append(vocabulary.setdefault(word, len(vocabulary)))
    if not rows:
        raise ValueError("no item has a token: nothing to make vectors of")
    matrix = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(tokens), len(vocabulary)))
    seen = np.asarray(matrix.sum(0)).ravel()
    matrix = _normalised(matrix @ sp.diags(np.log(len(tokens) / seen) + 1e-3))
    return _reduced(matrix, factors, seed)


def of_baskets(baskets: list[list[int]], items: int, factors: int = 128, seed: int = 0) -> np.ndarray:
    """Vectors f32 [items, factors] from baskets of item numbers 0 to `items` - 1: log-damped cosines of co-occurrence."""
    rows = np.repeat(np.arange(len(baskets)), [len(basket) for basket in baskets])
    columns = np.array([item for basket in baskets for item in basket], dtype=int)
    matrix = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(baskets), items))
    matrix.data[:] = 1
    seen = np.asarray(matrix.sum(0)).ravel()
    pairs = (matrix.T @ matrix).tocoo()
    apart = pairs.row != pairs.col
    if not apart.any():
        raise ValueError("no basket has two items: nothing goes together")
    row, column = pairs.row[apart], pairs.col[apart]
    damped = np.log1p(10 * pairs.data[apart] / (np.sqrt(seen[row] * seen[column]) + 3))
    return _reduced(sp.csr_matrix((damped, (row, column)), shape=(items, items)), factors, seed, half=True)


def _reduced(matrix: sp.csr_matrix, factors: int, seed: int, half: bool = False) -> np.ndarray:
    factors = min(factors, min(matrix.shape) - 1)
    with threadpool_limits(1, "blas"):
        left, singular, _ = randomized_svd(matrix, factors, n_iter=4, random_state=seed)
    vectors = left * (np.sqrt(singular) if half else singular)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(np.where(length > 1e-6, vectors / np.maximum(length, 1e-6), 0), dtype=np.float32)


def _normalised(matrix: sp.csr_matrix) -> sp.csr_matrix:
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(1)).ravel())
    return (sp.diags(1 / np.maximum(length, 1e-9)) @ matrix).tocsr()


def write(folder: Path, space: str, vectors: np.ndarray, ids: list[str], visitor: dict | None = None) -> None:
    """Writes a space for `push.embeddings`. Without a recipe visitors are means of what they last touched."""
    folder.mkdir(parents=True, exist_ok=True)
    there = np.abs(vectors).sum(axis=1) > 0
    np.save(folder / "vectors.npy", vectors[there].astype(np.float32))
    (folder / "ids.json").write_text(json.dumps([one for one, known in zip(ids, there) if known]))
    manifest = {"space": space, "metric": "dot", "exact": True, "visitor": visitor or {"kind": "mean"}}
    (folder / "space.json").write_text(json.dumps(manifest, indent=1))
