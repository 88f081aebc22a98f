"""A recommender as one would write it in Python: FastAPI, hnswlib, LightGBM, numpy. The peer of `bench serve`.

    BENCH_BUNDLE=DIR uvicorn app:app --workers 2 --loop uvloop --http httptools --no-access-log

BENCH_SCORER is `onnxruntime` (the default, the faster one) or `lightgbm`.
"""

import os
import uuid

import numpy as np
import orjson
from bundle import FEATURES, K, SLOTS, Store
from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, Field

FOLDER = os.environ["BENCH_BUNDLE"]
SCORER = os.environ.get("BENCH_SCORER", "onnxruntime")


def load_scorer(kind: str):
    """A function from [n, 30] float32 to [n] scores, on one thread: the workers are the parallelism."""
    if kind == "lightgbm":
        import lightgbm

        booster = lightgbm.Booster(model_file=f"{FOLDER}/model.txt")
        return lambda x: booster.predict(x, num_threads=1, validate_features=False)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx", options, providers=["CPUExecutionProvider"])
    name, wanted = session.get_inputs()[0].name, [session.get_outputs()[0].name]
    return lambda x: session.run(wanted, {name: x})[0][:, 0]


store = Store(FOLDER)
score = load_scorer(SCORER)
# One event loop a worker and no await between fill and use: the buffer can be shared by all requests.
matrix = np.empty((K, len(FEATURES)), dtype=np.float32)
worker = {"x-worker": str(os.getpid())}
app = FastAPI(openapi_url=None)


class Visitor(BaseModel):
    id: str


class Recommend(BaseModel):
    scenario: str
    visitor: Visitor
    limit: int = Field(SLOTS, ge=1, le=K)


@app.get("/healthz")
async def healthz() -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json", headers=worker)


@app.post("/v1/recommend")
async def recommend(request: Recommend) -> Response:
    visitor = store.visitor_rows.get(request.visitor.id)
    if visitor is None:
        raise HTTPException(404, f"unknown visitor {request.visitor.id!r}")
    rows, near = store.candidates(visitor)
    store.features(visitor, rows, near, matrix)
    ids = store.item_ids
    slots = [
        {"position": position, "item": ids[row], "kind": "product", "score": value}
        for position, (row, value) in enumerate(store.page(rows, score(matrix), request.limit), 1)
    ]
    answer = {
        "request_id": uuid.uuid4().hex,
        "scenario": request.scenario,
        "shelves": [{"id": "main", "title": "", "slots": slots}],
    }
    return Response(orjson.dumps(answer), media_type="application/json", headers=worker)
