"""Ranking metrics over groups of candidates, binary relevance."""

from __future__ import annotations

import numpy as np


def report(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray, k: int = 10) -> dict[str, float]:
    """NDCG, hit rate and MRR at `k`, averaged over groups.

    The ideal ranking holds the relevant candidates only: what no source found is a matter of recall, not of ranking.
    Equal scores keep the order of the candidates. Groups without a relevant candidate count as 0.
    """
    if int(np.sum(groups)) != len(scores) or len(scores) != len(labels):
        raise ValueError(f"{len(scores)} scores, {len(labels)} labels, groups of {int(np.sum(groups))} candidates")
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ndcg, hit, reciprocal = [], [], []
    start = 0
    for size in groups:
        part = slice(start, start + int(size))
        start += int(size)
        order = np.argsort(-scores[part], kind="stable")[:k]
        gains = labels[part][order] > 0
        relevant = int((labels[part] > 0).sum())
        ideal = discounts[: min(k, relevant)].sum()
        ndcg.append(discounts[: len(gains)][gains].sum() / ideal if relevant else 0.0)
        hit.append(bool(gains.any()))
        reciprocal.append(1.0 / (int(np.argmax(gains)) + 1) if gains.any() else 0.0)
    return {
        f"ndcg@{k}": round(float(np.mean(ndcg)), 4),
        f"hr@{k}": round(float(np.mean(hit)), 4),
        f"mrr@{k}": round(float(np.mean(reciprocal)), 4),
        "groups": len(ndcg),
    }
