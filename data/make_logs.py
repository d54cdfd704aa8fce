"""Make the log of a small web shop: two normal days to learn from, and a later day with labelled faults.

    python make_logs.py --out logs --seed 1

writes train.log.gz, new.log and labels.csv; the same seed gives the same bytes. README.md describes them.
"""

import argparse
import csv
import gzip
import io
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shop import DAY, MINUTE, REFUSED, RETRY, SECOND, Line, Shop, Step, written

TRAIN_DAYS = (datetime(2024, 5, 14, tzinfo=UTC), datetime(2024, 5, 15, tzinfo=UTC))
NEW_DAY = datetime(2024, 5, 17, tzinfo=UTC)
FAULTS_OF_A_KIND = 7
ERRORS = (
    ("db", "PoolExhausted: no connection free after 5000 ms (size 20, waiting {rows})", "shop/db/pool.py"),
    ("payment", "GatewayError: bank-{one} closed the connection while reading the reply", "shop/pay/card.py"),
    ("cache", "DecodeError: unexpected byte 0x{one}f at offset {size}", "shop/cache/codec.py"),
    ("db", "DeadlockDetected: process {n} waits for ShareLock on transaction {size}", "shop/db/session.py"),
    ("web", "TemplateError: undefined variable 'discount' in line {rows}", "shop/web/render.py"),
    ("web", "MemoryError: cannot allocate {size} kB for the response", "shop/web/body.py"),
    ("db", "DiskFull: could not extend file base/{n}/{size}: no space left", "shop/db/storage.py"),
)
# (route or kind of job, the step that is left out)
LEFT_OUT = (("mail", "committed"), ("cart", "auth"), ("invoice", "started"), ("order", "payment"))
# (route or kind of job, the later step, the earlier step that comes after it)
EXCHANGED = (
    ("invoice", "committed", "wrote"),
    ("order", "commit", "insert_order"),
    ("cart", "update_cart", "auth"),
)


@dataclass
class Fault:
    """A fault to make: `number` marks its lines, `variant` counts those of its kind, `time` is its start."""

    number: int
    kind: str
    variant: int
    time: int
    description: str = ""


def new_error(shop, fault):
    """Let a request end with an exception that was never seen before."""
    component, text, path = ERRORS[fault.variant % len(ERRORS)]
    text = shop.fill(text)
    inner = shop.rng.sample(["acquire", "send", "read", "flush"], shop.rng.randrange(1, 4))
    trace = [shop.fill(f'  File "/opt/{path}", line {{rows}}, in {call}') for call in ["handle", *inner]]
    whole = "\n".join([f"exception {text}", "Traceback (most recent call last):", *trace, text])
    error = Step("error", 30, "ERROR", component, whole, fault.number)
    shop.request(fault.time, "cart", lambda steps: [*steps[:3], error])
    fault.description = f"{text.partition(':')[0]}, an exception never seen before"


def missing_step(shop, fault):
    """Leave one step out of a request or a job."""
    kind, name = LEFT_OUT[fault.variant % len(LEFT_OUT)]
    _session(shop, fault, kind, lambda steps: [step for step in steps if step.name != name])
    fault.description = f"{kind} without its step {name}"


def changed_order(shop, fault):
    """Let a later step of a request or a job come before an earlier one."""
    kind, late, early = EXCHANGED[fault.variant % len(EXCHANGED)]

    def exchange(steps):
        names = [step.name for step in steps]
        i, j = names.index(early), names.index(late)
        return [*steps[:i], steps[j], *steps[i:j], *steps[j + 1 :]]

    _session(shop, fault, kind, exchange)
    fault.description = f"{kind} with {late} before {early}"


def _session(shop, fault, kind, edit):
    def marked(steps):
        first, *others = edit(steps)
        return [first._replace(fault=fault.number), *others]

    add = shop.job if kind in ("mail", "invoice") else shop.request
    add(fault.time, kind, marked)


def burst(shop, fault):
    """Repeat a rare line 15 to 60 times within a minute or two."""
    rng = shop.rng
    what, (level, component, text) = (("failed logins", REFUSED), ("retries", RETRY))[fault.variant % 2]
    ip, count, time = shop.usual("ip"), rng.randrange(15, 61), fault.time
    for _ in range(count):
        time += rng.randrange(200, 2000)
        shop.lines.append(Line(time, level, component, shop.fill(text, ip=ip), "", fault.number))
    fault.description = f"{count} {what} within {(time - fault.time) // SECOND} s"


