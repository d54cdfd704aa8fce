"""The version of the plugin contract, and whether what a plugin states about it holds here."""

import re

CONTRACT = (1, 0)
"""(major, minor): a plugin written for 1.0 works with every 1.x; what is new in 1.x is of no use to it."""

_COMPARISON = re.compile(r"\s*(>=|<=|==|!=|<|>)\s*(\d+(?:\.\d+)*)\s*")
_REQUIREMENT = re.compile(r"\s*plugrad\s*(?:\[[^]]*\]\s*)?\(?([^;)]*)\)?\s*(?:;.*)?", re.IGNORECASE)
_TESTS = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}


def shown(version):
    """A version, tuple of int, as text."""
    return ".".join(map(str, version))


def contract_fault(stated):
    """Why a plugin with `plugrad_contract = stated` cannot be used here, as one phrase; None where it can.

    stated: text such as ">=1.0,<2", or None where a plugin states nothing.
    """
    if stated is None:
        return None
    parts = [_COMPARISON.fullmatch(part) for part in stated.split(",")] if isinstance(stated, str) else [None]
    if None in parts:
        return f"plugrad_contract is {str(stated)[:60]!r}; comparisons such as '>=1.0,<2' were expected"
    failed = _failed(parts, CONTRACT)
    if failed is None:
        return None
    return f"works with contract {stated}, this plugrad has {shown(CONTRACT)}: {_advice(failed)}"


def requirement_fault(requirements, version):
    """Why a distribution with these requirements cannot be used with plugrad `version`; None where it can.

    requirements: list of texts as `importlib.metadata.requires` gives them. What is no plain comparison of numbers is
    left to the installer, which has checked it already; this is for what was installed without its dependencies.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])
    for requirement in requirements or ():
        match = _REQUIREMENT.fullmatch(requirement)
        parts = [_COMPARISON.fullmatch(part) for part in match[1].split(",")] if match and match[1].strip() else []
        failed = _failed([part for part in parts if part], numbers)
        if failed is not None:
            return f"needs plugrad {match[1].strip()}, this one is {version}: {_advice(failed)}"
    return None


def _failed(parts, version):
    """The first comparison that does not hold, or None."""
    for part in parts:
        wanted = tuple(map(int, part[2].split(".")))
        length = max(len(wanted), len(version))
        ours, theirs = (numbers + (0,) * (length - len(numbers)) for numbers in (tuple(version), wanted))
        if not _TESTS[part[1]](ours, theirs):
            return part
    return None


def _advice(failed):
    return "install a newer plugrad" if failed[1] in (">", ">=", "==") else "install a newer version of the plugin"
