"""`plugrad anomaly threshold`: show or change what counts as an anomaly, without training again."""

import json

import click

from plugrad_anomaly.commands.options import FORCE, refuse, say, threshold_options, wanted_threshold


@click.command()
@click.argument("model", metavar="MODEL")
@threshold_options
@click.option("-o", "--output", metavar="FILE", help="Write the changed model there and leave MODEL as it is.")
@FORCE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def threshold(model, output, force, as_json, **options):
    """Show the threshold of MODEL, or set another one in it. Nothing is trained again.

    \b
    plugrad anomaly threshold shop.model                       what it is, and what others would mean
    plugrad anomaly threshold shop.model --false-alarms 1/day  set it by what you can look at
    plugrad anomaly threshold shop.model --fpr 0.0001 -o strict.model
    """
    from plugrad_anomaly import saved
    from plugrad_anomaly.threshold import choose, describe

    wanted = wanted_threshold(**options)
    if output:
        refuse(output, force)
    if any(value is not None for value in wanted.values()):
        chosen = saved.change_threshold(model, wanted, output)
        say(f"{output or model} written")
        click.echo(json.dumps(chosen) if as_json else describe(chosen))
        return
    detector, chosen = saved.load(model)
    held_out, seconds = detector.detector.held_out_scores(), detector.held_out_seconds
    others = [choose(held_out, {"fpr": rate}, seconds) for rate in (0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 1e-4)]
    if as_json:
        click.echo(json.dumps({"threshold": chosen, "others": others}))
        return
    click.echo(describe(chosen))
    click.echo(f"\n{'--fpr':>8}  {'threshold':>9}  reached on held-out rows")
    for other in others:
        rate = other["held_out_above"] / max(1, other["held_out_rows"])
        click.echo(f"{other['asked']:>8g}  {other['score']:>9.3f}  {rate:.2g} ({other['held_out_above']})")
