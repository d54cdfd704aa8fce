"""`plugrad plugins`: what is installed, whether it is right, and a package to begin with."""

import json
import sys

import click

from plugrad.cli import CommandGroup, print_text, say
from plugrad.errors import InputError, LookupFailed
from plugrad.plugin_check import KINDS, did_you_mean
from plugrad.plugin_info import details, details_report, kinds_of, plugin_report, plugin_rows
from plugrad.plugins import registry
from plugrad.scaffold import KINDS as SCAFFOLDS

SINGULAR = {singular.replace(" ", "-"): kind for kind, singular in KINDS.items()}
_KIND = click.option("--kind", type=click.Choice(sorted(SINGULAR)), help="Only what is of this kind.")


@click.group("plugins", cls=CommandGroup)
def plugins_group():
    """What is installed beside the core, whether it is right, and how to begin one."""


@plugins_group.command("list", short_help="List what plugins provide, and why one failed.")
@_KIND
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.option("-v", "--verbose", is_flag=True, help="Show seconds of import, and the traceback of what failed.")
def plugins_list(kind, as_json, verbose):
    """List what plugins provide, by name, and why one failed to load.

    \b
    plugrad plugins list --kind optimizer
    plugrad plugins list --json
    """
    rows = plugin_rows(registry(), SINGULAR.get(kind))
    print_text(json.dumps(rows, indent=2) if as_json else plugin_report(rows, verbose))


@plugins_group.command("show", short_help="Show what is registered under a name.")
@click.argument("name")
@_KIND
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects, one for each kind.")
def plugins_show(name, kind, as_json):
    """Show what is registered as NAME: what it does, its fields, where it is defined.

    NAME may be that of a plugin or distribution too: then all that it provides is listed.

    \b
    plugrad plugins show LSTM
    plugrad plugins show demo
    """
    names = registry()
    rows = [row for row in plugin_rows(names) if name in (row["provider"], row["plugin"])]
    try:
        kinds = [SINGULAR[kind]] if kind else kinds_of(names, name)
        found = [details(names, each, name) for each in kinds]
    except LookupFailed:
        if not rows:
            raise
        print_text(json.dumps(rows, indent=2) if as_json else plugin_report(rows))
        return
    print_text(json.dumps(found, indent=2) if as_json else "\n\n".join(map(details_report, found)))


@plugins_group.command("check", short_help="Try a plugin with the conformance kit.")
@click.argument("name", metavar="PACKAGE_OR_NAME")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def plugins_check(name, as_json):
    """Try what a plugin provides with the conformance kit; the exit status is 1 where something fails.

    PACKAGE_OR_NAME is an installed distribution, its entry point, or one registered name.

    \b
    plugrad plugins check demo
    plugrad plugins check demo.Demo --json
    """
    from plugrad.testing.report import check_named

    def progress(checked):
        if sys.stderr.isatty():  # compiling takes its time; in a pipe nobody looks
            say(f"checking {checked}")

    report = check_named(name, progress)
    if report is None:
        rows = plugin_rows(registry())
        near = did_you_mean(name, {row[key] for row in rows for key in ("name", "plugin", "provider")}) or "."
        raise InputError(f"no plugin, distribution or registered name {name[:80]!r}{near}{registry().failure_note()}")
    print_text(json.dumps(report, indent=2) if as_json else _check_report(report))
    return int(any(not entry["passed"] for entry in report["checked"]))


def _check_report(report):
    lines = []
    for entry in report["checked"]:
        lines.append(f"{'ok    ' if entry['passed'] else 'FAILED'}  {entry['kind']} {entry['name']}")
        lines += [f"        {line}" for line in entry["message"].splitlines()]
    lines += [f"remark  {remark}" for remark in report["remarks"]]
    if not report["checked"]:
        lines.append("nothing was checked: commands and log readers have no checks of their own")
    return "\n".join(lines)


@plugins_group.command("new", short_help="Write a package to begin a plugin with.")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(SCAFFOLDS)), default="layer", show_default=True, help="What it holds.")
@click.option("--directory", type=click.Path(file_okay=False), default=".", help="Where its folder is made.")
@click.option("--force", is_flag=True, help="Write over the files of an earlier one.")
def plugins_new(name, kind, directory, force):
    """Write a package NAME that works: a layer (or what --kind says), its kernel, its tests, and how to install it.

    \b
    plugrad plugins new demo
    plugrad plugins new fast-losses --kind loss --directory ~/src
    """
    from plugrad.scaffold import write_package

    folder = write_package(name, kind, directory, force)
    say(f"{folder} is written; next:")
    say(f"    cd {folder}")
    say("    pip install -e '.[test]'")
    say("    pytest")
