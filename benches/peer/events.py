"""The peer of the events bench: what a team would write first. FastAPI and SQLite, durable before the answer.

Events are idempotent by id, profiles are counted in the same transaction. Every request commits with synchronous=FULL.
"""

import os
import sqlite3
import threading

import orjson
from fastapi import FastAPI, Request, Response

PATH = os.environ["BENCH_EVENTS_DB"]
app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
local = threading.local()


def connect() -> sqlite3.Connection:
    if not hasattr(local, "db"):
        db = sqlite3.connect(PATH, timeout=30, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(
            "CREATE TABLE IF NOT EXISTS events("
            "id TEXT PRIMARY KEY, kind TEXT, visitor TEXT, item TEXT, time INTEGER) WITHOUT ROWID"
        )
        db.execute("CREATE TABLE IF NOT EXISTS profiles(visitor TEXT PRIMARY KEY, events INTEGER) WITHOUT ROWID")
        local.db = db
    return local.db


@app.get("/healthz")
def healthz() -> dict:
    connect()
    return {"ok": True}


@app.post("/v1/events")
async def events(request: Request) -> Response:
    batch = orjson.loads(await request.body())["events"]
    rows = [(e["id"], e["type"], e["visitor"]["id"], e["item"], e.get("time", 0)) for e in batch]
    db = connect()
    db.execute("BEGIN IMMEDIATE")
    before = db.total_changes
    db.executemany("INSERT OR IGNORE INTO events VALUES(?, ?, ?, ?, ?)", rows)
    accepted = db.total_changes - before
    db.executemany(
        "INSERT INTO profiles VALUES(?, 1) ON CONFLICT(visitor) DO UPDATE SET events = events + 1",
        [(row[2],) for row in rows],
    )
    db.execute("COMMIT")
    body = orjson.dumps({"accepted": accepted, "duplicates": len(rows) - accepted})
    return Response(body, status_code=202, media_type="application/json")
