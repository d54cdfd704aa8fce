"""The checker of ops."""

import warnings

import numpy as np

from plugrad.errors import PlugradError
from plugrad.mode import recording
from plugrad.ops import sum as total
from plugrad.ops import transpose
from plugrad.tensor import Tensor
from plugrad.testing import likely
from plugrad.testing.gradient import as_float, compare_gradient, require, require_close, require_same_bits
from plugrad.testing.races import require_same_in_any_order

FLOAT32_TOLERANCE = 2e-5
REFUSALS = (PlugradError, ValueError, IndexError)


def check_op(op, tolerance=1e-6, seed=0):
    """Try an op with each of its examples.

    - Its gradients agree with central differences in float64, to `tolerance`.
    - In float32 the value and the gradients are float32, and near those of float64.
    - Transposed, strided and read-only inputs, and gradients of any layout, give the same.
    - Its kernels' `prange` gives the same bits whichever iteration comes first.
    - Neither its inputs nor the gradient that it is given are written to; a second backward gives the same.
    - An empty leading axis gives an empty result or a refusal (ShapeError, InputError, ValueError, IndexError).

    Raises AssertionError for the first of these that does not hold, or if the op has no example.
    """
    require(op.examples, f"op {op.__name__!r} has no example to be tested with: @op(example=lambda rng: (...))")
    for number, example in enumerate(op.examples):
        arguments = example(np.random.default_rng(seed))
        options = {}
        if isinstance(arguments[-1], dict):
            *arguments, options = arguments
        where = f"op {op.__name__!r}, example {number}"
        try:
            case = _Case(op, where, arguments, options)
            case.check_untouched()
            case.check_gradient(tolerance)
            case.check_float32()
            case.check_layouts()
            case.check_empty()
            case.check_order()
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error


