"""A small web shop that writes a log: web server, database, cache, job queue. Simulated, without faults.

A request or a job is a session: a list of steps, each of which writes one line some milliseconds after the
one before. Many sessions run at once, so their lines mix, and between them come the lines of periodic work.
"""

import math
import re
from collections import namedtuple
from datetime import timedelta

SECOND = 1000  # all times are milliseconds since midnight
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE

# route: (weight, how it is asked for, the steps between "received" and "answered")
ROUTES = {
    "product": (30, "GET /product/{n}", "auth cache query:select_product query:select_stock store render"),
    "search": (
        20,
        "GET /search?q={word}&page={page}",
        "auth query:search_products query:select_stock render",
    ),
    "cart": (14, "POST /cart/items/{n}", "auth query:select_cart query:update_cart render"),
    "order": (8, "POST /orders", "auth query:select_cart payment query:insert_order commit enqueued render"),
    "login": (7, "POST /login", "query:select_user login render"),
    "image": (12, "GET /static/img/{n}.jpg", "sent"),
    "missing": (1, "GET /old/{word}.php", "notfound"),
}
# kind of job: (weight, the steps between "started" and "finished")
JOBS = {
    "mail": (5, "query:select_order template smtp committed"),
    "invoice": (3, "query:select_order wrote uploaded committed"),
    "thumbnail": (3, "fetched resized uploaded committed"),
    "archive": (2, "query:select_order wrote wrote committed"),
}
# step: (level, component, text, usual milliseconds)
STEPS = {
    "auth": ("INFO", "auth", "session valid user=u{user}", 2),
    "login": ("INFO", "auth", "login ok user=u{user} ip={ip}", 30),
    "query": ("INFO", "db", "query {query} rows={rows} took {took} ms", 4),
    "commit": ("INFO", "db", "transaction committed took {took} ms", 5),
    "hit": ("INFO", "cache", "hit key=product:{n}", 1),
    "miss": ("INFO", "cache", "miss key=product:{n}", 1),
    "store": ("INFO", "cache", "stored key=product:{n} size={size} B ttl=300 s", 1),
    "payment": ("INFO", "payment", "authorised amount={price} EUR via card in {took} ms", 120),
    "enqueued": ("INFO", "queue", "enqueued job for order {n}", 3),
    "render": ("INFO", "web", "rendered page in {took} ms", 12),
    "sent": ("INFO", "web", "sent file /srv/shop/img/{n}.jpg {size} B", 5),
    "notfound": ("WARN", "web", "no route for this path", 1),
    "template": ("INFO", "queue", "filled template mail_{n} for u{user}", 40),
    "smtp": ("INFO", "queue", "handed to smtp-{one}.shop.example in {took} ms", 300),
    "fetched": ("INFO", "queue", "fetched /srv/shop/upload/{n}.png {size} B", 150),
    "resized": ("INFO", "queue", "resized to {rows} kB in {took} ms", 400),
    "wrote": ("INFO", "queue", "wrote {rows} rows to /srv/shop/export/{n}.parquet", 250),
    "uploaded": ("INFO", "queue", "uploaded {size} B to bucket-{one} in {took} ms", 350),
    "committed": ("INFO", "queue", "committed in {took} ms", 20),
}
RETRY = ("WARN", "queue", "smtp-{one}.shop.example slow, retry {one} in {rows} s")
REFUSED = ("WARN", "auth", "login failed user=u{user} ip={ip} attempt={one}")
# (seconds between, share of the periods in which it happens, level, component, text, ...)
PERIODIC = (
    (30, 1.0, "INFO", "health", "check ok web={one} ms db={one} ms disk={percent}%"),
    (120, 1.0, "INFO", "queue", "depth={one} workers=8 busy={one}"),
    (300, 1.0, "INFO", "db", "replica lag {took} ms"),
    (600, 0.9, "INFO", "web", "gc freed {size} kB pause {took} ms"),
    (900, 1.0, "INFO", "db", "checkpoint starting", "checkpoint complete: wrote {rows} buffers in {took} s"),
    (1800, 0.8, "INFO", "cache", "evicted {rows} keys, {percent}% of memory used"),
    (3600, 1.0, "INFO", "cron", "start sweep_sessions", "sweep_sessions expired {rows} sessions"),
    (3600, 0.3, "INFO", "db", "autovacuum of table carts removed {rows} dead rows"),
    (7200, 0.6, *RETRY),
    (1500, 0.5, *REFUSED),
    (43200, 1.0, "INFO", "web", "certificate valid for {percent} more days"),
)
WORDS = ("lamp", "chair", "desk", "shelf", "mirror", "carpet", "sofa", "basket", "candle", "frame", "clock")

Line = namedtuple("Line", "time level component text session fault", defaults=("", None))
Step = namedtuple("Step", "name delay level component text fault", defaults=(None,))


