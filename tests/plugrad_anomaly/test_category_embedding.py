"""Categories of more texts than may have a feature each."""

import csv

import numpy as np
import pytest
from samples import hosts_text

from plugrad_anomaly import TabularAnomalyDetector, saved
from plugrad_anomaly.category_embedding import (
    LEAST_REPEATS,
    MOST_OWN,
    WIDTH,
    embedded,
    first_seen_late,
    learn_embeddings,
    once_seen,
)
from plugrad_anomaly.cli import anomaly
from plugrad_anomaly.columns import CATEGORY, NUMBER, Columns
from plugrad_anomaly.learning import learn_table
from plugrad_anomaly.schema import MOST_CATEGORIES

HOSTS = 120


def columns_of(codes, count=HOSTS, name="host"):
    return Columns(
        {name: CATEGORY}, {name: np.asarray(codes, np.int32)}, {name: [f"{i}" for i in range(count)]}, len(codes)
    )


def run(*arguments):
    anomaly.main([*map(str, arguments)], standalone_mode=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    (folder / "good.csv").write_text(hosts_text(6000, HOSTS))
    run("train", folder / "good.csv", "--model", folder / "m", "--fpr", "0.002")
    return folder


def scored(folder, text, tmp_path):
    (tmp_path / "new.csv").write_text(text)
    run("score", tmp_path / "new.csv", "--model", folder / "m", "-o", tmp_path / "out.csv", "--force")
    with (tmp_path / "out.csv").open() as file:
        return list(csv.DictReader(file))


def test_texts_that_go_with_the_same_values_lie_together():
    draw = np.random.default_rng(0)
    codes = draw.integers(0, HOSTS, 5000)
    group = np.arange(HOSTS) % 3
    known = (np.eye(3)[group[codes]] + draw.normal(0, 0.1, (5000, 3))).astype(np.float32)
    table = learn_embeddings(columns_of(codes), known)["host"]
    assert table.dtype == np.float32
    assert table.shape[0] == HOSTS
    assert 1 <= table.shape[1] <= WIDTH
    centres = np.stack([table[group == k].mean(axis=0) for k in range(3)])
    nearest = np.square(table[:, None] - centres).sum(axis=-1).argmin(axis=1)
    assert (nearest == group).all()


def test_rare_texts_are_drawn_to_the_middle():
    codes = np.concatenate([np.repeat(np.arange(60), 20), [60]])
    known = np.where(codes < 30, 1.0, -1.0)[:, None].astype(np.float32)
    table = learn_embeddings(columns_of(codes, 61), known)["host"]
    assert np.abs(table[60]).max() < np.abs(table[59]).max() / 3


def test_two_embedded_columns_tell_of_each_other():
    draw = np.random.default_rng(0)
    users = draw.integers(0, 200, 8000)
    both = columns_of(users % 100, 100)
    both.kinds["user"], both.values["user"] = CATEGORY, users.astype(np.int32)
    both.texts["user"] = [f"{i}" for i in range(200)]
    tables = learn_embeddings(both, np.zeros((8000, 0), np.float32))
    assert set(tables) == {"host", "user"} == set(embedded(both))
    same = np.linalg.norm(tables["user"][:100] - tables["user"][100:], axis=1)
    other = np.linalg.norm(tables["user"][:100] - np.roll(tables["user"][100:], 1, axis=0), axis=1)
    assert np.median(same) < np.median(other) / 3


@pytest.mark.parametrize("what", ["nothing beside it", "texts that hardly come again", "only missing ones"])
def test_where_nothing_can_be_told_the_embedding_has_no_width(what):
    codes = np.arange(HOSTS).repeat(LEAST_REPEATS - 1 if what == "texts that hardly come again" else 20)
    if what == "only missing ones":
        codes = np.full_like(codes, -1)
    known = np.zeros((len(codes), 0 if what == "nothing beside it" else 2), np.float32)
    assert learn_embeddings(columns_of(codes), known)["host"].shape == (HOSTS, 0)


def test_texts_that_come_first_in_the_last_rows_are_as_never_seen_there():
    codes = [0, 1, -1, 2, 0, 3, 3, -1]
    columns = columns_of(codes)
    late = first_seen_late(columns, 4)
    assert late.values["host"].tolist() == [0, 1, -1, 2, 0, HOSTS, HOSTS, -1]
    assert columns.values["host"].tolist() == codes
    assert once_seen(columns, "host") == 2
    few = columns_of(codes, MOST_OWN)
    assert first_seen_late(few, 4) is few


def test_a_column_of_too_many_texts_is_left_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "a,b\n" + "".join(f"x{row % (MOST_CATEGORIES + 1)},{row % 7}\n" for row in range(11 * MOST_CATEGORIES))
    )
    schema, _ = learn_table([path])
    assert schema.kinds == {"b": NUMBER}
    assert schema.ignored == {"a": f"it has more than {MOST_CATEGORIES:,} different texts"}


