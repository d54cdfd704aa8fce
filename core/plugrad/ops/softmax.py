"""The softmax family, stable for large inputs: the largest element is taken out before exp."""

import numpy as np

from plugrad.op import op


def _example(rng):
    return (rng.normal(size=(3, 4)),)


_EXAMPLES = (lambda rng: (rng.normal(size=(3, 4)), {"axis": 0}),)


@op(example=_example, examples=_EXAMPLES)
def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) along an axis."""
    value = np.exp(x - np.max(x, axis=axis, keepdims=True))
    value /= value.sum(axis=axis, keepdims=True)
    return value, (lambda g: value * (g - np.sum(g * value, axis=axis, keepdims=True)),)


def _log_softmax(x, axis):
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


@op(example=_example, examples=_EXAMPLES)
def log_softmax(x, axis=-1):
    """The logarithm of softmax, without computing softmax first."""
    value = _log_softmax(x, axis)
    return value, (lambda g: g - np.exp(value) * np.sum(g, axis=axis, keepdims=True),)


@op(example=_example, examples=_EXAMPLES)
def logsumexp(x, axis=-1, keepdims=False):
    """log(sum(exp(x))) along an axis."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # a row of -inf alone has the logarithm -inf
        value = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top

    def to_x(g):
        return (g if keepdims else np.expand_dims(g, axis)) * np.exp(x - value)

    return value if keepdims else np.squeeze(value, axis), (to_x,)
