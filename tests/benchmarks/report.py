"""The results of a run as tables on the terminal, as JSON and as a picture."""

import json

FORMAT = 1
"""Version of the JSON's layout."""


def groups(results):
    """((case, task, threads), {framework: row}) for everything measured, in order."""
    found = {}
    for row in results["steps"]:
        found.setdefault((row["case"], row["task"], row["threads"]), {})[row["framework"]] = row
    return list(found.items())


def frameworks(results):
    """The frameworks that have a row, plugrad first."""
    return list(dict.fromkeys(row["framework"] for row in results["steps"]))


def show(results, console=None):
    """Print the tables."""
    from rich.console import Console

    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, 150)
    console.print(_steps_table(results))
    if results["startup"] or results["memory"]:
        console.print(_process_table(results))


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


def _process_table(results):
    from rich.table import Table

    table = Table(title="processes: import, first training step from the process's start (warm caches), peak memory")
    table.add_column("framework")
    for heading in ("import, s", "first step, s"):
        table.add_column(heading, justify="right")
    threads = list(dict.fromkeys(row["threads"] for row in results["memory"]))
    for count in threads:
        table.add_column(f"peak MB, {count} thread{'s' if count > 1 else ''}", justify="right")
    startup = {row["framework"]: row for row in results["startup"]}
    memory = {(row["framework"], row["threads"]): row["peak_megabytes"] for row in results["memory"]}
    for name in frameworks(results):
        start = startup.get(name)
        cells = [f"{start[key]:.2f}" if start else "–" for key in ("import_seconds", "first_step_seconds")]
        peaks = [f"{memory[name, count]:.0f}" if (name, count) in memory else "–" for count in threads]
        table.add_row(name, *cells, *peaks)
    return table


def write(results, folder):
    """Write training_steps.json and training_steps.png into a folder, made where it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "training_steps.json"
    path.write_text(json.dumps({"format": FORMAT, **results}, indent=1) + "\n")
    picture = folder / "training_steps.png"
    draw(results, picture)
    print(f"wrote {path} and {picture}")


def draw(results, path):
    """Bars of each framework's median beside plugrad's, one panel for each task and number of threads."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = frameworks(results)
    panels = list(dict.fromkeys((task, threads) for (_, task, threads), _ in groups(results)))
    columns = len({threads for _, threads in panels})
    figure, axes = pyplot.subplots(
        -(-len(panels) // columns), columns, figsize=(6.5 * columns, 8), squeeze=False, layout="constrained"
    )
    panels.sort(key=lambda panel: (panel[0] != "training", panel[1]))
    for axis, panel in zip(axes.flat, panels, strict=False):
        _draw_panel(axis, panel, groups(results), names)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(names))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_panel(axis, panel, measured, names):
    task, threads = panel
    chosen = [(case, rows) for (case, its_task, its_threads), rows in measured if (its_task, its_threads) == panel]
    width = 0.8 / len(names)
    for place, name in enumerate(names):
        offset = (place - (len(names) - 1) / 2) * width
        heights = {i + offset: rows[name]["median_us"] for i, (_, rows) in enumerate(chosen) if name in rows}
        bars = axis.bar(list(heights), list(heights.values()), width, label=name)
        axis.bar_label(bars, fmt="%.0f", fontsize=7)
    axis.set_xticks(range(len(chosen)), [case for case, _ in chosen])
    axis.set_ylabel("µs per step (log)")
    axis.set_yscale("log")
    axis.set_title(f"{task}, {threads} thread{'s' if threads > 1 else ''}")