class _Case:
    """An op with one set of arguments in float64, its value and its gradients for a fixed random seed gradient."""

    def __init__(self, op, where, arguments, options):
        self.op, self.where = op, where
        self.arguments = [as_float(a, np.float64) for a in arguments]
        self.options = {k: as_float(v, np.float64) for k, v in options.items()}
        self.differentiable = self._differentiable()
        self.value, self.gradients = self.run(self.copies())

    def _differentiable(self):
        """The numbers of the arguments that have a gradient."""
        _, gradients = self.op.raw(*self.copies(), **self.options)
        floats = [n for n, a in enumerate(self.arguments) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
        if not isinstance(gradients, tuple):
            return floats
        return [n for n in floats if n < len(gradients) and gradients[n] is not None]

    def copies(self):
        """The arguments, arrays copied: an op may wrongly write into them."""
        return [as_float(a, np.float64) for a in self.arguments]

    def leaves(self, arguments):
        return [Tensor(a, requires_grad=True) if n in self.differentiable else a for n, a in enumerate(arguments)]

    def run(self, arguments, options=None, then=lambda y: y, seed_gradient=None):
        """(value, gradients of the differentiable arguments), each array a copy."""
        leaves = self.leaves(arguments)
        with recording():
            value = self.op(*leaves, **(self.options if options is None else options))
            result = then(value)
        if self.differentiable:
            result.backward(self.seed_gradient(result.data) if seed_gradient is None else seed_gradient)
        return np.array(value.data), [np.array(leaves[n].grad) for n in self.differentiable]

    @staticmethod
    def seed_gradient(value):
        return np.random.default_rng(3).normal(size=value.shape).astype(value.dtype)

    def check_gradient(self, tolerance):
        if not self.differentiable:
            return
        leaves = self.leaves(self.copies())
        named = [(f"argument {n}", leaves[n]) for n in self.differentiable]
        compare_gradient(lambda: self.op(*leaves, **self.options), named, tolerance, self.where)

    def check_float32(self):
        arguments = [as_float(a, np.float32) for a in self.arguments]
        options = {k: as_float(v, np.float32) for k, v in self.options.items()}
        value, gradients = self.run(arguments, options)
        if self.value.dtype.kind == "f":
            require(value.dtype == np.float32, f"{self.where}: float32 in, {value.dtype} out", likely.LEAK)
        # The same rounded numbers in float64: what remains is the arithmetic's error.
        wide = [as_float(a, np.float64) for a in arguments]
        wide_options = {k: as_float(v, np.float64) for k, v in options.items()}
        seed = self.seed_gradient(value).astype(np.float64)
        value64, gradients64 = self.run(wide, wide_options, seed_gradient=seed)
        require_close(value, value64, FLOAT32_TOLERANCE, f"{self.where}, value in float32", likely.INEXACT)
        for n, got, expected in zip(self.differentiable, gradients, gradients64, strict=True):
            require(
                got.dtype == np.float32,
                f"{self.where}: the gradient of argument {n} is {got.dtype} for float32",
                likely.LEAK,
            )
            require_close(
                got, expected, FLOAT32_TOLERANCE, f"{self.where}, gradient of argument {n} in float32", likely.INEXACT
            )

    def check_layouts(self):
        for layout, change in (("transposed", _transposed), ("strided", _strided), ("read-only", _read_only)):
            try:
                changed = self.run([change(a) if isinstance(a, np.ndarray) else a for a in self.arguments])
            except Exception as error:
                raise AssertionError(f"{self.where}, {layout} inputs: {type(error).__name__}: {error}") from error
            self._same(changed, f"{layout} inputs")
        if not self.differentiable or not self.value.ndim:
            return
        seed = self.seed_gradient(self.value)
        # What comes before a transpose gets a gradient in Fortran's order, what comes before a sum one of stride 0.
        self._same(self.run(self.arguments, then=transpose, seed_gradient=seed.T), "a transposed gradient")
        self._same(self.run(self.arguments, seed_gradient=_read_only(seed)), "a read-only gradient")
        ones = self.run(self.arguments, seed_gradient=np.ones(self.value.shape, self.value.dtype))
        self._same(self.run(self.arguments, then=total, seed_gradient=1.0), "a repeated gradient", ones)

    def _same(self, got, what, expected=None):
        value, gradients = expected or (self.value, self.gradients)
        require_close(got[0], value, 1e-12, f"{self.where}, value for {what}", likely.LAYOUT)
        for n, one, other in zip(self.differentiable, got[1], gradients, strict=True):
            require_close(one, other, 1e-12, f"{self.where}, gradient of argument {n} for {what}", likely.LAYOUT)

    def check_untouched(self):
        arguments = self.copies()
        leaves = self.leaves(arguments)
        with recording():
            value = self.op(*leaves, **self.options)
        self._unwritten(arguments, "forward")
        if not self.differentiable:
            return
        kept, seed = np.array(value.data), self.seed_gradient(value.data)
        before = seed.copy()
        value.backward(seed, retain=True)
        self._unwritten(arguments, "backward")
        require_same_bits(seed, before, f"{self.where}: backward wrote into the gradient it was given", likely.WROTE)
        require_same_bits(
            np.asarray(value.data), kept, f"{self.where}: backward wrote into the op's value", likely.WROTE
        )
        first = [np.array(leaves[n].grad) for n in self.differentiable]
        for n in self.differentiable:
            leaves[n].grad = None
        value.backward(seed)
        for n, expected in zip(self.differentiable, first, strict=True):
            again = np.array(leaves[n].grad)
            require_same_bits(
                again, expected, f"{self.where}: gradient of argument {n} at a second backward", likely.WROTE
            )

    def check_order(self):
        def results():
            value, gradients = self.run(self.copies())
            named = {f"gradient of argument {n}": g for n, g in zip(self.differentiable, gradients, strict=True)}
            return {"value": value, **named}

        require_same_in_any_order(results, self.where)

    def _unwritten(self, arguments, when):
        for n, (got, expected) in enumerate(zip(arguments, self.arguments, strict=True)):
            if isinstance(got, np.ndarray):
                require_same_bits(got, expected, f"{self.where}: {when} wrote into argument {n}", likely.WROTE)

    def check_empty(self):
        arrays = [a for a in self.arguments if isinstance(a, np.ndarray) and a.ndim]
        if not arrays:
            return
        length = arrays[0].shape[0]
        cut = [a[:0] if isinstance(a, np.ndarray) and a.ndim and len(a) == length else a for a in self.arguments]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # the mean of nothing is NaN, and NumPy says so
            try:
                self.op.raw(*cut, **self.options)
            except REFUSALS:
                return
            except Exception as error:
                raise AssertionError(f"{self.where}, no rows: {type(error).__name__}: {error}") from error
            try:
                _, gradients = self.run(cut)
            except Exception as error:
                raise AssertionError(f"{self.where}, backward with no rows: {type(error).__name__}: {error}") from error
        for n, gradient in zip(self.differentiable, gradients, strict=True):
            shape = gradient.shape
            require(
                shape == cut[n].shape,
                f"{self.where}, no rows: the gradient of argument {n} has shape {shape}",
                likely.EMPTY,
            )


def _transposed(array):
    return np.array(array, order="F")


def _strided(array):
    wide = np.empty((*array.shape, 2), array.dtype)
    wide[..., 0], wide[..., 1] = array, array[::-1] if array.ndim else array
    return wide[..., 0]


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array
