"""The softmax family, stable for large inputs: the largest element is taken out before exp.

A row with NaN, with +inf, or of -inf alone has no softmax: it is NaN, as in PyTorch.
"""

from plugrad import arena
from plugrad.kernel import PARALLEL_ELEMENTS
from plugrad.kernels import softmax as kernels
from plugrad.op import op
from plugrad.ops.arrays import as_floats, plain
from plugrad.ops.axes import Rows, all_axes, kept_shape, left_shape, one_axis


def _example(rng):
    return (rng.normal(size=(3, 4)),)


_EXAMPLES = (
    lambda rng: (rng.normal(size=(3, 4)), {"axis": 0}),
    lambda rng: (rng.normal(size=(2, 3, 4)), {"axis": -2}),
)


def _run(kernel, first, *more):
    (kernel.parallel if first.size >= PARALLEL_ELEMENTS else kernel.serial)(first, *more)


def _by_rows(name, x, axis, forward, backward):
    x = as_floats(name, x)
    if not x.ndim:  # one number is a row of one
        rows = Rows((1,), (0,))
        one_axis(name, axis, 1)
    else:
        rows = Rows(x.shape, (one_axis(name, axis, x.ndim),))
    value = arena.empty((rows.count, rows.length), x.dtype)
    if x.size:
        _run(forward, rows.of(x), value)

    def to_x(g):
        out = arena.empty(value.shape, value.dtype)
        if x.size:
            _run(backward, value, rows.of(g, value.dtype), out)
        return rows.back(out).reshape(x.shape)

    return rows.back(value).reshape(x.shape), (to_x,)


@op(example=_example, examples=_EXAMPLES)
def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) along an axis."""
    return _by_rows("softmax", x, axis, kernels.softmax, kernels.softmax_chain)


@op(example=_example, examples=_EXAMPLES)
def log_softmax(x, axis=-1):
    """The logarithm of softmax, without computing softmax first."""
    return _by_rows("log_softmax", x, axis, kernels.log_softmax, kernels.log_softmax_chain)


@op(
    example=_example,
    examples=(*_EXAMPLES, lambda rng: (rng.normal(size=(2, 3, 4)), {"axis": (0, 2), "keepdims": True})),
)
def logsumexp(x, axis=-1, keepdims=False):
    """log(sum(exp(x))) over an axis, a tuple of axes, or all for None; -inf over no elements."""
    x = as_floats("logsumexp", x)
    axes = all_axes("logsumexp", axis, x.ndim) if x.ndim or axis is None or axis == () else ()
    rows = Rows(x.shape, axes)
    value = arena.empty((rows.count,), x.dtype)
    flat = rows.of(x)
    if x.size:
        _run(kernels.logsumexp, flat, value)
    else:
        value.fill(-float("inf"))

    def to_x(g):
        out = arena.empty(flat.shape, x.dtype)
        if x.size:
            _run(kernels.logsumexp_chain, flat, value, plain(g, x.dtype).reshape(-1), out)
        return rows.back(out)

    return value.reshape((kept_shape if keepdims else left_shape)(x.shape, axes)), (to_x,)