def test_a_host_in_another_region_is_found_and_named(trained, tmp_path):
    odd = set(range(50, 2000, 100))
    rows = scored(trained, hosts_text(2000, HOSTS, seed=2, odd=odd), tmp_path)
    found = {place for place, row in enumerate(rows) if row["anomaly"] == "true"}
    assert len(found & odd) >= 0.9 * len(odd)
    assert len(found - odd) <= 0.01 * len(rows)
    reasons = [rows[place]["reasons"].split("; ")[0] for place in sorted(found & odd)]
    assert sum(reason.startswith(("region '", "host 'web-")) for reason in reasons) >= 0.9 * len(reasons)
    assert all("expected beside the other columns" in reason for reason in reasons)


def test_new_texts_count_as_much_as_they_are_rare(trained, tmp_path):
    """Where each text came often, a new one is a finding; where new ones come all the time, it is none."""
    rows = scored(trained, "host,region,latency\nweb-999,eu,10\n", tmp_path)
    assert rows[0]["anomaly"] == "true"
    assert rows[0]["reasons"].startswith("host 'web-999' was never seen")
    draw = np.random.default_rng(0)
    names = [f"u{draw.zipf(1.6) % 10**9}" for _ in range(6000)]
    (tmp_path / "good.csv").write_text("user,size\n" + "".join(f"{name},{draw.normal(5, 1):.2f}\n" for name in names))
    run("train", tmp_path / "good.csv", "--model", tmp_path / "m", "--fpr", "0.002")
    assert len(saved.load(tmp_path / "m")[0].schema.texts["user"]) > MOST_OWN
    rows = scored(tmp_path, "user,size\nnobody,5\n", tmp_path)
    assert rows[0]["anomaly"] == "false"


def test_frames_with_many_texts(tmp_path):
    pandas = pytest.importorskip("pandas")
    (tmp_path / "good.csv").write_text(hosts_text(3000, HOSTS))
    (tmp_path / "new.csv").write_text(hosts_text(400, HOSTS, seed=2, odd=range(0, 400, 20)))
    good, new = pandas.read_csv(tmp_path / "good.csv"), pandas.read_csv(tmp_path / "new.csv")
    detector = TabularAnomalyDetector(novelty=True).fit(good)
    scores = detector.score_samples(new)
    assert scores[::20].max() < np.quantile(np.delete(scores, np.arange(0, 400, 20)), 0.05)
    detector.save(tmp_path / "m")
    assert (type(detector).load(tmp_path / "m").score_samples(new) == scores).all()


def test_a_frame_whose_rows_have_names_is_learnt_without_them():
    pandas = pytest.importorskip("pandas")
    draw = np.random.default_rng(0)
    frame = pandas.DataFrame({"name": [f"r{i}" for i in range(500)], "heat": draw.normal(size=500)})
    detector = TabularAnomalyDetector(novelty=True).fit(frame)
    assert detector.detector_.embeddings["name"].shape == (500, 0)
    new = pandas.DataFrame({"name": ["x", "y"], "heat": [0.0, 50.0]})
    assert detector.predict(new).tolist() == [1, -1]
