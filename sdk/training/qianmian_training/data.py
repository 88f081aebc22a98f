"""Training exports: feature matrices as a ranker would have seen them, written by `qianmian export training`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Ranked:
    """Queries one after the other, each a group of candidates.

    `features` f32 [n, F], NaN where missing; `labels` f32 [n], above 0 where right; `groups` i64, candidates a query.
    """

    names: list[str]
    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    def queries(self) -> int:
        return len(self.groups)

    def part(self, first: int, last: int) -> Ranked:
        """The queries from `first` up to, not including, `last`."""
        ends = np.concatenate([[0], np.cumsum(self.groups)])
        rows = slice(ends[first], ends[last])
        return Ranked(self.names, self.features[rows], self.labels[rows], self.groups[first:last])

    def only(self, names: list[str]) -> Ranked:
        """These columns, in this order. Raises ValueError for one that is not there."""
        missing = [name for name in names if name not in self.names]
        if missing:
            raise ValueError(f"no column {', '.join(missing)} in the export; it has {', '.join(self.names)}")
        return Ranked(names, self.features[:, [self.names.index(name) for name in names]], self.labels, self.groups)

    def thinned(self, most: int, seed: int) -> Ranked:
        """At most `most` wrong candidates a query, drawn at random; right ones all stay. The order stays."""
        rng = np.random.default_rng(seed)
        keep = np.ones(len(self.labels), dtype=bool)
        groups, start = [], 0
        for size in self.groups:
            wrong = start + np.flatnonzero(self.labels[start : start + size] <= 0)
            if len(wrong) > most:
                keep[rng.choice(wrong, len(wrong) - most, replace=False)] = False
            groups.append(int(keep[start : start + size].sum()))
            start += int(size)
        return Ranked(self.names, self.features[keep], self.labels[keep], np.array(groups))


def load(folder: Path) -> Ranked:
    """Reads a folder. Raises ValueError when its files do not fit together."""
    features = np.load(folder / "features.npy", allow_pickle=False).astype(np.float32, copy=False)
    labels = np.load(folder / "labels.npy", allow_pickle=False).astype(np.float32)
    groups = np.load(folder / "groups.npy", allow_pickle=False).astype(np.int64)
    names = json.loads((folder / "names.json").read_text())
    if features.ndim != 2 or features.shape != (len(labels), len(names)) or int(groups.sum()) != len(labels):
        raise ValueError(
            f"{folder}: features {features.shape}, {len(labels)} labels, {len(names)} names and groups of"
            f" {int(groups.sum())} candidates do not fit together"
        )
    if len(labels) == 0:
        raise ValueError(f"{folder}: no candidates; no order of the horizon had a right one among its candidates")
    if np.isinf(features).any():
        column = names[int(np.flatnonzero(np.isinf(features).any(axis=0))[0])]
        raise ValueError(f"{folder}: column {column} has infinite values")
    return Ranked(names, features, labels, groups)


def join(parts: list[Ranked]) -> Ranked:
    """One after the other. Raises ValueError when their columns differ."""
    for part in parts:
        if part.names != parts[0].names:
            raise ValueError(f"exports of different columns: {parts[0].names} and {part.names}")
    return Ranked(
        parts[0].names,
        np.concatenate([p.features for p in parts]),
        np.concatenate([p.labels for p in parts]),
        np.concatenate([p.groups for p in parts]),
    )
