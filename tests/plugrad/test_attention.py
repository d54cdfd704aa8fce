"""Attention and positions against whole score matrices; and what attention must not do: grow, or give NaN."""

import tracemalloc

import naive_attention as naive
import naive_ops
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels.attention import KEYS, QUERIES
from plugrad.testing.races import thread_count

KEY = (2**63 + 12345, 77, 3)
LENGTHS = st.sampled_from([1, 2, 5, 16, 33, QUERIES - 1, QUERIES, QUERIES + 1, KEYS + 2, 2 * KEYS + 3])
TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def tolerance(dtype):
    return 2e-5 if dtype == np.float32 else 1e-11


def close(found, expected, dtype):
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance(dtype) * (1 + np.abs(expected).max(initial=0)))


def run(arrays, g, **options):
    """(value, gradients of the arrays), each a copy."""
    leaves = [pg.Tensor(np.array(a), requires_grad=True) for a in arrays]
    value = pg.scaled_dot_product_attention(*leaves, **options)
    value.backward(g)
    return np.array(value.data), [np.array(leaf.grad) for leaf in leaves]


def drawn(rng, dtype, lead, length, source, width, value_width):
    shapes = ((length, width), (source, width), (source, value_width), (length, value_width))
    return [rng.normal(size=(*lead, *shape)).astype(dtype) for shape in shapes]


MASKS = st.sampled_from([None, "boolean", "float", "each key", "each head", "one key", "narrow"])


def make_mask(kind, rng, lead, length, source):
    shapes = {
        "boolean": (length, source), "float": (*lead, length, source), "each key": (1, source),
        "each head": (lead[-1], 1, 1), "one key": (source,), "narrow": (length, 1),
    }  # fmt: skip
    if kind is None:
        return None
    if kind in ("boolean", "one key"):
        return rng.random(size=shapes[kind]) < 0.7
    return rng.normal(size=shapes[kind])


@settings(max_examples=80, deadline=None)
@given(
    lead=st.sampled_from([(2,), (2, 1), (2, 3), (1, 2, 2)]), length=LENGTHS, source=LENGTHS, width=st.integers(1, 37),
    value_width=st.integers(1, 37), mask=MASKS, padded=st.booleans(), is_causal=st.booleans(),
    scale=st.sampled_from([None, 0.3]), dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
)  # fmt: skip
def test_attention_and_its_gradients(
    lead, length, source, width, value_width, mask, padded, is_causal, scale, dtype, seed
):
    rng = np.random.default_rng(seed)
    q, k, v, g = drawn(rng, dtype, lead, length, source, width, value_width)
    mask = make_mask(mask, rng, lead, length, source)
    if mask is not None and mask.dtype != bool:
        mask = mask.astype(dtype)
    key_mask = rng.random(size=(lead[0], source)) < 0.6 if padded else None
    options = {"key_mask": key_mask, "is_causal": is_causal, "scale": scale}
    value, gradients = run((q, k, v), g, mask=mask, **options)
    expected, (*wanted, to_scores) = naive.attention(q, k, v, g, mask=mask, **options)
    close(value, expected, dtype)
    for found, gradient in zip(gradients, wanted, strict=True):
        close(found, gradient, dtype)
    if mask is not None and mask.dtype != bool:
        _, gradients = run((q, k, v, mask), g, **options)
        axes = tuple(range(to_scores.ndim - mask.ndim))
        axes += tuple(a - mask.ndim for a in range(mask.ndim) if mask.shape[a] == 1)
        close(gradients[3], to_scores.sum(axis=axes).reshape(mask.shape), dtype)


@TYPES
@pytest.mark.parametrize(("length", "source"), [(5, 7), (64, 64), (70, 131)])
def test_dropout_is_that_of_philox(length, source, dtype):
    rng = np.random.default_rng(1)
    q, k, v, g = drawn(rng, dtype, (2, 1), length, source, 8, 6)
    value, gradients = run((q, k, v), g, dropout_rate=0.25, dropout_key=KEY, is_causal=length == 64)
    factors = naive.dropout_factors((2, 1), length, source, 0.25, KEY)
    expected, (*wanted, _) = naive.attention(q, k, v, g, is_causal=length == 64, factors=factors)
    close(value, expected, dtype)
    for found, gradient in zip(gradients, wanted, strict=True):
        close(found, gradient, dtype)


@TYPES
def test_a_query_that_sees_nothing_gives_0(dtype):
    rng = np.random.default_rng(2)
    q, k, v, g = drawn(rng, dtype, (2, 3), 70, 66, 4, 5)
    q *= 100  # so large that exp of a score is beyond any number
    mask = rng.random(size=(70, 66)) < 0.5
    mask[3] = mask[69] = False
    key_mask = np.ones((2, 66), np.int64)
    key_mask[1] = 0
    value, gradients = run((q, k, v), g, mask=mask, key_mask=key_mask)
    assert (value[1] == 0).all()
    assert (value[0, :, [3, 69]] == 0).all()
    assert all(np.isfinite(x).all() for x in (value, *gradients))
    assert all((x[1] == 0).all() for x in gradients)
    assert (gradients[0][0, :, [3, 69]] == 0).all()
    expected, _ = naive.attention(q, k, v, g, mask=mask, key_mask=key_mask)
    close(value, expected, dtype)


