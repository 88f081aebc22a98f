"""Next item on the Amazon Beauty sequences: from the published files to a data folder that is ready to serve.

    python -m qianmian_training.amazon_beauty shared/data/amazon-beauty --qianmian target/release/qianmian \
        --data data/beauty --work data/beauty-work

Leave one out: the last item of a sequence is the test's, the one before it validation's, all earlier ones training's.
Pair counts, embeddings and encoders are fitted on training items alone; validation items are the ranker's labels and, in
the folder that serves, a part of what each visitor is known by, but of no count. Test items are never read.
`qianmian evaluate amazon-beauty DATA --data data/beauty --ranked` then asks for them over HTTP.

In each of two data folders a sequence is told as a visitor's views, one after the other, and as one order of nobody: the
first makes what comes next, the second what goes together.
"""

from __future__ import annotations

import argparse
import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import content, data, embeddings, push, ranker, sequence
from .binary import Qianmian

SCENARIO = "beauty-next"
START = 1_388_534_400_000
MINUTE, DAY = 60_000, 86_400_000
AS_OF = "2014-01-03"
# After it.
LATER = START + 4 * DAY
NDJSON = "application/x-ndjson"
CHUNK = 20_000

SPACES = ["published", "sequence", "als", "together", "words", "attributes"]
ENCODERS = ["published", "sequence"]

SOURCES = [
    {"source": "bought_together", "name": "together", "basis": "items", "limit": 80},
    {"source": "next_after", "name": "next", "basis": "items", "limit": 80},
    {"source": "near_visitor", "name": "published", "space": "published", "limit": 60},
    {"source": "near_visitor", "name": "sequence", "space": "sequence", "limit": 60},
    {"source": "near_visitor", "name": "als", "space": "als", "limit": 30},
    {"source": "near_visitor", "name": "svd", "space": "together", "limit": 40},
    {"source": "near_visitor", "name": "words", "space": "words", "limit": 30},
    {"source": "near_visitor", "name": "attributes", "space": "attributes", "limit": 30},
    {"source": "trending", "name": "trending", "scope": "all", "limit": 10},
]
ANCHOR = [
    "similarity", "similarity_max", "similarity_last", "similarity_last5", "similarity_faded", "together",
    "together_last5", "together_faded", "confidence", "confidence_max", "next_similarity", "next_similarity_last",
    "next_similarity_last5", "next_similarity_faded",
]  # fmt: skip
FEATURES = (
    [f"anchor.{name}" for name in ANCHOR]
    + [f"near.{space}" for space in SPACES]
    + [f"anchor.near.{space}" for space in SPACES]
    + [f"anchor.near_last.{space}" for space in SPACES]
    + ["item.orders", "context.items"]
    + [f"source.{source['name']}.{what}" for source in SOURCES for what in ("score", "rank")]
)
RANKER = ranker.Settings(
    trees=150, leaves=31, learning_rate=0.06, min_data_in_leaf=100, feature_fraction=0.3, negatives=100, threads=1
)


@dataclass
class Shop:
    """The files: ids in catalogue order, titles, what is written of each item, and visitors with their items in order."""

    ids: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    words: list[list[str]] = field(default_factory=list)
    attributes: list[list[str]] = field(default_factory=list)
    visitors: list[str] = field(default_factory=list)
    training: list[list[str]] = field(default_factory=list)
    validation: list[str] = field(default_factory=list)


def read(folder: Path) -> Shop:
    """Reads `items.tsv.gz` and `sequences.txt.gz`; the last item of each sequence is dropped at once."""
    shop = Shop()
    with gzip.open(folder / "items.tsv.gz", "rt", encoding="utf-8") as file:
        next(file)
        for line in file:
            item, _, title, attributes = (line.rstrip("\n").split("\t") + ["", "", ""])[:4]
            shop.ids.append(item)
            shop.titles.append(title)
            shop.words.append(title.split())
            shop.attributes.append(attributes.split())
    with gzip.open(folder / "sequences.txt.gz", "rt") as file:
        for number, line in enumerate(file, 1):
            visitor, *items = line.split()
            if len(items) < 3:
                raise ValueError(f"sequences.txt.gz, line {number}: {len(items)} items; at least 3 are needed")
            shop.visitors.append(visitor)
            shop.training.append(items[:-2])
            shop.validation.append(items[-2])
    return shop


