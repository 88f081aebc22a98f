"""The data of `bench serve` as the peer holds it: arrays loaded once, features gathered without a loop.

The column names are those of docs/columns.md; `Store` computes from the raw events what the server under test folds from
the same events, so that both rank by the same thirty numbers.
"""

import json
import time
from pathlib import Path

import hnswlib
import numpy as np

K = 300  # candidates retrieved
SLOTS = 20  # slots on the page
CAP = 4  # most items of one category on a page
HISTORY = 20  # recent interactions the visitor's vector is the weighted mean of
DAY = 86_400.0

ITEM_COLUMNS = [f"item.attributes.f{i}" for i in range(12)] + [
    "item.price",
    "item.stock",
    "item.views",
    "item.orders",
    "item.buyers",
    "item.views_7d",
    "item.orders_30d",
]
VISITOR_COLUMNS = ["visitor.orders", "visitor.events", "visitor.spend", "visitor.average_price", "visitor.distinct_items"]
CROSS_COLUMNS = [
    "history.views",
    "history.category_share",
    "history.price_ratio",
    "near.bench",
    "source.near.score",
    "source.near.rank",
]
FEATURES = ITEM_COLUMNS + VISITOR_COLUMNS + CROSS_COLUMNS
assert len(FEATURES) == 30
VIEW, PURCHASE = 0, 1


class Store:
    """Everything a request reads, in memory."""

    def __init__(self, folder: str | Path, now: float | None = None):
        folder = Path(folder)
        now = now or time.time()
        load = lambda name: np.load(folder / f"{name}.npy")
        meta = json.loads((folder / "meta.json").read_text())
        self.item_ids: list[str] = [f"i{i}" for i in range(meta["items"])]
        self.visitor_rows: dict[str, int] = {f"v{i}": i for i in range(meta["visitors"])}
        self.vectors = load("item_vectors")  # [items, 64], unit length
        self.category = load("item_category")  # [items]
        self.category_list = self.category.tolist()
        visitors, items = meta["visitors"], meta["items"]

        visitor, item, kind = load("event_visitor"), load("event_item"), load("event_kind")
        age = (now - load("event_time")) / DAY
        price, bought, viewed = load("item_price"), kind == PURCHASE, kind == VIEW
        count = lambda keys, size, **kw: np.bincount(keys, minlength=size, **kw).astype(np.float32)
        bought_pairs = np.unique(visitor[bought].astype(np.int64) * items + item[bought])
        self.item_columns = np.column_stack(
            [
                load("item_attributes"),
                price,
                load("item_stock"),
                count(item[viewed], items),
                count(item[bought], items),
                count(bought_pairs % items, items),
                count(item[viewed], items, weights=0.5 ** (age[viewed] / 7)),
                count(item[bought], items, weights=0.5 ** (age[bought] / 30)),
            ]
        ).astype(np.float32)
        orders = count(visitor[bought], visitors)
        spend = count(visitor[bought], visitors, weights=price[item[bought]])
        with np.errstate(invalid="ignore"):
            average = spend / orders
        self.visitor_columns = np.column_stack(
            [orders, count(visitor, visitors), spend, average, count(bought_pairs // items, visitors)]
        ).astype(np.float32)

        # Share of the visitor's decayed interest by category.
        weight = np.where(bought, meta["purchase_weight"], 1.0) * 0.5 ** (age / meta["interest_half_life_days"])
        categories = meta["categories"]
        interest = np.bincount(visitor * categories + self.category[item], weight, visitors * categories)
        interest = interest.reshape(visitors, categories)
        self.category_share = (interest / np.maximum(interest.sum(1, keepdims=True), 1e-12)).astype(np.float32)

        # Recent interactions, newest first, with their weights, and all viewed rows, per visitor.
        newest = np.lexsort((-load("event_time"), visitor))
        starts = np.searchsorted(visitor[newest], np.arange(visitors + 1))
        self.recent: list[tuple[np.ndarray, np.ndarray]] = []
        self.viewed: list[np.ndarray] = []
        for row in range(visitors):
            own = newest[starts[row] : starts[row + 1]]
            last = own[:HISTORY]
            weights = 0.9 ** np.arange(len(last)) * np.where(bought[last], 3.0, 1.0)
            self.recent.append((item[last], weights.astype(np.float32)))
            self.viewed.append(item[own[viewed[own]]])

        self.index = hnswlib.Index(space="ip", dim=self.vectors.shape[1])
        graph = folder / "hnsw.bin"
        if graph.exists():
            self.index.load_index(str(graph), max_elements=items)
        else:
            self.index.init_index(max_elements=items, ef_construction=200, M=16, random_seed=7)
            self.index.add_items(self.vectors, np.arange(items))
            self.index.save_index(str(graph))
        self.index.set_ef(K)
        self.index.set_num_threads(1)
        self._ranks = np.arange(1, K + 1, dtype=np.float32)

    def candidates(self, visitor: int) -> tuple[np.ndarray, np.ndarray]:
        """The K nearest rows to the weighted mean of the visitor's recent items, and their cosines."""
        rows, weights = self.recent[visitor]
        mean = weights @ self.vectors[rows]
        mean /= np.sqrt(mean @ mean)
        labels, distances = self.index.knn_query(mean, k=K)
        return labels[0], 1.0 - distances[0]

    def features(self, visitor: int, rows: np.ndarray, near: np.ndarray, out: np.ndarray) -> None:
        """Fills `out` [len(rows), 30], one row a candidate."""
        a, b = len(ITEM_COLUMNS), len(ITEM_COLUMNS) + len(VISITOR_COLUMNS)
        n = len(rows)
        np.take(self.item_columns, rows, axis=0, out=out[:, :a])
        columns = self.visitor_columns[visitor]
        out[:, a:b] = columns
        out[:, b] = (rows[:, None] == self.viewed[visitor]).sum(axis=1)
        out[:, b + 1] = self.category_share[visitor][self.category[rows]]
        out[:, b + 2] = out[:, 12] / columns[3]
        out[:, b + 3] = near
        out[:, b + 4] = near
        out[:, b + 5] = self._ranks[:n]

    def page(self, rows: np.ndarray, scores: np.ndarray, limit: int) -> list[tuple[int, float]]:
        """The best `limit`, at most CAP of a category."""
        order = np.argsort(-scores, kind="stable")
        counts: dict[int, int] = {}
        out: list[tuple[int, float]] = []
        category = self.category_list
        for row, score in zip(rows[order].tolist(), scores[order].tolist()):
            group = category[row]
            used = counts.get(group, 0)
            if used < CAP:
                counts[group] = used + 1
                out.append((row, score))
                if len(out) == limit:
                    break
        return out
