"""`plugrad anomaly report`: scores as one page to look at."""

import click

from plugrad_anomaly.commands.options import FORCE, refuse, say


@click.command()
@click.argument("scores", metavar="SCORES")
@click.option("-o", "--output", metavar="FILE", help="The page, say report.html (default: standard output).")
@click.option("--findings", type=click.IntRange(1, 10_000), default=200, show_default=True, metavar="N",
              help="How many findings the page shows, those with the largest scores.")  # fmt: skip
@click.option("--lines/--no-lines", default=True, show_default=True, help="Show raw lines, read from the scored files.")
@click.option("--title", metavar="TEXT", help="The page's title (default: the name of SCORES).")
@click.option("--json", "as_json", is_flag=True, help="Print what the page shows as JSON instead.")
@FORCE
def report(scores, output, findings, lines, title, as_json, force):
    """Make one self-contained page of SCORES: timeline, findings with reasons and raw lines, what they are about.

    SCORES is what `score` wrote, as csv or jsonl; jsonl knows more of the reasons. The page loads nothing from
    elsewhere.

    \b
    plugrad anomaly score new.log --model shop.model --format jsonl -o scores.jsonl
    plugrad anomaly report scores.jsonl -o report.html
    """
    from plugrad_anomaly.page.lines import raw_lines
    from plugrad_anomaly.page.render import render
    from plugrad_anomaly.page.scores import as_json as json_of
    from plugrad_anomaly.page.scores import read_scores
    from plugrad_anomaly.write import output as written

    if output and output != "-":
        refuse(output, force)
    summary = read_scores(scores, findings)
    text = (
        json_of(summary) + "\n"
        if as_json
        else render(summary, raw_lines(summary.findings) if lines else {}, title or f"Anomalies in {scores}")
    )
    with written(output) as file:
        file.write(text.encode("utf-8", "replace"))
    if output and output != "-":
        say(f"{output} written: {summary.rows:,} rows, {summary.anomalies:,} anomalies")
