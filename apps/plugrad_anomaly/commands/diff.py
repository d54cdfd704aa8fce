"""`plugrad anomaly diff`: what is new in a bad log, beside a good one."""

import json

import click

from plugrad.errors import InputError
from plugrad_anomaly.commands.grouping_options import given_grouping, grouping_options
from plugrad_anomaly.commands.layout_options import layout_options, new_layout
from plugrad_anomaly.commands.options import FORCE, OUTPUT, refuse, say

GONE_SHOWN = 5


@click.command()
@click.argument("good", metavar="GOOD")
@click.argument("bad", metavar="BAD")
@grouping_options
@layout_options
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Show N findings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: findings, and templates that are gone.")
@click.option("--fail-on-anomaly", is_flag=True, help="Exit with status 1 if anything is found.")
@OUTPUT
@FORCE
def diff(
    good, bad, top, as_json, fail_on_anomaly, output, force, multiline_start, log_format, masks, reader, **grouping
):
    """Learn from the log GOOD, and rank what is new or odd in BAD: the log of a failing build, say.

    GOOD and BAD are files, folders, or patterns in quotes.

    \b
    plugrad anomaly diff build-ok.log build-failed.log
    plugrad anomaly diff 'logs/monday/*.log' logs/tuesday --top 50
    """
    from plugrad_anomaly.diffing import compare
    from plugrad_anomaly.sources import expand
    from plugrad_anomaly.write import output as written

    if output and output != "-":
        refuse(output, force)
    old, new = expand([good]), expand([bad])
    if "-" in old:
        raise InputError("is read twice; expected a file, as standard input can be read once", "-")
    layout = new_layout(multiline_start, log_format, masks, reader)
    findings, gone = compare(old, new, layout, given_grouping(**grouping))
    if as_json:
        shown = [
            {**one, "timestamp": None if one["timestamp"] != one["timestamp"] else one["timestamp"]} for one in findings
        ]
        text = json.dumps({"findings": shown[:top], "gone": gone}, ensure_ascii=False) + "\n"
    else:
        text = "".join(line + "\n" for line in _lines(findings[:top], gone, len(findings), bad))
    with written(output) as file:
        file.write(text.encode("utf-8", "replace"))
    say(f"{len(findings):,} kinds of findings, {len(gone):,} templates of {good} are not in {bad}")
    return 1 if fail_on_anomaly and findings else 0


def _lines(findings, gone, count, bad):
    from plugrad_anomaly.explain import shown
    from plugrad_anomaly.write import printable, timestamp_text

    for one in findings:
        place = f"{one['file']}:{one['line']}" + (f"-{one['last_line']}" if one["last_line"] != one["line"] else "")
        times = f"{one['count']} times" if one["count"] > 1 else ""
        about = (f"{one['score']:7.2f}", place, timestamp_text(one["timestamp"]), times)
        yield printable("  ".join(part for part in about if part))
        for reason in one["reasons"]:
            where = f"  ({reason['file']}:{reason['line']})" if reason.get("line") else ""
            yield printable(f"         {reason['text']}{where}")
    if count > len(findings):
        yield f"and {count - len(findings):,} more kinds of findings; --top shows more"
    if not findings:
        yield f"nothing in {bad} is new or odd"
    for one in gone[:GONE_SHOWN]:
        yield printable(f"gone     {shown(one['template'])}  ({one['count']:,} lines of the good log)")
    if len(gone) > GONE_SHOWN:
        yield f"gone     and {len(gone) - GONE_SHOWN:,} more templates"
