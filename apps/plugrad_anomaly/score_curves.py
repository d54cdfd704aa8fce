"""How scores tell anomalies from normal rows, as a picture: ROC, precision against recall, and where the scores lie."""

import numpy as np

from plugrad.files import atomic_write

NORMAL, ODD, LINE = "#1f6f8b", "#d1495b", "#555555"


def draw(path, truth, scores, threshold, title="Scores against labels"):
    """Draw the curves to `path`; its ending names the format, PNG if there is none.

    truth: bool (rows,), whether a row is anomalous; both kinds must be there. scores: float64 (rows,). threshold: a
    score; the point that it makes is marked in each panel.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    truth, scores = np.asarray(truth, bool), np.asarray(scores, np.float64)
    flagged = scores > threshold
    recall = (flagged & truth).sum() / truth.sum()
    alarms = (flagged & ~truth).sum() / (~truth).sum()
    figure = Figure(figsize=(13.2, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    roc, pr, histogram = figure.subplots(1, 3)
    false, true, _ = roc_curve(truth, scores)
    _curve(roc, false, true, (alarms, recall), ("false-alarm rate", "recall"))
    roc.set_title(f"ROC, area {roc_auc_score(truth, scores):.3f}")
    precision, found, _ = precision_recall_curve(truth, scores)
    reached = (flagged & truth).sum() / max(1, flagged.sum())
    _curve(pr, found, precision, (recall, reached), ("recall", "precision"))
    pr.set_title(f"precision and recall, area {average_precision_score(truth, scores):.3f}")
    _histogram(histogram, truth, scores, threshold)
    ending = str(path).rpartition(".")[2].lower()
    with atomic_write(path) as file:
        figure.savefig(file, format=ending if ending in ("png", "svg", "pdf") else "png", dpi=130)


def _curve(axes, x, y, point, names):
    axes.plot(x, y, color=NORMAL, drawstyle="steps-post")
    axes.plot(*point, "o", color=ODD, label="at the threshold")
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower center")


def _histogram(axes, truth, scores, threshold):
    # Scores beyond ten times the threshold say no more than that they are beyond.
    most = max(10 * threshold, 1.0)
    bins = np.linspace(0, min(most, scores.max(initial=1.0)) or 1.0, 50)
    shown = np.minimum(scores, bins[-1])
    axes.hist(shown[~truth], bins, color=NORMAL, alpha=0.75, label=f"normal ({(~truth).sum():,})")
    axes.hist(shown[truth], bins, color=ODD, alpha=0.75, label=f"anomalous ({truth.sum():,})")
    axes.axvline(threshold, color=LINE, linestyle=":", label=f"threshold {threshold:.2f}")
    axes.set_yscale("log")
    axes.set_xlabel("score" + (f" (larger ones at {bins[-1]:.0f})" if scores.max(initial=0) > bins[-1] else ""))
    axes.set_ylabel("rows")
    axes.set_title("scores")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
