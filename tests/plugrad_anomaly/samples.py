"""Small logs, tables and scored rows for tests."""

import random

import numpy as np

from plugrad_anomaly.scored import ScoredRows


def log_text(rows=60, seed=1):
    """Sessions s0, s1, … of three lines each."""
    draw = random.Random(seed)
    lines = []
    for row in range(rows):
        begin = f"2024-05-{14 + row // 1440:02}T{row // 60 % 24:02}:{row % 60:02}"
        lines += [f"{begin}:01Z start s{row}", f"{begin}:02Z read s{row} took {draw.randint(10, 20)} ms"]
        lines += [f"{begin}:03Z end s{row}"]
    return "\n".join(lines) + "\n"


def table_text(rows=80, seed=1):
    draw = random.Random(seed)
    cells = [f"r{row},{draw.gauss(20, 1):.2f},{draw.gauss(5, 1):.2f},{draw.choice('ab')}" for row in range(rows)]
    return "\n".join(["name,heat,speed,mode", *cells]) + "\n"


def hosts_text(rows, hosts, seed=1, odd=()):
    """A table of hosts, each of which answers at its own speed from its own region; `odd` rows name another."""
    draw = random.Random(seed)
    lines = ["host,region,latency"]
    for row in range(rows):
        host = draw.randrange(hosts)
        region, latency = (host * 7 + (row in odd)) % 4, 10 + host % 9 * 20 + draw.gauss(0, 1)
        lines.append(f"web-{host:03d},{['eu', 'us', 'asia', 'africa'][region]},{latency:.2f}")
    return "\n".join(lines) + "\n"


def contents(folder):
    """name -> bytes of every file in a folder, to see that nothing changed."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def scored(ids, firsts, lasts, scores=None, reasons=lambda i: [], files=None):
    """ScoredRows of a log without times."""
    count = len(ids)
    scores = np.zeros(count) if scores is None else np.array(scores, np.float64)
    return ScoredRows(
        files or ["a.log"] * count, np.array(firsts), np.array(lasts), ids, np.full(count, np.nan), scores, reasons
    )
