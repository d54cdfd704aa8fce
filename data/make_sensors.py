"""Make the readings of five machines: a week of normal work to learn from, later days with labelled faults.

    python make_sensors.py --out sensors --seed 1

writes train.csv, new.csv and labels.csv; the same seed gives the same bytes. README.md describes them.
"""

import argparse
import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

COLUMNS = ("reading_id", "time", "machine", "mode", "temperature_c", "vibration_mm_s", "pressure_bar")
COLUMNS += ("speed_rpm", "power_kw")
SENSORS = COLUMNS[4:]
DECIMALS = {
    "temperature_c": 1,
    "vibration_mm_s": 2,
    "pressure_bar": 2,
    "speed_rpm": 0,
    "power_kw": 2,
}
MACHINES = ("M1", "M2", "M3", "M4", "M5")
# mode: (speed in rpm, pressure in bar, the modes that may follow)
MODES = {
    "idle": (400, 1.5, ("normal",)),
    "normal": (1500, 4.0, ("idle", "normal", "boost")),
    "boost": (2400, 6.0, ("normal",)),
}
STEP = timedelta(minutes=10)
TRAIN_START, TRAIN_STEPS = datetime(2024, 5, 6, tzinfo=UTC), 1000
NEW_START, NEW_STEPS = datetime(2024, 5, 20, tzinfo=UTC), 500
MISSING = 0.02


def simulate(rng, start, steps, first_id):
    """Return the normal readings of all machines: list of dicts, ordered by time, then machine.

    speed and pressure come from the mode; power from speed times pressure; temperature follows power and the
    hour of the day with some inertia; vibration follows speed.
    """
    machines = [_machine(rng, i, start, steps) for i in range(len(MACHINES))]
    readings = [reading for at_one_time in zip(*machines, strict=True) for reading in at_one_time]
    for i, reading in enumerate(readings):
        reading["reading_id"] = f"r{first_id + i:05d}"
    return readings


def _machine(rng, number, start, steps):
    mode, left, wander, warm, readings = "normal", 0, np.zeros(2), 20.0, []
    for i in range(steps):
        if left == 0:
            mode = MODES[mode][2][rng.randint(len(MODES[mode][2]))]
            left = rng.randint(4, 25)
        left -= 1
        time = start + i * STEP
        wander = 0.9 * wander + rng.normal(size=2) * (0.02, 0.03)
        speed = MODES[mode][0] * (1 + wander[0]) + 15 * number + rng.normal() * 8
        pressure = MODES[mode][1] * (1 + wander[1]) * (1 + 0.02 * number) + rng.normal() * 0.03
        power = 1.0 + 0.1 * number + speed * pressure / 600 + rng.normal() * 0.12
        outside = 21 + 4 * np.sin(2 * np.pi * ((time.hour + time.minute / 60) / 24 - 9 / 24))
        warm += 0.4 * (1.6 * power - warm)
        readings.append(
            {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "machine": MACHINES[number],
                "mode": mode,
                "temperature_c": outside + warm + rng.normal() * 0.4,
                "vibration_mm_s": 0.4 + 0.05 * number + 0.0011 * speed + rng.normal() * 0.06,
                "pressure_bar": pressure,
                "speed_rpm": speed,
                "power_kw": power,
            }
        )
    return readings


def blank(rng, readings):
    """Take away two of a hundred cells, of the mode and the sensors."""
    for reading in readings:
        for column in ("mode", *SENSORS):
            if rng.random_sample() < MISSING:
                reading[column] = ""