def test_nan_and_infinity_show_in_their_own_rows():
    rng = np.random.default_rng(3)
    q, k, v, _ = drawn(rng, np.float32, (1, 1), 70, 9, 4, 4)
    q[0, 0, 5], q[0, 0, 66] = np.nan, np.inf
    value = pg.scaled_dot_product_attention(q, k, v).data
    assert np.isnan(value[0, 0, [5, 66]]).all()
    assert np.isfinite(np.delete(value, [5, 66], axis=2)).all()


@pytest.mark.parametrize(("lead", "length", "source"), [((2, 3), 0, 4), ((2, 3), 4, 0), ((0, 3), 4, 5), ((2, 0), 4, 5)])
def test_attention_of_nothing(lead, length, source):
    rng = np.random.default_rng(4)
    q, k, v, g = drawn(rng, np.float32, lead, length, source, 4, 5)
    for mask in (None, np.ones((length, source), bool)):
        value, gradients = run((q, k, v), g, mask=mask, key_mask=np.ones((lead[0], source), bool))
        assert value.shape == (*lead, length, 5)
        assert (value == 0).all()
        for x, gradient in zip((q, k, v), gradients, strict=True):
            assert gradient.shape == x.shape
            assert (gradient == 0).all()


def test_attention_without_leading_axes():
    rng = np.random.default_rng(5)
    q, k, v, g = drawn(rng, np.float64, (), 5, 7, 4, 4)
    mask = np.array([1, 1, 0, 1, 0, 1, 1])
    value, _ = run((q, k, v), g, key_mask=mask)
    close(value, naive.attention(q, k, v, g, mask=mask != 0)[0], np.float64)


def test_attention_refuses_what_does_not_fit():
    q, k, v = np.ones((2, 3, 5, 4)), np.ones((2, 3, 7, 4)), np.ones((2, 3, 7, 6))
    call = pg.scaled_dot_product_attention
    for wrong in ((q, k[..., :3], v), (q, k, v[:, :, :6]), (q, k[:1], v), (q[0, 0, 0], k, v)):
        with pytest.raises(ShapeError, match="scaled_dot_product_attention: expected query"):
            call(*wrong)
    with pytest.raises(ShapeError, match=r"mask \(4, 7\) does not broadcast to \(2, 3, 5, 7\)"):
        call(q, k, v, np.ones((4, 7), bool))
    with pytest.raises(ShapeError, match="does not broadcast"):
        call(q, k, v, np.ones((9, 2, 3, 5, 7), bool))
    with pytest.raises(ShapeError, match=r"expected a key_mask \(2, 7\), got \(2, 5\)"):
        call(q, k, v, key_mask=np.ones((2, 5)))
    with pytest.raises(InputError, match="booleans or floats"):
        call(q, k, v, np.ones((5, 7), np.int64))
    with pytest.raises(InputError, match="the same for all"):
        call(q, k, v.astype(np.float32))
    with pytest.raises(InputError, match="float32 or float64"):
        call(*(x.astype(np.int64) for x in (q, k, v)))
    with pytest.raises(InputError, match="rate"):
        call(q, k, v, dropout_rate=1.0, dropout_key=KEY)
    with pytest.raises(InputError, match="key must be"):
        call(q, k, v, dropout_rate=0.5)


def test_attention_gives_the_same_bits_on_two_threads():
    rng = np.random.default_rng(6)
    q, k, v, g = drawn(rng, np.float32, (3, 2), 150, 130, 16, 16)
    bias = rng.normal(size=(150, 130)).astype(np.float32)
    found = []
    for count in (1, 2):
        with thread_count(count):
            value, gradients = run((q, k, v, bias), g, is_causal=True, dropout_rate=0.1, dropout_key=KEY)
            found.append([value, *gradients])
    for one, two in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes()


