"""einsum against np.einsum, its gradients against differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad.errors import InputError, ShapeError

LENGTHS = {"a": 2, "b": 3, "c": 4, "d": 1, "e": 5}

CASES = [
    ("ij,jk", (3, 4), (4, 2)), ("ji,jk", (4, 3), (4, 2)), ("ij,jk->ki", (3, 4), (4, 2)), ("ij,kj", (3, 4), (2, 4)),
    ("i,i", (4,), (4,)), ("i,i->i", (4,), (4,)), ("i,j", (4,), (3,)), ("i,j->ji", (4,), (3,)), ("i,j->", (4,), (3,)),
    ("ij,ij->j", (3, 4), (3, 4)), ("ij,ij", (3, 4), (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("bhqd,bhkd->bhqk", (2, 3, 5, 4), (2, 3, 6, 4)), ("bqhd,bkhd->bhqk", (2, 5, 3, 4), (2, 6, 3, 4)),
    ("abc,cd->abd", (2, 3, 4), (4, 5)), ("abc,abd->cd", (2, 3, 4), (2, 3, 5)), ("abc,d->cd", (2, 3, 4), (5,)),
    ("iij,jk->ik", (3, 3, 4), (4, 2)), ("iij,jii", (3, 3, 4), (4, 3, 3)), ("iji,jj->ij", (3, 2, 3), (2, 2)),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)), ("...ij,jk", (2, 6, 3, 4), (4, 2)), ("...,...", (2, 3), (3,)),
    ("i...,i...->...", (3, 2), (3, 4, 2)), ("...i,i->...", (4,), (4,)), (" i j , j k -> i k ", (3, 4), (4, 2)),
    ("ij,jk->ik", (3, 1), (4, 2)), ("ij,ij->i", (3, 1), (3, 4)), ("Ab,bA->bA", (2, 3), (3, 2)), (",i->i", (), (3,)),
    ("ii", (3, 3)), ("ii->i", (3, 3)), ("ij->", (3, 4)), ("ij->j", (3, 4)), ("ba", (2, 3)), ("ij->ji", (2, 3)),
    ("iijj->ij", (2, 2, 3, 3)), ("i...i->...", (3, 2, 4, 3)), ("...->...", (2, 3)), ("->", ()),
    ("ij,jk,kl", (2, 3), (3, 4), (4, 5)),
    ("ij,ik,il->jkl", (2, 3), (2, 4), (2, 5)), ("i,i,i", (3,), (3,), (3,)), ("ij,j,jk->i", (2, 3), (3,), (3, 4)),
    ("ij,jk->ik", (0, 4), (4, 2)), ("ij,jk->ik", (3, 0), (0, 2)), ("ij->i", (3, 0)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]} {c[1:]}")
def test_einsum(case, dtype):
    subscripts, *shapes = case
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    found = pg.einsum(subscripts, *arrays)
    expected = np.einsum(subscripts, *arrays)
    assert found.shape == expected.shape
    assert found.dtype == dtype
    np.testing.assert_allclose(found.data, expected, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]} {c[1:]}")
def test_gradients_of_einsum(case):
    subscripts, *shapes = case
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape) for shape in shapes]
    pg.testing.check_gradient(lambda *x: pg.einsum(subscripts, *x), *arrays)


@settings(max_examples=150, deadline=None)
@given(
    first=st.text("abcde", max_size=4), second=st.text("abcde", max_size=4), data=st.data(), seed=st.integers(0, 9),
)  # fmt: skip
def test_einsum_of_any_letters(first, second, data, seed):
    letters = sorted(set(first + second))
    result = data.draw(st.permutations(letters).map(lambda p: p[: data.draw(st.integers(0, len(p)))]))
    subscripts = f"{first},{second}->{''.join(result)}"
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=[LENGTHS[letter] for letter in term]) for term in (first, second))
    leaves = [pg.Tensor(a, requires_grad=True) for a in (x, y)]
    value = pg.einsum(subscripts, *leaves)
    np.testing.assert_allclose(value.data, np.einsum(subscripts, x, y), rtol=0, atol=1e-11)
    # Linear in each operand: the gradient times a direction is the result for that direction.
    g = rng.normal(size=value.shape)
    value.backward(g)
    for n, (leaf, a) in enumerate(zip(leaves, (x, y), strict=True)):
        direction = rng.normal(size=a.shape)
        along = np.einsum(subscripts, *((direction, y) if n == 0 else (x, direction)))
        assert (leaf.grad * direction).sum() == pytest.approx((g * along).sum(), abs=1e-9)


def test_einsum_of_whole_numbers():
    x = np.arange(12).reshape(3, 4)
    found = pg.einsum("ij,kj->ik", x, x)
    assert found.dtype == x.dtype
    assert np.array_equal(found.data, x @ x.T)


@pytest.mark.parametrize(
    ("subscripts", "shapes", "error", "match"),
    [
        ("ij,jk", [(3, 4)], InputError, "names 2 operands, 1 were given"),
        ("ij", [(3, 4), (4, 2)], InputError, "names 1 operands, 2 were given"),
        ("i1", [(3, 4)], InputError, "expected letters"), ("i.j", [(3, 4)], InputError, "expected letters"),
        ("ij->->", [(3, 4)], InputError, "expected letters"), ("......", [(3, 4)], InputError, "expected letters"),
        ("ij->ii", [(3, 4)], InputError, "twice in the result"),
        ("ij->k", [(3, 4)], InputError, "'k', which no operand"),
        ("...i->i", [(3, 4)], InputError, "leaves the axes of '...'"), (7, [(3,)], InputError, "must be a text"),
        ("ijk", [(3, 4)], ShapeError, r"does not fit operand 1, which is \(3, 4\)"),
        ("i,i", [(3,), (3, 4)], ShapeError, "does not fit operand 2"),
        ("ij,jk", [(3, 4), (5, 2)], ShapeError, "'j' .* lengths 4 and 5"), ("ii", [(3, 4)], ShapeError, "3 and 4"),
        ("...,...", [(3,), (4,)], ShapeError, "an axis of '...'"),
    ],
)  # fmt: skip
def test_einsum_refuses(subscripts, shapes, error, match):
    with pytest.raises(error, match=match) as caught:
        pg.einsum(subscripts, *(np.ones(shape) for shape in shapes))
    assert "\n" not in str(caught.value)
