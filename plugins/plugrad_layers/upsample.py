"""Images and sequences in another size."""

import math
from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError
from plugrad.ops.resample import MODES


@dataclass
class Upsample(pg.Layer):
    """An image or a sequence, larger by a factor (or smaller).

    Input (batch, rows, columns, channels) or (batch, length, channels) -> the same layout, the axes between batch and
    channels multiplied by scale_factor and rounded down.

    scale_factor: one number above 0, or one for rows and one for columns. mode: "nearest", "bilinear" for images,
    "linear" for sequences. align_corners: for the last two, True keeps the centres of the corner elements in place,
    False their outer corners. Raises InputError for other fields, ShapeError for input that does not fit the mode.
    """

    scale_factor: float | list
    mode: str = "nearest"
    align_corners: bool = False

    def __post_init__(self):
        factors = self.scale_factor if isinstance(self.scale_factor, list | tuple) else [self.scale_factor]
        numbers = all(isinstance(f, int | float) and not isinstance(f, bool) for f in factors)
        if not numbers or not 0 < len(factors) <= 2 or any(not (f > 0 and math.isfinite(f)) for f in factors):
            raise InputError(f"Upsample: scale_factor must be one or two numbers above 0, got {self.scale_factor!r}")
        if not isinstance(self.mode, str) or self.mode not in MODES:
            raise InputError(f"Upsample: mode must be among {', '.join(MODES)}, got {self.mode!r}")
        if not isinstance(self.align_corners, bool) or (self.align_corners and self.mode == "nearest"):
            raise InputError(
                f"Upsample: align_corners must be True or False, and False for nearest, got {self.align_corners!r}"
            )

    def forward(self, x):
        return pg.interpolate(x, scale_factor=self.scale_factor, mode=self.mode, align_corners=self.align_corners)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(2, mode="bilinear"), (2, 3, 2)
