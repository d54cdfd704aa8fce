"""Einstein's summation: any product of arrays over named axes, as stacks of matrix products."""

import math
import string

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.op import op
from plugrad.ops.matmul import product

# Names for the axes that an ellipsis stands for; the last of them are the last axes.
_HIDDEN = [chr(code) for code in range(0x100, 0x120)]


@op(
    example=lambda rng: ("ij,jk", rng.normal(size=(3, 4)), rng.normal(size=(4, 2))),
    examples=(
        lambda rng: ("bhld,bhsd->bhls", rng.normal(size=(2, 1, 3, 4)), rng.normal(size=(2, 1, 5, 4))),
        lambda rng: ("...ij,...kj->...ik", rng.normal(size=(2, 1, 3, 4)), rng.normal(size=(5, 2, 4))),
        lambda rng: ("iij,jk->ki", rng.normal(size=(3, 3, 4)), rng.normal(size=(4, 2))),
        lambda rng: ("ij,kl->jl", rng.normal(size=(3, 4)), rng.normal(size=(2, 5))),
        lambda rng: ("i,i", rng.normal(size=(4,)), rng.normal(size=(4,))),
        lambda rng: ("ij,ij->ij", rng.normal(size=(3, 1)), rng.normal(size=(3, 4))),
        lambda rng: ("ii", rng.normal(size=(3, 3))),
        lambda rng: ("iji->ij", rng.normal(size=(3, 2, 3))),
        lambda rng: ("i...j->j...", rng.normal(size=(3, 2, 4))),
        lambda rng: ("ij,jk,kl->il", rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(4, 2))),
    ),
)
def einsum(subscripts, *operands):
    """The sum of products over named axes, as np.einsum: einsum("bij,jk->bik", x, y).

    subscripts: for each operand a letter per axis, then "->" and the letters of the result; without them the result has
    the letters that occur once, in alphabetical order. A letter that an operand has twice takes its diagonal, "..."
    stands for axes that are broadcast, a letter that the result lacks is summed over. operands: one and more; of
    several, the product is taken from the left, two at a time, each as one stack of matrix products.

    Raises InputError for subscripts that say nothing valid, ShapeError where they do not fit the operands.
    """
    operands = [np.asarray(x) for x in operands]
    labels, result = _parse(subscripts, [x.shape for x in operands])
    sizes = _sizes(subscripts, labels, operands)
    value = _contract(labels, operands, result, sizes)

    def gradient_of(number):
        def to_operand(g):
            others = [n for n in range(len(operands)) if n != number]
            wanted = _unique(labels[number])
            # The sum in which g and this operand have changed places.
            found = _contract(
                [result, *(labels[n] for n in others)], [g, *(operands[n] for n in others)], wanted, sizes
            )
            return _spread(found, wanted, labels[number], operands[number].shape)

        return to_operand

    return value, (None, *(gradient_of(n) for n in range(len(operands))))


def _parse(subscripts, shapes):
    """(letters of each operand, letters of the result), the ellipses replaced by hidden names."""
    if not isinstance(subscripts, str):
        raise InputError(f"einsum: subscripts must be a text such as 'ij,jk->ik', got {type(subscripts).__name__}")
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise InputError(f"einsum: {subscripts!r} names {len(terms)} operands, {len(shapes)} were given")
    for term in [*terms, output]:
        rest = term.replace("...", "", 1)
        if any(letter not in string.ascii_letters for letter in rest):
            raise InputError(f"einsum: expected letters, ',', '->' and '...' in the subscripts, got {subscripts!r}")
    labels, most = [], 0
    for number, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        left = len(shape) - len(term.replace("...", ""))
        if left < 0 or (left and "..." not in term) or left > len(_HIDDEN):
            raise ShapeError(f"einsum: {term!r} in {subscripts!r} does not fit operand {number + 1}, which is {shape}")
        labels.append(term.replace("...", "".join(_HIDDEN[len(_HIDDEN) - left :])))
        most = max(most, left)
    hidden = "".join(_HIDDEN[len(_HIDDEN) - most :])
    if not arrow:
        letters = inputs.replace("...", "").replace(",", "")
        return labels, hidden + "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
    if hidden and "..." not in output:
        raise InputError(f"einsum: {subscripts!r} leaves the axes of '...' out of the result; name them, or add '...'")
    result = output.replace("...", hidden)
    if len(set(result)) < len(result):
        raise InputError(f"einsum: a letter occurs twice in the result of {subscripts!r}")
    unknown = set(result) - set("".join(labels))
    if unknown:
        raise InputError(f"einsum: the result of {subscripts!r} has {min(unknown)!r}, which no operand has")
    return labels, result


