"""A stack of dense layers as one op."""

import itertools
import weakref

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.kernels import dense_stack as kernels
from plugrad.kernels.product import PARALLEL_WORK
from plugrad.mode import mode
from plugrad.op import op
from plugrad.ops.arrays import plain
from plugrad.ops.dense import FUSED

_NOTHING = {np.dtype(t): (np.empty(0, t), np.empty((0, 0), t)) for t in (np.float32, np.float64)}

_plans = {}
"""The latest plan for each first weight, by that array's id; an entry goes when its array does."""


class _Plan:
    """What the kernels are told about a stack: shapes and addresses, for the very arrays that it was made of."""

    def __init__(self, parameters, activations):
        weights = parameters[::2]
        self.activations, self.dtype = activations, weights[0].dtype
        # Copies of arrays that do not lie as the kernels need them are of this moment: such a plan is used once.
        self.kept = [None if p is None else plain(p) for p in parameters]
        self.lasting = all(a is b for a, b in zip(self.kept, parameters, strict=True))
        table = self.table = np.zeros((len(weights), kernels.FIELDS), np.int64)
        table[:, kernels.WEIGHT] = [_address(p) for p in self.kept[::2]]
        table[:, kernels.BIAS] = [_address(p) for p in self.kept[1::2]]
        table[:, kernels.ACTIVATION] = [FUSED[a] for a in activations]
        table[:, kernels.INPUTS] = [w.shape[0] for w in weights]
        widths = table[:, kernels.OUTPUTS] = [w.shape[1] for w in weights]
        sizes = table[:, kernels.OUTPUTS] * table[:, kernels.INPUTS]
        table[:, kernels.OFFSET] = np.cumsum(widths) - widths
        table[:, kernels.TURNED] = np.cumsum(sizes) - sizes
        self.inputs, self.width = weights[0].shape[0], widths[-1]
        self.hidden, self.outputs, self.work = sum(widths[:-1]), sum(widths), int(sizes.sum())
        self.targets = (), None
        if self.lasting:
            self.known = [None if p is None else weakref.ref(p) for p in parameters]
            self.kept = None
            key = id(weights[0])
            _plans[key] = self
            weakref.finalize(weights[0], _plans.pop, key, None)

    def fits(self, parameters, activations):
        """Whether it was made of these arrays."""
        if activations != self.activations or len(parameters) != len(self.known):
            return False
        for reference, array in zip(self.known, parameters):  # noqa: B905 - just compared, in a hot path
            if array is not (None if reference is None else reference()):
                return False
        return True

    def addresses(self, gradients):
        """(layers, 2): where the gradients of each weight and bias go, 0 for those that nobody asks for."""
        known, table = self.targets  # one read: another thread may replace the pair
        if len(known) == len(gradients):
            for reference, array in zip(known, gradients):  # noqa: B905
                if array is not (None if reference is None else reference()):
                    break
            else:
                return table
        table = np.array([_address(a) for a in gradients], np.int64).reshape(-1, 2)
        self.targets = [None if a is None else weakref.ref(a) for a in gradients], table
        return table


def _address(array):
    return 0 if array is None else array.ctypes.data


def _plan(parameters, activations):
    plan = _plans.get(id(parameters[0])) if parameters else None
    if plan is not None and plan.fits(parameters, activations):
        return plan
    if len(parameters) != 2 * len(activations) or not parameters:
        raise InputError(
            f"dense_stack: expected a weight and a bias (or None) for each of {len(activations)} activations, "
            f"at least one; got {len(parameters)} arrays"
        )
    dtype = parameters[0].dtype
    inputs = parameters[0].shape[0] if parameters[0].ndim == 2 else "k"
    for layer, activation in enumerate(activations):
        weight, bias = parameters[2 * layer : 2 * layer + 2]
        if activation not in FUSED:
            raise InputError(
                f"dense_stack: expected an activation among {', '.join(map(str, FUSED))}, got {activation!r}"
            )
        if weight.dtype != dtype or dtype not in _NOTHING or (bias is not None and bias.dtype != dtype):
            raise PlugradError(f"dense_stack: expected parameters all of float32 or all of float64, got {weight.dtype}")
        if weight.ndim != 2 or weight.shape[0] != inputs or not weight.size:
            raise ShapeError(f"dense_stack, layer {layer}: expected weight ({inputs}, n), got {weight.shape}")
        if bias is not None and bias.shape != weight.shape[1:]:
            raise ShapeError(f"dense_stack, layer {layer}: expected bias {weight.shape[1:]}, got {bias.shape}")
        inputs = weight.shape[1]
    return _Plan(parameters, activations)


def _example(*activations, bias=True):
    def make(rng):
        widths = (3, 5, 4, 2)[: len(activations) + 1]
        arrays = [rng.normal(size=(5, 3))]
        for inputs, outputs in itertools.pairwise(widths):
            arrays += [rng.normal(size=(inputs, outputs)), rng.normal(size=outputs) if bias else None]
        return *arrays, {"activations": activations}

    return make


@op(
    example=_example("tanh", "sigmoid", None),
    examples=(_example("relu", "elu"), _example("leaky_relu"), _example("tanh", None, bias=False)),
    smooth=False,
)
def dense_stack(x, *parameters, activations):
    """Dense layers one behind the other: x <- activation(x · weight + bias) for each of them.

    x (..., k); parameters: weight (k, n), bias (n,) or None, next weight (n, m), ... all of one float type;
    activations: for each layer a name in FUSED or None -> (..., width of the last layer).

    The same as calls of `dense`, to rounding, and quicker for layers whose weights fit into the second-level cache.
    """
    plan = _plan(parameters, activations)
    dtype = plan.dtype
    if x.shape[-1:] != (plan.inputs,):
        raise ShapeError(f"dense_stack: expected input (..., {plan.inputs}), got {x.shape}")
    x = plain(x, dtype)
    flat = x if x.ndim == 2 else x.reshape(-1, plan.inputs)
    rows = flat.shape[0]
    out = arena.empty((rows * plan.width,), dtype)
    no_vector, no_matrix = _NOTHING[dtype]
    values = arena.empty((rows * plan.hidden,), dtype) if mode.recording and plan.hidden else no_vector
    shared = rows * plan.work >= PARALLEL_WORK
    run = kernels.stack_forward.parallel if shared else kernels.stack_forward.serial
    run(flat, plan.table, values, out)

    def backward(g, to_x, *gradients):
        g = plain(g, dtype)
        slopes = arena.empty((rows * plan.outputs,), dtype)
        turned = arena.empty((plan.work,), dtype)
        run = kernels.stack_backward.parallel if shared else kernels.stack_backward.serial
        run(
            flat, plan.table, plan.addresses(gradients), values, out,
            g if g.ndim == 2 else g.reshape(rows, plan.width),
            slopes, turned,
            no_matrix if to_x is None else to_x.reshape(rows, plan.inputs),
        )  # fmt: skip

    return out.reshape(*x.shape[:-1], plan.width), backward
