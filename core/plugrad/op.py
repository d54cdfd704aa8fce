"""@op: a value beside its gradients, and the table of all ops."""

import functools
import inspect

import numpy as np

from plugrad.errors import PlugradError
from plugrad.mode import mode, recording
from plugrad.tape import Tape, locate, merge
from plugrad.tensor import Tensor

OPS = {}
"""Every op by its name: its public function, with the attributes `raw` (over arrays) and `examples`. Tests walk it."""


def op(function=None, *, example=None, examples=(), name=None, smooth=True):
    """Make a function over arrays, which returns a value and its gradients, an op over Tensors.

    The function takes arrays (Tensors are unwrapped) and returns `(value, gradients)`; gradients is one of

    - a tuple with one function per differentiable input, in the order of the arguments: from the gradient of the loss
      with respect to the value to that with respect to the input. It may have the value's shape where the input
      was broadcast: the engine sums it back. None stands for an input that has no gradient.
    - one function `(gradient, *outs)` that writes the gradients of all inputs together into the arrays `outs`, None for
      those that nobody asks for: for a kernel in which they share their work.

    Gradient functions must not write into the gradient they are given.

    example, examples: functions from a numpy Generator to a tuple of arguments (a dict at its end holds keywords); each
        makes the op tested: gradients in float64, float32 beside it, saved inputs untouched.
    smooth: False for ops with kinks; their examples should stay away from them.
    """
    if function is None:
        return functools.partial(op, example=example, examples=examples, name=name, smooth=smooth)
    title = name or function.__name__

    @functools.wraps(function)
    def apply(*inputs, **options):
        if options:
            for option in options.values():
                if isinstance(option, Tensor):
                    inputs, options = _by_position(function, title, inputs, options)
                    break
        arrays, followed = [], False
        for i in inputs:
            if isinstance(i, Tensor):
                arrays.append(i.data)
                if i.requires_grad or i.tape is not None:
                    followed = True
            else:
                arrays.append(np.asarray(i) if type(i) is list else i)
        value, gradients = function(*arrays, **options)
        result = Tensor(value)
        if followed and mode.recording:
            _record(title, result, inputs, gradients)
        return result

    apply.raw = function
    apply.examples = (example, *examples) if example else tuple(examples)
    apply.smooth = smooth
    if title in OPS:
        raise PlugradError(f"op {title!r} exists already")
    OPS[title] = apply
    return apply


def _by_position(function, title, inputs, options):
    """Arguments with the Tensors among the options moved to their places: gradients are told apart by place."""
    parameters = inspect.signature(function).parameters.values()
    named = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    last = max((n for n, p in enumerate(named) if isinstance(options.get(p.name), Tensor)), default=-1)
    inputs, options = list(inputs), dict(options)
    for p in named[len(inputs) : last + 1]:
        if p.name not in options and p.default is p.empty:
            raise TypeError(f"{title}() lacks its argument {p.name!r}")
        inputs.append(options.pop(p.name, p.default))
    for name, value in options.items():
        if isinstance(value, Tensor):
            if value.requires_grad or value.tape is not None:
                raise PlugradError(f"op {title!r} has no gradient for {name!r}; detach() it, or pass an array")
            options[name] = value.data
    return inputs, options


def _record(title, result, inputs, gradients):
    """Append what was computed to the tape of its inputs, a new one if they are leaves."""
    separate = type(gradients) is tuple
    tape, origins, shapes = None, [], []
    for i in inputs:
        origin = shape = None
        if isinstance(i, Tensor):
            if i.requires_grad:
                origin, shape = i, i.data.shape
            elif i.tape is not None:
                its_tape, origin = (i.tape, i.number) if i.tape.merged is None else locate(i)
                if tape is None or tape is its_tape:
                    tape, shape = its_tape, i.data.shape
                else:  # two tapes become one, and entries of the shorter get new numbers
                    merge(tape, its_tape)
                    return _record(title, result, inputs, gradients)
        origins.append(origin)
        shapes.append(shape)
    if separate:
        if None in gradients or len(gradients) < len(origins):
            _check_gradients(title, origins, gradients)
    elif not callable(gradients):
        raise PlugradError(f"op {title!r}: gradients must be a tuple of functions or one function, got {gradients!r}")
    if tape is None:
        tape = Tape()
    entries = tape.entries
    result.tape, result.number = tape, len(entries)
    entries.append((title, origins, shapes, gradients))
    return None


def _check_gradients(title, origins, gradients):
    """Raise PlugradError for an input whose gradient is asked for and that has none."""
    for place, origin in enumerate(origins):
        if origin is not None and (place >= len(gradients) or gradients[place] is None):
            raise PlugradError(
                f"op {title!r} has no gradient for its input number {place + 1}; detach() it, or pass an array"
            )


def value_and_grad(function, argument=0):
    """A function that returns what `function` returns, and its gradient with respect to one argument.

    function: takes arrays or Tensors, returns a Tensor of one element. argument: the argument's number, or a tuple
    of numbers (then a tuple of gradients). Gradients of gradients are not available.
    """
    numbers = argument if isinstance(argument, tuple) else (argument,)

    def run(*args, **kwargs):
        args = list(args)
        leaves = []
        for n in numbers:
            args[n] = Tensor(np.array(Tensor(args[n]).data), requires_grad=True)
            leaves.append(args[n])
        with recording():
            value = function(*args, **kwargs)
        if not isinstance(value, Tensor):
            raise PlugradError(f"value_and_grad: the function must return a Tensor, it returned {type(value).__name__}")
        if value.tape is not None or value.requires_grad:  # otherwise it does not depend on the arguments at all
            value.backward()
        found = tuple(np.zeros_like(leaf.data) if leaf.grad is None else leaf.grad for leaf in leaves)
        return value.data, found if isinstance(argument, tuple) else found[0]

    return run


def grad(function, argument=0):
    """The gradient part of `value_and_grad`."""
    both = value_and_grad(function, argument)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]
