"""The whole recipe on the UCI Online Retail shop: from its file to three rankers in a data folder that is ready to serve.

    python -m qianmian_training.online_retail online_retail.csv.zst --qianmian target/release/qianmian --data data/retail

Everything is fitted on the past of `--until`: three earlier cut dates, 31 days apart, give the training queries, each
with the shop folded, and the embeddings trained, as of that date. Afterwards
`qianmian evaluate online-retail online_retail.csv.zst --data data/retail` measures it.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tqdm import tqdm

from . import data, embeddings, events, push, ranker
from .binary import Qianmian

UNTIL = "2011-11-01"
HORIZON_DAYS = 31
CUTS = 3
SPACE = "als"

ITEM = [
    "item.price", "item.age_days", "item.orders", "item.buyers", "item.orders_7d", "item.orders_30d",
    "item.orders_90d", "item.repeat_rate", "item.days_since_order",
]  # fmt: skip
VISITOR = [
    "visitor.orders", "visitor.order_lines", "visitor.spend", "visitor.distinct_items", "visitor.average_price",
    "visitor.basket_size", "visitor.days_since_order", "visitor.days_since_first", "visitor.repeat_share",
]  # fmt: skip
TASTE = [
    "history.similarity", "history.similarity_max", "history.next_similarity", "history.price_ratio", f"near.{SPACE}",
]  # fmt: skip
BOUGHT = [
    "history.orders", "history.quantity", "history.days_since_order", "history.days_since_first_order",
    "history.order_share", "history.recency_orders", "history.overdue",
]  # fmt: skip
CART = [
    "anchor.similarity", "anchor.similarity_max", "anchor.similarity_last5", "anchor.together", "anchor.together_30d",
    "anchor.together_last5", "anchor.confidence", "anchor.confidence_max", "anchor.next_similarity",
    "anchor.next_similarity_last", "anchor.next_similarity_last5", "anchor.price_ratio", f"anchor.near.{SPACE}",
    "context.items",
]  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A scenario with its ranker of the same name."""

    scenario: str
    group: str
    sources: list[dict]
    features: list[str]
    without_bought: bool = False
    settings: ranker.Settings = ranker.Settings()

    def columns(self) -> list[str]:
        """The ranker's features: the host's columns, then each source's score and rank."""
        found = [f"source.{source['name']}.{what}" for source in self.sources for what in ("score", "rank")]
        return self.features + found

    def spec(self) -> dict:
        """The scenario as `PUT /v1/scenarios/{name}` takes it: built-in steps, no code."""
        steps: list[dict] = [{"retrieve": self.sources}]
        if self.without_bought:
            steps.append({"without_seen": ["purchase"]})
        steps.append({"score": self.scenario})
        return {"strategy": "compose", "parameters": {"shelves": [{"id": self.scenario, "steps": steps}]}}


def _history_sources(limit: int) -> list[dict]:
    return [
        {"source": "bought_together", "name": "together", "basis": "history", "limit": limit},
        {"source": "next_after", "name": "next", "basis": "history", "limit": limit},
        {"source": "near_visitor", "name": "near", "space": SPACE, "limit": limit},
        {"source": "trending", "name": "trending", "scope": "all", "limit": 150},
    ]


TASKS = [
    Task(
        "next-basket",
        "first-order",
        [{"source": "buy_again", "name": "again", "limit": 300}, *_history_sources(200)],
        ITEM + VISITOR + TASTE + BOUGHT,
    ),
    # More from each source, because what was bought before leaves the set afterwards.
    Task("new-items", "first-order", _history_sources(400), ITEM + VISITOR + TASTE, without_bought=True),
    Task(
        "cart-completion",
        "every-order",
        [
            {"source": "bought_together", "name": "together", "basis": "items", "limit": 200},
            {"source": "next_after", "name": "next", "basis": "items", "limit": 200},
            {"source": "near_items", "name": "near", "space": SPACE, "limit": 100},
            {"source": "trending", "name": "trending", "scope": "all", "limit": 50},
        ],
        ITEM + CART,
    ),
]