class Faults:
    """Puts faults into readings, in place, each far from the others; `labels` maps reading_id to its kind."""

    def __init__(self, rng, readings):
        self.rng = rng
        self.readings = readings
        self.labels = {}
        self.taken = set()
        values = {c: [r[c] for r in readings if r[c] != ""] for c in SENSORS}
        self.lowest = {c: min(values[c]) for c in SENSORS}
        self.highest = {c: max(values[c]) for c in SENSORS}

    def pick(self, length=1, wanted=lambda run: True):
        """Return `length` readings of one machine in a row, with no cell missing and no fault near."""
        per_step = len(MACHINES)
        while True:
            start = self.rng.randint(per_step * 3, len(self.readings) - per_step * (length + 3))
            near = range(start - 3 * per_step, start + (length + 3) * per_step, per_step)
            run = [self.readings[start + i * per_step] for i in range(length)]
            complete = all(reading[column] != "" for reading in run for column in COLUMNS)
            if complete and self.taken.isdisjoint(near) and wanted(run):
                self.taken.update(near)
                return run

    def label(self, run, kind):
        for reading in run:
            self.labels[reading["reading_id"]] = kind

    def spike(self):
        """Let one sensor jump far out of its range for one reading."""
        run = self.pick()
        column = SENSORS[self.rng.randint(len(SENSORS))]
        width = self.highest[column] - self.lowest[column]
        run[0][column] = self.highest[column] + width * self.rng.uniform(0.3, 2.0)
        self.label(run, "spike")

    def broken_relation(self):
        """Take one value from another mode: in its usual range, but not beside the other values."""
        column = ("power_kw", "vibration_mm_s", "temperature_c")[self.rng.randint(3)]
        mode, other = (("idle", "boost"), ("boost", "idle"))[self.rng.randint(2)]
        run = self.pick(1, lambda run: run[0]["mode"] == mode)
        source = self.pick(1, lambda source: source[0]["mode"] == other)
        run[0][column] = source[0][column]
        self.label(run, "broken_relation")

    def stuck(self):
        """Repeat one sensor's value over six readings in which the machine changes its mode."""
        column = ("power_kw", "vibration_mm_s", "pressure_bar")[self.rng.randint(3)]
        run = self.pick(7, lambda run: run[0]["mode"] != run[1]["mode"] and len({r["mode"] for r in run}) > 1)
        for reading in run[1:]:
            reading[column] = run[0][column]
        self.label(run[1:], "stuck_or_drift")

    def drift(self):
        """Let one sensor wander off, more with each of six readings."""
        column = ("temperature_c", "vibration_mm_s", "pressure_bar")[self.rng.randint(3)]
        run = self.pick(6)
        width = self.highest[column] - self.lowest[column]
        for i, reading in enumerate(run, 2):
            reading[column] += width * 0.08 * i
        self.label(run, "stuck_or_drift")

    def impossible(self, unknown):
        """Write a machine or a mode that does not exist, or else a mode that contradicts the sensors."""
        run = self.pick(1, lambda run: run[0]["mode"] == ("boost", "idle")[self.rng.randint(2)])
        if unknown:
            column, value = (("machine", "M9"), ("mode", "turbo"), ("machine", "m2"))[self.rng.randint(3)]
            run[0][column] = value
        else:
            run[0]["mode"] = {"boost": "idle", "idle": "boost"}[run[0]["mode"]]
        self.label(run, "impossible")


def csv_text(columns, rows):
    """Return rows (dicts) as the text of a CSV file; numbers with the decimals that their sensor gives."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({c: f"{row[c]:.{DECIMALS[c]}f}" if c in DECIMALS and row[c] != "" else row[c] for c in columns})
    return out.getvalue()


def make_train(seed):
    """Return the text of train.csv."""
    rng = np.random.RandomState(seed)  # its stream of numbers is the one NumPy promises never to change
    readings = simulate(rng, TRAIN_START, TRAIN_STEPS, 1)
    blank(rng, readings)
    return csv_text(COLUMNS, readings)


def make_new(seed):
    """Return the texts of new.csv and of its labels.csv."""
    rng = np.random.RandomState(seed + 1_000_000)
    readings = simulate(rng, NEW_START, NEW_STEPS, 1 + TRAIN_STEPS * len(MACHINES))
    blank(rng, readings)
    faults = Faults(rng, readings)
    for i in range(15):
        faults.spike()
        faults.broken_relation()
        faults.impossible(unknown=i % 2 == 0)
    for _ in range(2):
        faults.stuck()
        faults.drift()
    labels = [{"reading_id": name, "kind": kind} for name, kind in sorted(faults.labels.items())]
    return csv_text(COLUMNS, readings), csv_text(("reading_id", "kind"), labels)


def main():
    """Write the three files into the folder given by --out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "sensors")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    new, labels = make_new(arguments.seed)
    texts = {"train.csv": make_train(arguments.seed), "new.csv": new, "labels.csv": labels}
    for name, text in texts.items():
        (arguments.out / name).write_bytes(text.encode())


if __name__ == "__main__":
    main()
