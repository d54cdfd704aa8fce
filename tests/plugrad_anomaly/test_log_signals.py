"""Silences and steps that are missing before others: beside plain Python, in any chunks, back from a state."""

import json
import math

import numpy as np
import pytest

from plugrad_anomaly.signals import WIDTH, Watch, Watcher, is_timed

HEART, WORK, DONE, OTHER = range(4)


def lines(seed=0, count=3000):
    """A heartbeat every 10 s, work that is done 0.1 s later, and other lines: (ids, times), in order."""
    draw = np.random.default_rng(seed)
    found = [(10.0 * i + draw.random() / 5, HEART) for i in range(count // 10)]
    for start in draw.uniform(0, count, count // 20):
        found += [(start, WORK), (start + 0.1 + draw.random() / 50, DONE)]
    found += [(time, OTHER) for time in draw.uniform(0, count, count // 4)]
    times, ids = zip(*sorted(found), strict=True)
    return np.array(ids, np.int32), np.array(times)


@pytest.fixture(scope="module")
def watch():
    ids, times = lines()
    starts = np.zeros(ids.size, bool)
    starts[0] = True
    return Watch.learn(ids, times, starts, 4, by_time=True)


def naive_surprise(pause, limits, k):
    longest, slope, horizon = (float(array[k]) for array in limits[1:])
    if pause <= longest:
        return 0.0
    late, bend = min(slope, 0.25), max(horizon, longest)
    return late * math.log(min(pause, bend) / longest) + slope * math.log(max(pause / bend, 1))


def naive_signals(watch, ids, times):
    last, found = dict.fromkeys(range(watch.templates), times[0]), []
    for template, now in zip(ids.tolist(), times.tolist(), strict=True):
        silent = [naive_surprise(now - last[int(t)], watch.silences, k) for k, t in enumerate(watch.silences.template)]
        broken = [
            naive_surprise(now - last[int(t)], watch.rules, k)
            for k, t in enumerate(watch.rules.template)
            if watch.triggers[k] == template
        ]
        found.append((max(silent, default=0), max(broken, default=0)))
        if template < watch.templates:
            last[template] = now
    return np.array(found)


def test_what_is_regular_is_watched(watch):
    assert HEART in watch.silences.template
    assert (DONE, WORK) in zip(watch.triggers.tolist(), watch.rules.template.tolist(), strict=True)
    assert HEART not in watch.triggers


def test_signals_are_those_of_plain_python(watch):
    ids, times = lines(1, 600)
    keep = ~((ids == HEART) & (times > 200) & (times < 320)) & ~((ids == WORK) & (times > 400) & (times < 450))
    ids, times = np.where(np.arange(ids.size) % 97 == 5, 9, ids)[keep].astype(np.int32), times[keep]
    signals = Watcher(watch).feed(ids, times, True)
    assert signals.shape == (ids.size, WIDTH)
    np.testing.assert_allclose(signals[:, [0, 2]], naive_signals(watch, ids, times), rtol=1e-5)
    assert signals[(times > 300) & (times < 320), 0].max() > 8
    assert signals[(ids == DONE) & (times > 410) & (times < 450), 2].min() > 3
    assert signals[times < 200].max() < signals[(times > 300) & (times < 320), 0].max()


def test_any_chunks_give_the_same_signals(watch):
    ids, times = lines(2, 500)
    whole = Watcher(watch).feed(ids, times, True)
    for step in (1, 7, 100):
        watcher, found = Watcher(watch), []
        for low in range(0, ids.size, step):
            found.append(watcher.feed(ids[low : low + step], times[low : low + step], low == 0))
            again = Watcher(watch)
            again.restore(watcher.state())
            watcher = again
        np.testing.assert_array_equal(np.concatenate(found), whole)


def test_each_file_begins_anew(watch):
    ids, times = lines(3, 300)
    once = Watcher(watch).feed(ids, times, True)
    watcher = Watcher(watch)
    watcher.feed(ids, times + 1e6, True)
    np.testing.assert_array_equal(watcher.feed(ids, times, True), once)


def test_lines_without_times():
    assert not is_timed(np.full(5, np.nan))
    assert not is_timed(np.array([1.0, 1.0]))
    assert is_timed(np.arange(10.0))
    ids, _ = lines()
    starts = np.zeros(ids.size, bool)
    starts[0] = True
    counted = Watch.learn(ids, np.arange(ids.size, dtype=np.float64), starts, 4, by_time=False)
    signals = Watcher(counted).feed(np.full(3000, OTHER, np.int32), np.full(3000, np.nan), True)
    assert signals[-1, 0] > 3


def test_a_watch_comes_back_from_its_state(watch):
    state, arrays = watch.state()
    again = Watch.from_state(json.loads(json.dumps(state)), arrays, 4)
    ids, times = lines(4, 300)
    np.testing.assert_array_equal(Watcher(again).feed(ids, times, True), Watcher(watch).feed(ids, times, True))
    for name in arrays:
        for change in (lambda old: old[:-1], lambda old: old.astype(np.float16) * np.nan):
            with pytest.raises((ValueError, KeyError)):
                Watch.from_state(state, {**arrays, name: change(arrays[name])}, 4)
    with pytest.raises(ValueError, match="does not have"):
        Watch.from_state(state, arrays, 1)