def _sizes(subscripts, labels, operands):
    """The length of each letter's axes, of which some may be 1 and are repeated."""
    sizes = {}
    for letters, x in zip(labels, operands, strict=True):
        for letter, length in zip(letters, x.shape, strict=True):
            known = sizes.setdefault(letter, length)
            if known != length and 1 not in (known, length):
                shapes = " and ".join(str(x.shape) for x in operands)
                what = "an axis of '...'" if letter in _HIDDEN else repr(letter)
                raise ShapeError(
                    f"einsum: {what} in {subscripts!r} has the lengths {known} and {length} in operands {shapes}"
                )
            if known == 1:
                sizes[letter] = length
    return sizes


def _unique(letters):
    return "".join(dict.fromkeys(letters))


def _diagonal(x, letters):
    """A view of x with one axis for each of its letters."""
    unique = _unique(letters)
    if unique == letters:
        return x
    # Letters that NumPy takes in place of hidden names.
    plain = dict(zip(unique, string.ascii_letters, strict=False))
    return np.einsum("".join(plain[a] for a in letters) + "->" + "".join(plain[a] for a in unique), x)


def _contract(labels, operands, result, sizes):
    """The sum of products; a letter of the result that no operand has becomes an axis of length 1."""
    operands = [_diagonal(x, letters) for x, letters in zip(operands, labels, strict=True)]
    labels = [_unique(letters) for letters in labels]
    x, letters = operands[0], labels[0]
    for number in range(1, len(operands)):
        later = set(result).union(*labels[number + 1 :])
        x, letters = _contract_two(x, letters, operands[number], labels[number], later, sizes)
    x, letters = _sum_out(x, letters, set(result))
    order = [letters.index(letter) for letter in result if letter in letters]
    return np.transpose(x, order)[tuple(slice(None) if letter in letters else None for letter in result)]


def _sum_out(x, letters, kept):
    axes = tuple(n for n, letter in enumerate(letters) if letter not in kept)
    if not axes:
        return x, letters
    return x.sum(axis=axes), "".join(letter for letter in letters if letter in kept)


def _contract_two(x, first, y, second, later, sizes):
    """(array, its letters): the product of x and y, summed over the letters that nothing later needs."""
    x, first = _sum_out(x, first, later | set(second))
    y, second = _sum_out(y, second, later | set(first))
    # An axis of length 1 that is summed over beside a longer one counts as often as that is long.
    x, y = _repeated(x, first, second, sizes), _repeated(y, second, first, sizes)
    shared = [letter for letter in first if letter in second]
    stack = [letter for letter in shared if letter in later]
    summed = [letter for letter in shared if letter not in later]
    left = [letter for letter in first if letter not in second]
    right = [letter for letter in second if letter not in first]
    a = _as_stack(x, first, stack, left, summed)
    b = _as_stack(y, second, stack, summed, right)
    found = product(a, b)
    letters = [*stack, *left, *right]
    lengths = {**dict(zip(first, x.shape, strict=True)), **dict(zip(second, y.shape, strict=True))}
    return found.reshape([lengths[letter] for letter in letters]), "".join(letters)


def _repeated(x, letters, others, sizes):
    shape = tuple(
        sizes[letter] if length == 1 and letter in others else length
        for letter, length in zip(letters, x.shape, strict=True)
    )
    return x if shape == x.shape else np.broadcast_to(x, shape)


def _as_stack(x, letters, *groups):
    """x with its axes in the order of three groups of letters, each group made one axis."""
    x = np.transpose(x, [letters.index(letter) for group in groups for letter in group])
    ends = [len(groups[0]), len(groups[0]) + len(groups[1])]
    parts = x.shape[: ends[0]], x.shape[ends[0] : ends[1]], x.shape[ends[1] :]
    return x.reshape([math.prod(part) for part in parts])


def _spread(found, wanted, letters, shape):
    """The gradient of an operand from that of its diagonal; axes that were summed over are repeated."""
    lengths = dict(zip(letters, shape, strict=True))
    # Where the operand was repeated in the forward pass, its gradient is longer than it: the engine sums that back.
    full = tuple(lengths[letter] if length == 1 else length for letter, length in zip(wanted, found.shape, strict=True))
    found = np.broadcast_to(found, full)
    if wanted == letters:
        return found
    gradient = arena.empty(shape, found.dtype)
    gradient.fill(0)
    _diagonal(gradient, letters)[...] = found
    return gradient