class Shop:
    """Writes the lines of one day, in no order, into `lines`.

    rng: a random.Random; slow: (first, last, fault) times between which the database takes 20 to 100 times as
    long, and the mark that the lines then get
    """

    def __init__(self, rng, slow=()):
        self.rng = rng
        self.slow = slow
        self.lines = []
        self.sessions = 0

    def fill(self, text, **values):
        """Replace each {name} in a text by its value, or by a random one of the usual range."""
        return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1]) or self.usual(found[1])), text)

    def usual(self, name):
        """Return a random value of the range that is usual for this name in a text."""
        rng = self.rng
        match name:
            case "took":
                return f"{self.spread(5):.1f}"
            case "price":
                return f"{rng.randrange(500, 30_000) / 100:.2f}"
            case "word":
                return rng.choice(WORDS)
            case "ip":
                return f"10.{rng.randrange(4)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        ranges = {"n": (1000, 9999), "user": (1000, 6000), "rows": (1, 60), "size": (1000, 90_000)}
        return rng.randrange(*(ranges | {"one": (1, 9), "page": (1, 6), "percent": (38, 47)})[name])

    def spread(self, usual):
        """Return a duration near the usual one: at least a third, at most three times it."""
        return usual * min(3.0, max(0.34, self.rng.lognormvariate(0, 0.4)))

    def step(self, name, time, **values):
        """Return the Step of this name ("query:" is followed by the query's own) that begins at `time`."""
        name, _, query = name.partition(":")
        level, component, text, usual = STEPS[name]
        took = self.spread(usual)
        fault = None
        if component == "db":
            fault = next((fault for first, last, fault in self.slow if first <= time <= last), None)
        if fault is not None:
            took *= self.rng.uniform(20, 100)
        text = self.fill(text, took=f"{took:.1f}", query=query, **values)
        return Step(query or name, max(1, round(took)), level, component, text, fault)

    def request(self, time, route=None, edit=lambda steps: steps):
        """Add the lines of one request to the web server; `edit` may change its list of steps."""
        route = route or self.rng.choices(list(ROUTES), [weight for weight, *_ in ROUTES.values()])[0]
        _, asked, names = ROUTES[route]
        names = names.split()
        if "cache" in names and self.rng.random() < 0.6:
            names = ["auth", "hit", "render"]
        same = {"n": self.usual("n"), "user": self.usual("user")}
        steps = [Step("received", 1, "INFO", "web", self.fill("received " + asked + " from {ip}", **same))]
        for name in names:
            steps.append(self.step("miss" if name == "cache" else name, time + _total(steps), **same))
        steps = edit(steps)
        status = {"notfound": 404, "error": 500}.get(steps[-1].name, 302 if route == "login" else 200)
        text = self.fill(f"answered {status} in {_total(steps)} ms {{size}} B")
        steps.append(Step("answered", 1, "INFO" if status < 500 else "ERROR", "web", text))
        self.add(f"req-{self.rng.getrandbits(32):08x}", time, steps)

    def job(self, time, kind=None, edit=lambda steps: steps):
        """Add the lines of one job of the queue; `edit` may change its list of steps."""
        kind = kind or self.rng.choices(list(JOBS), [weight for weight, _ in JOBS.values()])[0]
        number = list(JOBS).index(kind) + 1
        same = {"n": self.usual("n"), "user": self.usual("user")}
        wait = round(self.spread(2500))
        started = self.fill(f"started by worker-{{one}} after {wait} ms")
        steps = [
            Step("enqueued", 2, "INFO", "queue", self.fill("enqueued kind={kind} priority={one}", kind=number)),
            Step("started", wait, "INFO", "queue", started),
        ]
        for name in JOBS[kind][1].split():
            steps.append(self.step(name, time + _total(steps), **same))
        steps = edit(steps)
        steps.append(Step("finished", 1, "INFO", "queue", f"finished in {_total(steps)} ms"))
        self.sessions += 1
        self.add(f"job-{self.sessions}", time, steps)

    def add(self, session, time, steps):
        """Add one line per step; from a faulty step on, the lines of a session belong to its fault."""
        fault = None
        for step in steps:
            time += step.delay
            fault = fault if step.fault is None else step.fault
            self.lines.append(Line(time, step.level, step.component, step.text, session, fault))

    def visit(self, time):
        """Add what one person's browser asks for at about the same time."""
        for _ in range(self.rng.randrange(2, 6)):
            self.request(time + self.rng.randrange(400))

    def normal_day(self):
        """Add a day without faults: most visits and jobs in the afternoon, few at night."""
        for mean, work in ((7 * MINUTE, self.visit), (8 * MINUTE, self.job)):
            time = 0.0
            # Arrivals at the busiest hour's rate, thinned to the rate of their own hour.
            while (time := time + self.rng.expovariate(1.8 / mean)) < DAY - 2 * MINUTE:
                if self.rng.random() * 1.8 < 1 + 0.8 * math.sin(2 * math.pi * (time / DAY - 9 / 24)):
                    work(int(time))
        for period, share, level, component, *texts in PERIODIC:
            for start in range(0, DAY, period * SECOND):
                if self.rng.random() < share:
                    time = start + self.rng.randrange(400 if period == 30 else 20 * SECOND)
                    for text in texts:
                        self.lines.append(Line(time, level, component, self.fill(text)))
                        time += self.rng.randrange(300, 9000)


def _total(steps):
    return sum(step.delay for step in steps)


def written(day, lines, first_job):
    """Order lines by time: a list of (text, session, fault) for each line of the file.

    Jobs are numbered from `first_job` in the order in which they come, as a queue does. A text of several
    lines (a traceback) has its timestamp on the first alone.
    """
    names, result = {"": ""}, []
    for line in sorted(lines, key=lambda line: line.time):
        if line.session not in names:
            jobs = sum(name.startswith("job-") for name in names)
            names[line.session] = f"job-{first_job + jobs}" if line.session.startswith("job-") else line.session
        session = names[line.session]
        time = (day + timedelta(milliseconds=line.time)).isoformat(timespec="milliseconds")
        start = [time.replace("+00:00", "Z"), line.level, line.component, session, line.text]
        texts = " ".join(part for part in start if part).split("\n")
        result += [(text, session, line.fault) for text in texts]
    return result