def events_of(shop: Shop) -> list[dict]:
    """Training sequences, as the views of their visitors and as orders of nobody."""
    told = []
    for visitor, items in zip(shop.visitors, shop.training):
        for at, item in enumerate(items):
            told.append({"id": f"view-{visitor}-{at}", "type": "view", "time": START + at * MINUTE, "visitor": {"id": visitor}, "item": item})
        told.append({"id": f"order-{visitor}", "type": "purchase", "time": START, "items": items})
    return told


def labels_of(shop: Shop) -> list[dict]:
    """The validation items as orders to be predicted."""
    pairs = zip(shop.visitors, shop.validation)
    return [{"id": f"label-{v}", "type": "purchase", "time": LATER, "visitor": {"id": v}, "items": [item]} for v, item in pairs]


def known_of(shop: Shop) -> list[dict]:
    """The validation items as what a visitor is known by: custom events are remembered, and counted nowhere."""
    pairs = zip(shop.visitors, shop.validation)
    return [{"id": f"known-{v}", "type": "custom", "time": LATER, "visitor": {"id": v}, "items": [item]} for v, item in pairs]


def scenario() -> dict:
    """Candidates of every source, ranked."""
    steps = [{"retrieve": SOURCES}, {"score": SCENARIO}, {"take": 20}]
    shelf = {"id": "next", "steps": steps}
    return {"strategy": "compose", "wall_ms": 5_000, "parameters": {"shelves": [shelf]}}


def learn_spaces(shop: Shop, folder: Path, files: Path, encoder: sequence.Settings, step) -> dict:
    """Makes every space from training items, under `files`; what an earlier run left there is kept."""
    number = {item: at for at, item in enumerate(shop.ids)}
    baskets = [[number[item] for item in items] for items in shop.training]
    report: dict = {}

    def new(space: str) -> bool:
        return not (files / space / "space.json").exists()

    if new("words"):
        content.write(files / "words", "words", content.of_tokens(shop.words), shop.ids)
    if new("attributes"):
        content.write(files / "attributes", "attributes", content.of_tokens(shop.attributes), shop.ids)
    if new("together"):
        content.write(files / "together", "together", content.of_baskets(baskets, len(shop.ids)), shop.ids)
    step("vectors of words, attributes, baskets")
    if new("als"):
        table = {visitor: dict.fromkeys(items, 1.0) for visitor, items in zip(shop.visitors, shop.training)}
        vectors, ids, report["als"] = embeddings.train(table, embeddings.Settings(factors=128, iterations=12))
        content.write(files / "als", "als", vectors, ids)
    step("als")
    if new("published"):
        # Row 0 is padding and the last one the mask.
        vectors = np.load(folder / "onnx" / "items.npy", allow_pickle=False)[1:-1]
        encoder_of(files / "published", "beauty-encoder", (folder / "onnx" / "encoder.onnx").read_bytes(), len(vectors))
        content.write(files / "published", "published", vectors, shop.ids, {"kind": "encoder", "model": "beauty-encoder"})
    if new("sequence"):
        histories = [[place + 1 for place in basket] for basket in baskets]
        model = sequence.train(histories, len(shop.ids) + 1, encoder)
        targets = [number[item] + 1 for item in shop.validation]
        table = model.items.weight.detach().numpy()
        places = sequence.ranks(sequence.vectors_of(model, histories, encoder), table, histories, targets)
        report["sequence"] = {"validation": sequence.quality(places)}
        report["sequence"] |= sequence.write(files / "sequence", model, shop.ids, "sequence-encoder", "sequence", histories, encoder)
    step("encoder")
    return report