def test_memory_grows_with_the_length_alone():
    length, width = 4096, 8
    rng = np.random.default_rng(7)
    arrays = drawn(rng, np.float32, (1, 1), length, length, width, width)
    run([x[..., :8, :] for x in arrays[:3]], arrays[3][..., :8, :], is_causal=True)  # compiles
    arena.clear()
    tracemalloc.start()
    try:
        run(arrays[:3], arrays[3], is_causal=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < length * length * 4 / 16
    assert arena.held_bytes() < length * length * 4 / 16


# Packed projections


@TYPES
@pytest.mark.parametrize("rotary_base", [None, 100.0])
def test_packed_attention_is_attention_of_the_parts(rotary_base, dtype):
    rng = np.random.default_rng(8)
    batch, length, source, heads, width = 3, 70, 9, 2, 4
    key_mask = rng.random(size=(batch, length)) < 0.8

    def parts(x, count):
        return [naive.split_heads(p, heads) for p in np.split(x.astype(np.float64), count, axis=-1)]

    def turned(x):
        return x if rotary_base is None else naive.rotary(x, np.arange(x.shape[-2]), rotary_base)

    def turned_back(x):
        return x if rotary_base is None else naive.rotary(x, -np.arange(x.shape[-2]), rotary_base)

    options = {"key_mask": key_mask, "is_causal": True}
    projected = rng.normal(size=(batch, length, 3 * heads * width)).astype(dtype)
    g = rng.normal(size=(batch, length, heads * width)).astype(dtype)
    leaf = pg.Tensor(projected, requires_grad=True)
    value = pg.self_attention(leaf, heads=heads, rotary_base=rotary_base, **options)
    value.backward(g)
    q, k, v = parts(projected, 3)
    expected, (to_q, to_k, to_v, _) = naive.attention(turned(q), turned(k), v, naive.split_heads(g, heads), **options)
    close(value.data, naive.join_heads(expected), dtype)
    wanted = [naive.join_heads(x) for x in (turned_back(to_q), turned_back(to_k), to_v)]
    close(leaf.grad, np.concatenate(wanted, axis=-1), dtype)

    options = {"key_mask": key_mask[:, :source]}
    pair = rng.normal(size=(batch, source, 2 * heads * width)).astype(dtype)
    query, other = pg.Tensor(projected[..., : heads * width].copy(), requires_grad=True), pg.Tensor(pair, True)
    value = pg.cross_attention(query, other, heads=heads, rotary_base=rotary_base, **options)
    value.backward(g)
    k, v = parts(pair, 2)
    expected, (to_q, to_k, to_v, _) = naive.attention(turned(q), turned(k), v, naive.split_heads(g, heads), **options)
    close(value.data, naive.join_heads(expected), dtype)
    close(query.grad, naive.join_heads(turned_back(to_q)), dtype)
    close(other.grad, np.concatenate([naive.join_heads(x) for x in (turned_back(to_k), to_v)], axis=-1), dtype)


def test_packed_attention_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"self_attention: expected \(batch, length, 3·2·n\)"):
        pg.self_attention(np.ones((2, 5, 8)), heads=2)
    with pytest.raises(ShapeError, match="width 3 is odd"):
        pg.self_attention(np.ones((2, 5, 9)), heads=1, rotary_base=100.0)
    with pytest.raises(ShapeError, match=r"expected projected \(2, source, 8\).*got \(2, 7, 4\)"):
        pg.cross_attention(np.ones((2, 5, 4)), np.ones((2, 7, 4)), heads=2)


# Positions


@TYPES
def test_rotary(dtype):
    rng = np.random.default_rng(9)
    x = rng.normal(size=(2, 3, 70, 6)).astype(dtype)
    close(pg.rotary(x).data, naive.rotary(x, np.arange(70)), dtype)
    positions = rng.integers(0, 50, size=(2, 1, 70))
    close(pg.rotary(x, positions, base=100.0).data, naive.rotary(x, positions, 100.0), dtype)
    close(pg.rotary(x, 3).data, naive.rotary(x, 3), dtype)
    assert pg.rotary(x[:, :, :0]).shape == (2, 3, 0, 6)
    with pytest.raises(ShapeError, match="odd"):
        pg.rotary(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"positions \(4,\) do not broadcast to \(2, 3\)"):
        pg.rotary(np.ones((2, 3, 4)), np.arange(4))


def test_rotary_products_depend_on_distances():
    q, k = np.random.default_rng(10).normal(size=(2, 1, 8))

    def product(i, j):
        return (pg.rotary(q, [i]).data @ pg.rotary(k, [j]).data.T).item()

    assert product(3, 8) == pytest.approx(product(103, 108))
    assert product(3, 8) != pytest.approx(product(3, 9))


@pytest.mark.parametrize("width", [1, 6, 7])
def test_sinusoidal_positions(width):
    table = pg.sinusoidal_positions(11, width)
    for position in range(11):
        for column in range(width):
            angle = position / 10000 ** (column // 2 * 2 / width)
            expected = np.sin(angle) if column % 2 == 0 else np.cos(angle)
            assert table[position, column] == pytest.approx(expected)


# Dropout with a way around it


def test_dropout_add_is_dropout_and_an_addition():
    rng = np.random.default_rng(19)
    x, base = (rng.normal(size=(9, 1003)).astype(np.float32) for _ in range(2))
    dropped = pg.dropout(x, 0.3, KEY).data
    kept = naive_ops.kept(x.size, 0.3, KEY).reshape(x.shape)
    np.testing.assert_allclose(dropped, np.where(kept, x / 0.7, 0), rtol=1e-6)
    np.testing.assert_allclose(pg.dropout_add(x, base, 0.3, KEY).data, base + dropped, atol=1e-6)
    with pytest.raises(ShapeError, match="dropout_add"):
        pg.dropout_add(x, base[:3], 0.3, KEY)
    with pytest.raises(InputError, match="float32 or float64"):
        pg.dropout(np.ones(3, np.int64), 0.3, KEY)
    for key in (None, 3, (1, 2), (1, -2, 3), (1, 2, 2**64), ("a", 1, 2)):
        with pytest.raises(InputError, match="key must be"):
            pg.dropout(x, 0.3, key)
