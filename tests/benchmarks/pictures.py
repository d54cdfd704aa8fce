"""The results of a run as pictures."""

from result_rows import frameworks, groups, slopes


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw_steps(results, path):
    """Bars of each framework's median beside plugrad's, one panel for each task and number of threads."""
    pyplot = _pyplot()
    measured, names = groups(results), frameworks(results)
    panels = list(dict.fromkeys((task, threads) for (_, task, threads), _ in measured))
    panels.sort(key=lambda panel: (panel[0] != "training", panel[0], panel[1]))
    widest = max(len({case for (case, *rest), _ in measured if tuple(rest) == panel}) for panel in panels)
    figure, axes = pyplot.subplots(
        len(panels), 1, figsize=(max(8, 1.6 * widest), 4 * len(panels)), squeeze=False, layout="constrained"
    )
    for axis, panel in zip(axes.flat, panels, strict=True):
        _draw_panel(axis, panel, measured, names)
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
        axis.bar_label(bars, fmt="%.0f", fontsize=6, rotation=90, padding=2)
    axis.set_xticks(range(len(chosen)), [case for case, _ in chosen])
    axis.set_ylabel("µs per step (log)")
    axis.set_yscale("log")
    axis.margins(y=0.15)
    axis.set_title(f"{task}, {threads} thread{'s' if threads > 1 else ''}")


def draw_slopes(results, path):
    """A line for each framework: time against size, both logarithmic; a panel for each size and number of threads."""
    pyplot = _pyplot()
    measured, names = slopes(results), frameworks(results)
    axes_names = list(dict.fromkeys(axis for (axis, _, _), _ in measured))
    threads = list(dict.fromkeys(count for (_, count, _), _ in measured))
    figure, axes = pyplot.subplots(
        len(axes_names), len(threads), figsize=(6 * len(threads), 4 * len(axes_names)), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for down, name in enumerate(axes_names):
        for across, count in enumerate(threads):
            chosen = {value: rows for (a, c, value), rows in measured if (a, c) == (name, count)}
            panel = axes[down][across]
            for framework in names:
                line = {value: rows[framework]["median_us"] for value, rows in chosen.items() if framework in rows}
                panel.loglog(list(line), list(line.values()), marker="o", markersize=3, label=framework)
            panel.set_xticks(list(chosen), [str(value) for value in chosen])
            panel.set_xticks([], minor=True)
            panel.set_xlabel(name)
            panel.set_ylabel("µs per training step")
            panel.set_title(f"{name}, {count} thread{'s' if count > 1 else ''}")
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(names))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