def slow_values(shop, fault):
    """Add requests to a spell in which the database is slow, so that it shows at night too."""
    for offset in (10, 60, 130):
        shop.visit(fault.time + offset * SECOND)
        shop.request(fault.time + (offset + 5) * SECOND, "search")
    fault.description = "database 20 to 100 times slower than usual"


def silent_stop(shop, fault):
    """Take away all that a component says for some minutes, and whole the sessions that it had part in.

    It is silent until its regular report comes again, which is later: the lines until then belong to the fault too.
    """
    component, report, least = (("health", "check ok", 6), ("queue", "depth=", 10))[fault.variant % 2]
    minutes = least + shop.rng.randrange(4)
    end = fault.time + minutes * MINUTE
    own = [line for line in shop.lines if line.component == component]
    gone = {line.session for line in own if fault.time <= line.time <= end} - {""}
    heard = min(line.time for line in own if line.time > end and line.text.startswith(report))
    kept = []
    for line in shop.lines:
        if line.session not in gone and not (line.component == component and fault.time <= line.time <= end):
            silent = fault.time <= line.time < heard
            kept.append(line._replace(fault=fault.number) if silent else line)
    shop.lines = kept
    fault.description = f"nothing from {component} for {minutes} minutes"


MAKERS = {make.__name__: make for make in (new_error, missing_step, changed_order, burst, slow_values, silent_stop)}
OF_ONE_SESSION = ("new_error", "missing_step", "changed_order")


def plan(rng):
    """Spread the faults over a day so that none touches another: list of Fault in order of time."""
    kinds = list(MAKERS) * FAULTS_OF_A_KIND
    rng.shuffle(kinds)
    slot = (DAY - 20 * MINUTE) // len(kinds)
    return [
        Fault(i, kind, kinds[:i].count(kind), i * slot + rng.randrange(8 * MINUTE, 16 * MINUTE))
        for i, kind in enumerate(kinds)
    ]


def make_train(seed):
    """Return the two normal days as one text, ending with a line feed."""
    texts = []
    for i, day in enumerate(TRAIN_DAYS):
        shop = Shop(random.Random(f"{seed} train {i}"))
        shop.normal_day()
        texts += [text for text, _, _ in written(day, shop.lines, 41_000 + 500 * i)]
    return "\n".join(texts) + "\n"


def make_new(seed):
    """Return the later day as one text, and its labels: tuples of what labels.csv has in its columns."""
    rng = random.Random(f"{seed} new")
    faults = plan(rng)
    slow = [(f.time, f.time + 4 * MINUTE, f.number) for f in faults if f.kind == "slow_values"]
    shop = Shop(rng, slow)
    shop.normal_day()
    for fault in faults:
        MAKERS[fault.kind](shop, fault)
    lines = written(NEW_DAY, shop.lines, 42_500)
    labels = []
    for fault in faults:
        marked = [(i, session) for i, (_, session, number) in enumerate(lines, 1) if number == fault.number]
        session = marked[0][1] if fault.kind in OF_ONE_SESSION else ""
        labels.append((marked[0][0], marked[-1][0], fault.kind, session, fault.description))
    return "\n".join(text for text, _, _ in lines) + "\n", labels


def labels_csv(labels):
    """Return the labels as the text of a CSV file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("first_line", "last_line", "kind", "id", "description"))
    writer.writerows(labels)
    return out.getvalue()


def compressed(text):
    """Return text as gzip without a time or a name in it, so that the same text gives the same bytes."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as file:
        file.write(text.encode())
    return out.getvalue()


def main():
    """Write the three files into the folder given by --out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "logs")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    new, labels = make_new(arguments.seed)
    (arguments.out / "train.log.gz").write_bytes(compressed(make_train(arguments.seed)))
    (arguments.out / "new.log").write_bytes(new.encode())
    (arguments.out / "labels.csv").write_bytes(labels_csv(labels).encode())


if __name__ == "__main__":
    main()
