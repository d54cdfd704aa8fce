"""A sparse mixture of experts for plugrad."""

import plugrad as pg
from experts.mixture import MixtureOfExperts

__all__ = ["MixtureOfExperts"]

plugrad_contract = ">=1.0,<2"


@pg.hookimpl
def register_layers():
    """MixtureOfExperts."""
    return {"experts.MixtureOfExperts": MixtureOfExperts}