def learn_space(binary: Qianmian, until: str, folder: Path) -> dict:
    """Exports the events before `until` and trains the embeddings of that moment into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "events.ndjson"
    binary.export_events(until, log)
    settings = embeddings.Settings()
    vectors, ids, report = embeddings.train(events.strengths(log), settings)
    embeddings.write(folder, SPACE, vectors, ids, settings)
    log.unlink()
    return report


def put_scenario(url: str, task: Task) -> None:
    """`PUT /v1/scenarios/{name}`."""
    push.put(f"{url}/v1/scenarios/{task.scenario}", json.dumps(task.spec()).encode(), "application/json")


def cuts_before(until: str) -> list[str]:
    """The first days of the months before `until`, earliest first: each has at least 30 days of answers before it."""
    month = date.fromisoformat(until).replace(day=1)
    cuts = []
    for _ in range(CUTS):
        month = (month - timedelta(days=1)).replace(day=1)
        cuts.append(month.isoformat())
    return cuts[::-1]


def run(file: Path, binary: Qianmian, work: Path, version: str = "1", until: str = UNTIL) -> dict:
    """Imports, trains and pushes; returns and writes (`work`/report.json) what came out of each step."""
    work.mkdir(parents=True, exist_ok=True)
    cuts = cuts_before(until)
    report: dict = {"until": until, "spaces": {}, "exports": {}, "rankers": {}}
    steps = tqdm(total=2 + 1 + len(cuts) * (1 + len(TASKS)) + len(TASKS) + 1, desc="recipe", unit="step")

    def step(what: str) -> None:
        steps.update(1)
        steps.set_postfix_str(what)

    binary.import_file("online-retail", file, until)
    step("imported")
    # The scenarios must be there to be exported; their models come at the end.
    with binary.serving() as url:
        for task in TASKS:
            put_scenario(url, task)
    step("scenarios")

    for cut in cuts:
        report["spaces"][cut] = learn_space(binary, cut, work / "spaces" / cut)
        step(f"embeddings {cut}")
        for task in TASKS:
            names = work / f"{task.scenario}.features.json"
            names.write_text(json.dumps(task.columns()))
            out = work / "exports" / task.scenario / cut
            made = binary.export_training(
                task.scenario, cut, HORIZON_DAYS, task.group, names, work / "spaces" / cut, out
            )
            report["exports"][f"{task.scenario} {cut}"] = made
            step(f"{task.scenario} {cut}: {made.get('queries')} queries")

    for task in TASKS:
        parts = [data.load(work / "exports" / task.scenario / cut) for cut in cuts]
        report["rankers"][task.scenario] = ranker.train(parts, task.scenario, work / "models" / task.scenario, task.settings)
        step(f"ranker {task.scenario}")

    report["spaces"][until] = learn_space(binary, until, work / "spaces" / until)
    step(f"embeddings {until}")
    with binary.serving() as url:
        push.embeddings(url, work / "spaces" / until)
        for task in TASKS:
            push.model(url, work / "models" / task.scenario, version)
            put_scenario(url, task)
        with urllib.request.urlopen(f"{url}/v1/models", timeout=60) as answer:
            report["served"] = [model["name"] for model in json.loads(answer.read())]
    step("pushed")
    steps.close()
    (work / "report.json").write_text(json.dumps(report, indent=1))
    return report


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the order lines: .csv, .csv.gz or .csv.zst")
    parser.add_argument("--qianmian", type=Path, default=Path("qianmian"), help="the binary (default: on the PATH)")
    parser.add_argument("--data", type=Path, required=True, help="data folder to fill; must be new")
    parser.add_argument("--work", type=Path, help="folder for exports and models (default: DATA-training)")
    parser.add_argument("--until", default=UNTIL, help=f"first day that is not learnt from (default: {UNTIL})")
    parser.add_argument("--version", default="1", help="version to push the models as (default: 1)")
    options = parser.parse_args(arguments)
    if options.data.exists() and any(options.data.iterdir()):
        parser.error(f"{options.data} is not empty: a second import would add to what is there")
    options.data.mkdir(parents=True, exist_ok=True)
    work = options.work or options.data.with_name(f"{options.data.name}-training")
    report = run(options.file, Qianmian(options.qianmian, options.data), work, options.version, options.until)
    for name, ranked in report["rankers"].items():
        print(json.dumps({"ranker": name, "held_out": ranked.get("held_out"), "onnx": ranked["onnx"]}))


if __name__ == "__main__":
    main()
