"""The recipe, driven against a stand-in for the binary and the server."""

import http.server
import json
import stat
import sys
import textwrap
import threading

import numpy as np
import pytest

from qianmian_training import online_retail, push, ranker
from qianmian_training.binary import BinaryError, Qianmian

STAND_IN = """
    import http.server, json, sys, pathlib
    import numpy as np

    arguments = sys.argv[1:]
    flag = lambda name: arguments[arguments.index(name) + 1]
    with open(__file__ + ".log", "a") as log:
        log.write(json.dumps(arguments) + "\\n")
    if arguments[0] == "import":
        assert arguments[1] == "online-retail"
    elif arguments[:2] == ["export", "events"]:
        rng = np.random.default_rng(1)
        with open(flag("--out"), "w") as file:
            for n in range(200):
                items = [f"i{int(i)}" for i in rng.integers(0, 30, 3)]
                file.write(json.dumps({"id": f"e{n}", "type": "purchase", "time": n, "visitor": {"id": f"v{n % 20}"}, "items": items}) + "\\n")
    elif arguments[:2] == ["export", "training"]:
        space, rest = flag("--embeddings").split("=")
        vectors, ids, alpha, regularization = rest.split(",")
        assert len(np.load(vectors)) == len(json.load(open(ids))) and (alpha, regularization) == ("5.0", "1.0")
        names = json.load(open(flag("--features")))
        rng = np.random.default_rng(2)
        features = rng.normal(size=(400, len(names))).astype(np.float32)
        labels = np.zeros(400, dtype=np.float32)
        labels[np.argmax(features[:, 0].reshape(40, 10), 1) + np.arange(40) * 10] = 1
        out = pathlib.Path(flag("--out"))
        out.mkdir(parents=True)
        np.save(out / "features.npy", features)
        np.save(out / "labels.npy", labels)
        np.save(out / "groups.npy", np.full(40, 10, dtype=np.int32))
        (out / "names.json").write_text(json.dumps(names))
        print(json.dumps({"queries": 40}))
    elif arguments[0] == "serve":
        put = []

        class Answers(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, value):
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.answer([{"name": path.split("/")[3]} for path in put if path.startswith("/v1/models/")])

            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert body
                put.append(self.path)
                with open(__file__ + ".log", "a") as log:
                    log.write(json.dumps(["PUT", self.path]) + "\\n")
                self.answer({})

        host, port = flag("--listen").split(":")
        http.server.HTTPServer((host, int(port)), Answers).serve_forever()
    else:
        sys.exit(3)
"""


@pytest.fixture
def binary(tmp_path):
    path = tmp_path / "qianmian"
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(STAND_IN)}")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return Qianmian(path, tmp_path / "data")


def test_cuts_are_the_months_before():
    assert online_retail.cuts_before("2011-11-01") == ["2011-08-01", "2011-09-01", "2011-10-01"]
    assert online_retail.cuts_before("2011-01-20") == ["2010-10-01", "2010-11-01", "2010-12-01"]


def test_the_recipe_from_file_to_server(binary, tmp_path, monkeypatch):
    small = ranker.Settings(trees=5, leaves=4, min_data_in_leaf=2, threads=1)
    tasks = [
        online_retail.Task(t.scenario, t.group, t.sources, t.features, t.without_bought, small) for t in online_retail.TASKS
    ]
    monkeypatch.setattr(online_retail, "TASKS", tasks)
    report = online_retail.run(tmp_path / "retail.csv", binary, tmp_path / "work")
    assert report["served"] == ["next-basket", "new-items", "cart-completion"]
    assert all(ranked["onnx"]["largest_difference"] < 1e-4 for ranked in report["rankers"].values())
    calls = [json.loads(line) for line in (tmp_path / "qianmian.log").read_text().splitlines()]
    expected = online_retail.cuts_before(online_retail.UNTIL)
    cuts = [c[c.index("--as-of") + 1] for c in calls if c[:2] == ["export", "training"]]
    assert cuts == [cut for cut in expected for _ in tasks]
    until = [c[c.index("--until") + 1] for c in calls if c[:2] == ["export", "events"]]
    assert until == [*expected, online_retail.UNTIL], "embeddings of a cut know nothing after it"
    space = [c[1] for c in calls if c[0] == "PUT" and c[1].startswith("/v1/embeddings")]
    assert space == ["/v1/embeddings/als?metric=dot&visitor=ials&alpha=5.0&regularization=1.0"]
    assert json.loads((tmp_path / "work" / "report.json").read_text())["until"] == "2011-11-01"


def test_no_label_lies_after_the_end():
    last = np.datetime64(online_retail.cuts_before(online_retail.UNTIL)[-1]) + np.timedelta64(online_retail.HORIZON_DAYS, "D")
    assert last <= np.datetime64(online_retail.UNTIL)


def test_features_fit_the_sources():
    for task in online_retail.TASKS:
        columns = task.columns()
        assert len(columns) == len(set(columns))
        names = {source["name"] for source in task.sources}
        assert {c.split(".")[1] for c in columns if c.startswith("source.")} == names
        steps = task.spec()["parameters"]["shelves"][0]["steps"]
        assert steps[-1] == {"score": task.scenario}
    new = online_retail.TASKS[1]
    assert {"without_seen": ["purchase"]} in new.spec()["parameters"]["shelves"][0]["steps"]


def test_a_failing_binary_says_which_command(binary):
    with pytest.raises(BinaryError, match="exit code 3"):
        binary._run("dance")


def test_a_refusal_of_the_server_is_passed_on():
    class Refuses(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            body = b'{"code":"model_refused"}'
            self.send_response(422)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.handle_request, daemon=True).start()
    with pytest.raises(push.PushError, match="422.*model_refused"):
        push.put(f"http://127.0.0.1:{server.server_port}/v1/x", b"{}", "application/json")
    server.server_close()
