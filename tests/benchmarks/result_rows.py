"""The rows of a run, put together as tables and pictures want them."""


def groups(results):
    """((case, task, threads), {framework: row}) for everything measured, in order."""
    found = {}
    for row in results["steps"]:
        found.setdefault((row["case"], row["task"], row["threads"]), {})[row["framework"]] = row
    return list(found.items())


def frameworks(results):
    """The frameworks that have a row, plugrad first."""
    rows = results["steps"] + results["slopes"]
    return list(dict.fromkeys(row["framework"] for row in rows))


def slopes(results):
    """((axis, threads, value), {framework: row}) for every size measured, in order."""
    found = {}
    for row in results["slopes"]:
        found.setdefault((row["axis"], row["threads"], row["value"]), {})[row["framework"]] = row
    return list(found.items())
