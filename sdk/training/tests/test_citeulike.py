import gzip
import json

import numpy as np
import pytest

from qianmian_training import citeulike, embeddings

SMALL = embeddings.Settings(factors=8, alpha=22.0, iterations=10)


def write(folder, visitors=60, tests=True):
    """Two tastes: even visitors have even items. Each is asked for one of its own among those of the other taste."""
    rng, train, asked = np.random.default_rng(3), [], []
    for visitor in range(visitors):
        own = rng.permutation(np.arange(visitor % 2, 40, 2))[:12]
        train += [f"{visitor}\t{item}" for item in own[1:]]
        others = [str(item) for item in range(1 - visitor % 2, 40, 2)]
        asked.append("\t".join([str(visitor), str(own[0]), *others, str(own[1])]))
    for name, lines in (("train", train), ("test", asked if tests else [])):
        with gzip.open(folder / f"{name}.tsv.gz", "wt") as file:
            file.write("\n".join(lines))


def test_tastes_are_told_apart(tmp_path):
    write(tmp_path)
    (tmp_path / "baselines.json").write_text(json.dumps({"other": {"HR@10": 0.5}}))
    report = citeulike.run(tmp_path, tmp_path / "out", SMALL)
    assert report["als"]["HR@5"] > 0.95 and report["als"]["NDCG@10"] > 0.8
    assert report["references"]["other"]["HR@10"] == 0.5
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    assert (tmp_path / "out" / "vectors.npy").exists()


def test_an_empty_test_is_refused(tmp_path):
    write(tmp_path, tests=False)
    with pytest.raises(ValueError, match="has no line"):
        citeulike.run(tmp_path, tmp_path / "out", SMALL)
