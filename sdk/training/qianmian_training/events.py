"""Reads event exports: NDJSON lines in the shape of `POST /v1/events`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator

from tqdm import tqdm

# What an interaction says of interest; the server folds visitors in with the same numbers.
STRENGTH = {"purchase": 1.0, "cart": 0.5, "view": 0.2, "click": 0.2}


def read(path: Path) -> Iterator[dict]:
    """Every event of the file, with a progress bar over its bytes. Blank lines are skipped.

    Raises ValueError with the line's number when a line is not a JSON object with a type.
    """
    with tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=f"reading {path.name}") as bar:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                bar.update(len(line))
                if not line.strip():
                    continue
                try:
                    event = json.loads(line)
                    event["type"]
                except (ValueError, KeyError, TypeError) as error:
                    raise ValueError(f"{path}, line {number}: not an event with a type ({error})") from error
                yield event


def visitor_of(event: dict) -> str | None:
    """The visitor's id; None for an event of nobody."""
    visitor = event.get("visitor")
    if isinstance(visitor, dict):
        visitor = visitor.get("id") or visitor.get("anonymous_id")
    return str(visitor) if visitor not in (None, "") else None


def items_of(event: dict) -> list[str]:
    """The distinct items in order of appearance, whether the event names one (`item`) or several (`items`)."""
    items = event.get("items") or ([event["item"]] if event.get("item") else [])
    return list(dict.fromkeys(str(item) for item in items))


def strengths(path: Path) -> dict[str, dict[str, float]]:
    """How much each visitor cares for each item: strengths summed over the visitor's events."""
    table: dict[str, dict[str, float]] = {}
    for event in read(path):
        weight, visitor = STRENGTH.get(event["type"]), visitor_of(event)
        if weight is None or visitor is None:
            continue
        row = table.setdefault(visitor, {})
        for item in items_of(event):
            row[item] = row.get(item, 0.0) + weight
    return table


def sequences(path: Path) -> dict[str, list[str]]:
    """Each visitor's items in the order of their times, those of no strength left out; the lines of an order follow one
    another. An item twice in a row counts once."""
    timed: dict[str, list[tuple[float, int, str]]] = {}
    for event in read(path):
        visitor = visitor_of(event)
        if event["type"] not in STRENGTH or visitor is None:
            continue
        row = timed.setdefault(visitor, [])
        row.extend((event.get("time") or 0, len(row) + at, item) for at, item in enumerate(items_of(event)))
    found = {}
    for visitor, row in timed.items():
        items = [item for _, _, item in sorted(row)]
        found[visitor] = [item for at, item in enumerate(items) if at == 0 or items[at - 1] != item]
    return found
