"""What an author has most likely got wrong, told from the numbers of a check that failed."""

import numpy as np

WROTE = "it works in place (x += ..., out=x, a kernel that writes to its input): let it write into an array of its own"
LEAK = "an array made without a type (np.zeros(n)) or a NumPy number in float64 got in: give it the dtype of the input"
RANDOM = (
    "random numbers that do not come from the training's seed (np.random, a counter of its own): draw with "
    "pg.dropout(x, rate, pg.mode.training.next_draw()), and in build() with the generator that it is given"
)
RACE = "iterations of prange write to one place, as a sum does: give each share of the rows a sum of its own"
MODE = "it does the same in prediction as in training, batch statistics for instance: ask pg.is_training()"
STATE = "something that training changes is kept in a plain attribute: make it a pg.State, which is saved"
FIELDS = "__post_init__ changes a field, or a field is not used as it is given: what is saved are the fields"
MASK = "the mask is not used everywhere: in the value, in what it is divided by, and in the gradient"
ALIAS = "it returns the same array every time: make a new one in each call"
INEXACT = "a difference of near numbers, or a sum of many, is formed in float32: rearrange it, or sum in float64"
LAYOUT = "it reads memory as if it were C-contiguous: np.ascontiguousarray(x) before a kernel sees it"
UNUSED = "forward does not use it by an op"
EMPTY = "a batch without samples is not thought of: a maximum of nothing, a reshape with -1"
GENERATOR = "it draws from np.random, or from nothing: use the rng that it is given, and nothing else"
OBSERVED = "begin() does not set back everything that observe() changes"
DESCENT = "the sign of a step or of a gradient, or a gradient that is not the one of this loss"
MEMORY = "it keeps something that `memory` does not name"


def message(checked, likely=None):
    """A failure's text: what was checked and the numbers, and the likely mistake."""
    return f"{checked}. Likely: {likely}." if likely else checked


def of_gradient(got, expected, shape, result_shape):
    """The likely mistake behind a gradient.

    got, expected: lists of numbers, the gradient's and those of differences. shape: of what it is the gradient of;
    result_shape: of the output.
    """
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    large = np.abs(expected) > 1e-3 * np.abs(expected).max(initial=0)
    if not np.abs(got).any():
        return "its gradient is not passed on: None or zeros stand for it"
    ratios = got[large] / expected[large]
    if ratios.size and np.ptp(ratios) < 1e-4 * max(abs(ratios.mean()), 1e-12):
        if abs(ratios[0] + 1) < 1e-3:
            return "a wrong sign in its backward"
        if abs(ratios[0] - 1) > 1e-3:
            return f"a factor of {1 / ratios[0]:.4g} is missing in its backward"
    if len(shape) < len(result_shape) and shape == result_shape[len(result_shape) - len(shape) :]:
        return "it is used for every row, and its gradient is not summed over all of them"
    return "a term is missing in its backward, or it is not the derivative of what forward computes"
