"""Vectors of content, and encoders of histories."""

import gzip
import json

import numpy as np
import pytest

from qianmian_training import content, events

CYCLE = 12


def histories(count=200, seed=3):
    """Visitors who walk along a circle of items, one step a time: the next item follows from the last."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, CYCLE, count)
    return [[int((start + step) % CYCLE) + 1 for step in range(rng.integers(3, 8))] for start in starts]


def test_words_bring_items_near():
    vectors = content.of_tokens([["red", "soap"], ["red", "soap", "big"], ["blue", "comb"], []], factors=3)
    assert vectors.dtype == np.float32 and not vectors[3].any()
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert np.allclose(np.linalg.norm(vectors[:3], axis=1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="no item has a token"):
        content.of_tokens([[], []])


def test_baskets_bring_items_near():
    vectors = content.of_baskets([[0, 1], [0, 1, 2], [3, 4], [3, 4, 5]] * 5, 6, factors=4)
    # what shares company, here both with 0 and 1 or both with 3 and 4
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[4]
    assert (content.of_baskets([[0, 1], [1, 2]], 3, 2) == content.of_baskets([[0, 1], [1, 2]], 3, 2)).all()
    with pytest.raises(ValueError, match="nothing goes together"):
        content.of_baskets([[0], [1]], 2)


def test_a_space_leaves_out_what_has_no_vector(tmp_path):
    content.write(tmp_path / "s", "words", np.array([[1, 0], [0, 0]], dtype=np.float32), ["a", "b"])
    assert json.loads((tmp_path / "s" / "ids.json").read_text()) == ["a"]
    space = json.loads((tmp_path / "s" / "space.json").read_text())
    assert (space["exact"], space["visitor"]) == (True, {"kind": "mean"})


def test_sequences_are_by_time_and_without_repeats(tmp_path):
    path = tmp_path / "events.ndjson"
    told = [
        {"type": "view", "time": 5, "visitor": {"id": "v"}, "item": "c"},
        {"type": "purchase", "time": 1, "visitor": {"id": "v"}, "items": ["a", "b"]},
        {"type": "view", "time": 2, "visitor": {"id": "v"}, "item": "b"},
        {"type": "search", "time": 3, "visitor": {"id": "v"}},
        {"type": "view", "time": 4, "visitor": None, "item": "x"},
    ]
    path.write_text("\n".join(map(json.dumps, told)))
    assert events.sequences(path) == {"v": ["a", "b", "c"]}


def test_a_sequence_encoder_learns_an_order_and_is_the_same_in_onnx(tmp_path):
    pytest.importorskip("torch")
    from qianmian_training import sequence

    settings = sequence.Settings(factors=16, heads=2, layers=1, length=8, dropout=0.1, batch=32, epochs=12, learning_rate=0.01)
    model = sequence.train(histories(), CYCLE + 1, settings)
    asked = histories(50, seed=4)
    places = []
    table = model.items.weight.detach().numpy()
    for history in asked:
        vector = sequence.vectors_of(model, [history[:-1]], settings)
        places.append(int(sequence.ranks(vector, table, [history[:-1]], [history[-1]])[0]))
    assert sequence.quality(np.array(places), 1)["hr@1"] > 0.9
    ids = [f"i{at}" for at in range(1, CYCLE + 1)]
    report = sequence.write(tmp_path / "e", model, ids, "encoder", "seq", asked, settings)
    assert report["largest_difference"] < 1e-4
    manifest = json.loads((tmp_path / "e" / "manifest.json").read_text())
    assert (manifest["kind"], manifest["length"], manifest["item_ids"]) == ("encoder", 8, ids)
    assert np.load(tmp_path / "e" / "vectors.npy").shape == (CYCLE, 16)
    with pytest.raises(ValueError, match="two items"):
        sequence.train([[1], []], 3, settings)


def test_places_count_ties_half_and_leave_the_history_out():
    pytest.importorskip("torch")
    from qianmian_training import sequence

    table = np.array([[9.0], [3.0], [2.0], [2.0], [2.0], [1.0]])
    assert sequence.ranks(np.ones((2, 1)), table, [[1], []], [2, 5]).tolist() == [1, 4]
    assert sequence.quality(np.array([0, 2, 20]), 10) == {"hr@10": 0.6667, "ndcg@10": 0.5}


def test_two_towers_learn_and_are_the_same_in_onnx(event_file, tmp_path):
    pytest.importorskip("torch")
    from qianmian_training import two_tower

    two_tower.main([str(event_file), "--out", str(tmp_path / "t"), "--factors", "8", "--hidden", "16", "--epochs", "4",
                    "--batch", "64", "--length", "10", "--learning-rate", "0.01"])  # fmt: skip
    report = json.loads((tmp_path / "t" / "report.json").read_text())
    assert report["onnx"]["largest_difference"] < 1e-4
    # two tastes of 20 items each: by chance 10 of 40
    assert report["held_out"]["hr@10"] > 0.3
    assert json.loads((tmp_path / "t" / "space.json").read_text())["visitor"] == {"kind": "encoder", "model": "visitor-tower"}


def small_shop(folder):
    folder.mkdir()
    with gzip.open(folder / "items.tsv.gz", "wt") as file:
        file.write("item_id\tasin\ttext_id\tattribute_ids\n1\tB1\tred soap\t5 6\n2\tB2\tcomb\t\n3\tB3\tred comb\t5\n4\tB4\tsoap\t6\n")
    with gzip.open(folder / "sequences.txt.gz", "wt") as file:
        file.write("1 1 2 3 4\n2 3 4 1\n")
    return folder


def test_the_last_item_is_never_read_and_the_one_before_counts_nowhere(tmp_path):
    pytest.importorskip("torch")
    from qianmian_training import amazon_beauty

    shop = amazon_beauty.read(small_shop(tmp_path / "data"))
    assert (shop.training, shop.validation) == ([["1", "2"], ["3"]], ["3", "4"])
    assert shop.attributes[1] == [] and shop.words[2] == ["red", "comb"]
    told = amazon_beauty.events_of(shop)
    assert [event["items"] for event in told if event["type"] == "purchase"] == [["1", "2"], ["3"]]
    assert "visitor" not in told[2]
    assert {event["type"] for event in amazon_beauty.known_of(shop)} == {"custom"}
    assert {event["type"] for event in amazon_beauty.labels_of(shop)} == {"purchase"}
    columns = amazon_beauty.FEATURES
    assert len(columns) == len(set(columns))
    assert {source["space"] for source in amazon_beauty.SOURCES if "space" in source} <= set(amazon_beauty.SPACES)
    assert {"score": amazon_beauty.SCENARIO} in amazon_beauty.scenario()["parameters"]["shelves"][0]["steps"]
