"""The results of a run as tables on the terminal, and as JSON and a picture on disk."""

import json

import pictures
from result_rows import frameworks, groups, slopes

FORMAT = 2
"""Version of the JSON's layout."""


def show(results, console=None):
    """Print the tables."""
    from rich.console import Console

    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, 150)
    for peak in results["machine"]["peaks"]:
        console.print(
            f"{peak['threads']} threads: products of float32 in the caches {peak['gflops']:.0f} GFLOP/s, "
            f"copies in memory {peak['copy_gigabytes']:.1f} GB/s (read and written)"
        )
    for table, rows in (
        (_steps_table, "steps"), (_work_table, "steps"), (_slopes_table, "slopes"), (_memory_table, "memory"),
        (_process_table, "startup"),
    ):  # fmt: skip
        if results[rows]:
            console.print(table(results))


def _steps_table(results):
    from rich.table import Table

    names = frameworks(results)
    table = Table(
        title="µs per step: median (minimum) × plugrad's median; above 1, plugrad is quicker",
        caption="* busy on more cores than it was given threads. jax.queued waits for a block's last result only.",
    )
    for heading in ("case", "task", "threads"):
        table.add_column(heading)
    for heading in names:
        table.add_column(heading, justify="right")
    table.add_column("best / plugrad", justify="right")
    previous = None
    for (case, task, threads), rows in groups(results):
        if previous not in (None, (case, threads)):
            table.add_section()
        previous = case, threads
        cells = [_cell(rows.get(name)) for name in names]
        best = rows["plugrad"]["ratio_to_best_peer"]
        ratio = "" if best is None else f"[{'green' if best <= 1 else 'red'}]{1 / best:.2f}[/]"
        table.add_row(case, task, str(threads), *cells, ratio)
    return table


def _cell(row):
    if row is None:
        return "–"
    busy = "*" if row["cores_busy"] > row["threads"] + 0.1 else ""
    text = f"{row['median_us']:.1f}{busy} ({row['minimum_us']:.1f})"
    return text if row["framework"] == "plugrad" else f"{text} ×{row['ratio_to_plugrad']:.2f}"


def _work_table(results):
    """GFLOP/s of the products and their share of the measured peak."""
    from rich.table import Table

    names = frameworks(results)
    table = Table(title="GFLOP/s of the products in a step, and their share of the machine's measured peak")
    for heading in ("case", "task", "threads", "MFLOP"):
        table.add_column(heading, justify="right" if heading == "MFLOP" else "left")
    for heading in names:
        table.add_column(heading, justify="right")
    for (case, task, threads), rows in groups(results):
        work = rows["plugrad"]["gflops"] * rows["plugrad"]["median_us"] / 1e3
        table.add_row(case, task, str(threads), f"{work:.1f}", *(_work_cell(rows.get(name)) for name in names))
    return table


def _work_cell(row):
    if row is None:
        return "–"
    return f"{row['gflops']:.1f}" + ("" if row["share_of_peak"] is None else f" ({row['share_of_peak']:.0%})")


def _slopes_table(results):
    """µs per training step as one size grows."""
    from rich.table import Table

    names = frameworks(results)
    table = Table(title="µs per training step, median, as one size grows; above 1, plugrad is quicker")
    for heading in ("size", "threads", "value", *names, "best / plugrad"):
        table.add_column(heading, justify="left" if heading == "size" else "right")
    previous = None
    for (axis, threads, value), rows in slopes(results):
        if previous not in (None, (axis, threads)):
            table.add_section()
        previous = axis, threads
        best = rows["plugrad"]["ratio_to_best_peer"]
        cells = [f"{rows[name]['median_us']:.1f}" if name in rows else "–" for name in names]
        table.add_row(axis, str(threads), str(value), *cells, "" if best is None else f"{1 / best:.2f}")
    return table


def _memory_table(results):
    """The peak of each case's process."""
    from rich.table import Table

    names = frameworks(results)
    table = Table(title="peak resident memory of a case's process, MB")
    table.add_column("case")
    table.add_column("threads")
    for name in names:
        table.add_column(name, justify="right")
    found = {}
    for row in results["memory"]:
        found.setdefault((row["case"], row["threads"]), {})[row["framework"]] = row["peak_megabytes"]
    for (case, threads), peaks in found.items():
        table.add_row(case, str(threads), *(f"{peaks[name]:.0f}" if name in peaks else "–" for name in names))
    return table


def _process_table(results):
    from rich.table import Table

    table = Table(
        title="processes: import; start to end of the first training step; installed files of what that imports"
    )
    table.add_column("framework")
    for heading in ("import, s", "first step, s", "first step with empty caches, s", "installed, MB"):
        table.add_column(heading, justify="right")
    sizes = {row["framework"]: sum(row["bytes"].values()) / 1e6 for row in results["footprint"]}
    for row in results["startup"]:
        seconds = [row[key] for key in ("import_seconds", "first_step_seconds", "cold_first_step_seconds")]
        name = row["framework"]
        table.add_row(name, *(f"{s:.2f}" for s in seconds), f"{sizes[name]:.0f}" if name in sizes else "–")
    return table


def write(results, folder):
    """Write the JSON and the picture of a run into a folder, made where it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "slopes" if results["slopes"] else "training_steps"
    path, picture = folder / f"{name}.json", folder / f"{name}.png"
    path.write_text(json.dumps({"format": FORMAT, **results}, indent=1) + "\n")
    (pictures.draw_slopes if results["slopes"] else pictures.draw_steps)(results, picture)
    print(f"wrote {path} and {picture}")