def encoder_of(folder: Path, name: str, model: bytes, items: int) -> None:
    """The published encoder with its manifest: numbers are ids, with padding and mask around them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model)
    manifest = {"name": name, "kind": "encoder", "length": 50, "item_ids": "numeric", "vocabulary": items + 2, "space": "published"}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def fill(binary: Qianmian, shop: Shop, told: list[dict], files: Path, model: Path | None, version: str) -> None:
    """Fills a new data folder over HTTP: catalogue, events, encoders, spaces, scenario, and the ranker once there is one."""
    with binary.serving() as url:
        items = [{"id": item, "title": title, "created": START} for item, title in zip(shop.ids, shop.titles)]
        push.lines(url, "PUT", "/v1/catalog/items", items)
        for start in tqdm(range(0, len(told), CHUNK), desc="events", unit="chunk"):
            push.lines(url, "POST", "/v1/events", told[start : start + CHUNK])
        for space in ENCODERS:
            push.model(url, files / space, version)
        for space in SPACES:
            push.embeddings(url, files / space)
        if model is not None:
            push.model(url, model, version)
        push.put(f"{url}/v1/scenarios/{SCENARIO}", json.dumps(scenario()).encode(), "application/json")


def run(folder: Path, binary: Qianmian, work: Path, version: str = "1", encoder: sequence.Settings = sequence.Settings()) -> dict:
    """Learns, exports, trains and fills; returns and writes (`work`/report.json) what came out of each step."""
    work.mkdir(parents=True, exist_ok=True)
    steps = tqdm(total=7, desc="recipe", unit="step")

    def step(what: str) -> None:
        steps.update(1)
        steps.set_postfix_str(what)

    shop = read(folder)
    files = work / "spaces"
    report: dict = {"spaces": learn_spaces(shop, folder, files, encoder, step)}
    told = events_of(shop)

    before = Qianmian(binary.path, work / "before")
    fill(before, shop, told + labels_of(shop), files, None, version)
    step("shop before validation")
    names = work / "features.json"
    names.write_text(json.dumps(FEATURES))
    report["export"] = before.export_training(SCENARIO, AS_OF, 7, "next-item", names, None, work / "export")
    step("exported")
    parts = [data.load(work / "export")]
    report["ranker"] = ranker.train(parts, SCENARIO, work / "model", RANKER)
    step("ranker")
    fill(binary, shop, told + known_of(shop), files, work / "model", version)
    step("filled")
    steps.close()
    (work / "report.json").write_text(json.dumps(report, indent=1))
    return report


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="items.tsv.gz, sequences.txt.gz and onnx/")
    parser.add_argument("--qianmian", type=Path, default=Path("qianmian"), help="the binary (default: on the PATH)")
    parser.add_argument("--data", type=Path, required=True, help="data folder to fill; must be new")
    parser.add_argument("--work", type=Path, help="folder for vectors, exports and models (default: DATA-training)")
    parser.add_argument("--version", default="1", help="version to push the models as (default: 1)")
    parser.add_argument("--epochs", type=int, default=sequence.Settings().epochs, help="of the encoder (default: %(default)s)")
    options = parser.parse_args(arguments)
    work = options.work or options.data.with_name(f"{options.data.name}-training")
    for new in (options.data, work / "before"):
        if new.exists() and any(new.iterdir()):
            parser.error(f"{new} is not empty: the same events a second time would add to what is there")
        new.mkdir(parents=True, exist_ok=True)
    encoder = sequence.Settings(epochs=options.epochs)
    report = run(options.folder, Qianmian(options.qianmian, options.data), work, options.version, encoder)
    print(json.dumps({"export": report["export"], "held_out": report["ranker"].get("held_out"), "onnx": report["ranker"]["onnx"]}))


if __name__ == "__main__":
    main()
