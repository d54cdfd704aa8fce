"""Table look-up and bags of rows, dense and sparse, against naive loops; and what they refuse."""

import naive_embedding as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
from plugrad import arena, testing
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.parameters import ParameterStore
from plugrad.sparse import grouped
from plugrad_layers import Dense, Embedding, EmbeddingBag, Sequential

SIZES = st.tuples(st.integers(1, 5000), st.integers(1, 9), st.integers(0, 40), st.integers(0, 2**32 - 1))


def table_and_ids(sizes, dtype):
    count, width, length, seed = sizes
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(count, width)).astype(dtype)
    spread = min(count, 12) if seed % 2 else count  # few rows many times, and many rows
    return rng, table, rng.integers(0, spread, size=length)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.sampled_from([np.float32, np.float64]), st.booleans(), st.booleans())
def test_embedding(sizes, dtype, sparse, padded):
    rng, table, ids = table_and_ids(sizes, dtype)
    padding = int(ids[0]) if padded and len(ids) else None
    leaf = pg.Tensor(table.copy(), requires_grad=True)
    value = pg.embedding(leaf, ids, sparse=sparse, padding_index=padding)
    np.testing.assert_array_equal(value.data, table[ids])
    g = rng.normal(size=value.shape).astype(dtype)
    value.backward(g)
    assert (type(leaf.grad) is pg.SparseGradient) == sparse
    expected = naive.embedding_gradient(table.shape, ids, g.astype(np.float64), padding)
    np.testing.assert_allclose(np.asarray(leaf.grad), expected, rtol=1e-5, atol=1e-5)
    if sparse:
        assert leaf.grad.rows.tolist() == sorted(set(ids.tolist()) - {padding})
        assert leaf.grad.values.dtype == dtype


@settings(max_examples=60, deadline=None)
@given(
    SIZES, st.sampled_from([np.float32, np.float64]), st.sampled_from(["sum", "mean", "max"]), st.booleans(),
    st.sampled_from(["plain", "mask", "padding", "offsets"]),
)  # fmt: skip
def test_embedding_bag(sizes, dtype, mode, sparse, kind):
    rng, table, ids = table_and_ids(sizes, dtype)
    options = {"mask": None, "offsets": None, "padding_index": None}
    if kind == "offsets":
        options["offsets"] = np.sort(np.append(rng.integers(0, len(ids) + 1, size=5), 0))
    else:
        ids = np.concatenate([ids, ids[: -len(ids) % 4]]) if len(ids) > 4 else ids[:0]
        ids = ids[: len(ids) // 4 * 4].reshape(4, -1)
        if kind == "mask":
            options["mask"] = rng.random(ids.shape) < 0.5
        elif kind == "padding" and ids.size:
            options["padding_index"] = int(ids.flat[0])
    leaf = pg.Tensor(table.copy(), requires_grad=True)
    value = pg.embedding_bag(leaf, ids, mode=mode, sparse=sparse, **options)
    with pg.no_grad():
        np.testing.assert_array_equal(pg.embedding_bag(leaf, ids, mode=mode, **options).data, value.data)
    bags = naive.bags(ids, options["mask"], options["offsets"], options["padding_index"])
    wide = table.astype(np.float64)
    expected = np.array([naive.bag_value(wide, bag, mode) for bag in bags]).reshape(len(bags), table.shape[1])
    np.testing.assert_allclose(value.data, expected, rtol=1e-5, atol=1e-5)
    assert value.dtype == dtype
    g = rng.normal(size=value.shape).astype(dtype)
    value.backward(g)
    expected = naive.bag_gradient(wide, bags, g.astype(np.float64), mode)
    np.testing.assert_allclose(np.asarray(leaf.grad), expected, rtol=1e-5, atol=1e-5)
    if sparse:
        assert leaf.grad.rows.tolist() == sorted({row for bag in bags for row in bag})


@settings(max_examples=30, deadline=None)
@given(SIZES, st.sampled_from([np.float32, np.float64]), st.booleans())
def test_embedding_bag_with_weights(sizes, dtype, sparse):
    rng, table, ids = table_and_ids(sizes, dtype)
    ids = ids[: len(ids) // 4 * 4].reshape(4, -1)
    mask = rng.random(ids.shape) < 0.7
    leaf = pg.Tensor(table.copy(), requires_grad=True)
    weights = pg.Tensor(rng.normal(size=ids.shape).astype(dtype), requires_grad=True)
    value = pg.embedding_bag(leaf, ids, mask, weights, mode="sum", sparse=sparse)
    g = rng.normal(size=value.shape).astype(dtype)
    value.backward(g)
    expected = naive.weighted_bags(table.astype(np.float64), ids, weights.data, mask, g)
    for got, wanted in zip((value.data, np.asarray(leaf.grad), weights.grad), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2**40), st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_look_ups_are_sorted_by_row_and_then_as_they_come(count, length, seed):
    ids = np.random.default_rng(seed).integers(0, count, size=length)
    found = grouped(ids, count)
    rows, starts = np.unique(ids, return_index=False), found.starts[: found.count + 1]
    assert found.rows[: found.count].tolist() == rows.tolist()
    assert found.sources.tolist() == np.argsort(ids, kind="stable").tolist()
    assert starts.tolist() == [*np.searchsorted(np.sort(ids), rows), length]


def test_a_value_that_is_not_a_number_is_the_largest():
    table = np.array([[1.0, 5.0], [np.nan, 2.0], [3.0, np.nan]])
    value = pg.embedding_bag(table, np.array([[0, 1], [1, 0], [0, 2], [0, 0]]), mode="max").data
    np.testing.assert_array_equal(value, [[np.nan, 5], [np.nan, 5], [3, np.nan], [1, 5]])


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_one_and_two_threads_give_the_same_bits(mode):
    rng = np.random.default_rng(1)
    start, ids = rng.normal(size=(2000, 48)).astype(np.float32), rng.integers(0, 2000, size=(128, 30))
    found, before = [], pg.get_threads()
    try:
        for threads in (1, min(2, before)):
            pg.set_threads(threads)
            for sparse in (True, False):
                leaf = pg.Tensor(start, requires_grad=True)
                value = pg.embedding_bag(leaf, ids, mode=mode, sparse=sparse) * 2
                value.backward(np.ones(value.shape, np.float32))
                found.append((value.data, np.asarray(leaf.grad)))
    finally:
        pg.set_threads(before)
    for value, gradient in found[1:]:
        np.testing.assert_array_equal(value, found[0][0])
        np.testing.assert_array_equal(gradient, found[0][1])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda t: pg.embedding(t, [[0.5]]), InputError, "embedding: indices must be whole numbers, got float64"),
        (lambda t: pg.embedding(t, [[4]]), InputError, r"embedding: index 4 is outside 0\.\.3"),
        (lambda t: pg.embedding(t, [-1]), InputError, r"index -1 is outside"),
        (lambda t: pg.embedding(t, np.array([2**63], np.uint64)), InputError, r"is outside 0\.\.3"),
        (lambda t: pg.embedding(t[0], [0]), ShapeError, r"expected a table \(count, width\), got \(2,\)"),
        (lambda t: pg.embedding(t.astype(np.float16), [0]), PlugradError, "table of float32 or float64, got float16"),
        (lambda t: pg.embedding(t, [0], padding_index=9), InputError, r"padding_index must be .* in 0\.\.3 or None"),
        (lambda t: pg.embedding_bag(t, [0, 1]), ShapeError, r"expected indices \(batch, length\), or \(n,\) and offs"),
        (lambda t: pg.embedding_bag(t, [[0, 1]], mode="median"), InputError, "mode must be one of sum, mean, max"),
        (lambda t: pg.embedding_bag(t, [[0, 1]], mask=[[True]]), ShapeError, r"mask of the indices' shape \(1, 2\)"),
        (
            lambda t: pg.embedding_bag(t, [[0, 1]], None, [1.0], mode="sum"),
            ShapeError,
            r"weights of the indices' shape",
        ),
        (lambda t: pg.embedding_bag(t, [[0]], None, [[1.0]]), InputError, "weights go with mode 'sum' alone"),
        (lambda t: pg.embedding_bag(t, [[0]], offsets=[0]), ShapeError, r"expected indices \(n,\) and offsets"),
        (lambda t: pg.embedding_bag(t, [0, 1], offsets=[1]), InputError, "offsets must begin at 0 and ascend"),
        (lambda t: pg.embedding_bag(t, [0, 1], offsets=[0, 2, 1]), InputError, "offsets must begin at 0 and ascend"),
        (lambda t: pg.embedding_bag(t, [0, 1], offsets=[0, 3]), InputError, "ascend to at most 2"),
        (lambda t: pg.embedding_bag(t, [[0, 4]]), InputError, r"embedding_bag: index 4 is outside 0\.\.3"),
        (lambda t: Embedding(0, 3), InputError, "Embedding: count must be a whole number from 1"),
        (lambda t: Embedding(3, 3, sparse=1), InputError, "Embedding: sparse must be True or False"),
        (lambda t: Embedding(3, 3, padding_index=3), InputError, r"Embedding: padding_index .* in 0\.\.2 or None"),
        (lambda t: EmbeddingBag(3, 3, "medium"), InputError, "EmbeddingBag: mode must be one of"),
        (lambda t: pg.Parameter(t[0], sparse=True), ShapeError, r"a sparse parameter is a table"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(call, error, text):
    with pytest.raises(error, match=text) as caught:
        call(np.ones((4, 2)))
    assert "\n" not in str(caught.value)


# Gradients of rows


def test_gradients_of_rows_add_up():
    table = pg.Parameter(np.arange(12.0).reshape(6, 2), sparse=True)
    store = ParameterStore([table])
    (pg.embedding(table, [1, 3], sparse=True).sum() + pg.embedding(table, [3, 5], sparse=True).sum()).backward()
    assert table.grad.rows.tolist() == [1, 3, 5]
    assert table.grad.values.tolist() == [[1, 1], [2, 2], [1, 1]]
    assert repr(table.grad) == "SparseGradient(3 rows of (6, 2), float64)"
    # A tied table: what another op hands back is a gradient of every row.
    pg.matmul(np.ones((1, 2)), pg.transpose(table)).sum().backward()
    store.complete_gradients()
    assert np.asarray(table.grad).tolist() == [[1, 1], [2, 2], [1, 1], [3, 3], [1, 1], [2, 2]]
    store.zero_grad()
    pg.matmul(np.ones((1, 2)), pg.transpose(table)).sum().backward()
    store.complete_gradients()
    assert type(table.grad) is pg.SparseGradient
    assert table.grad.rows.tolist() == list(range(6))


def test_a_table_that_is_computed_or_dense_takes_rows_too():
    table = pg.Parameter(np.arange(6.0).reshape(3, 2))
    store = ParameterStore([table])
    pg.embedding(table * 2, [2, 2], sparse=True).sum().backward()
    pg.embedding(table, [0], sparse=True).sum().backward()
    assert table.grad is table.gradient_memory
    assert store.gradients[:6].tolist() == [1, 1, 0, 0, 4, 4]
    value, gradient = pg.value_and_grad(lambda t: pg.embedding(t, [1], sparse=True).sum())(np.ones((2, 2)))
    assert value == 2
    assert np.asarray(gradient).tolist() == [[0, 0], [1, 1]]


def test_norm_clipping_and_penalties_reach_the_rows_that_have_a_gradient():
    table = pg.Parameter(np.array([[3.0, -4.0], [1.0, 1.0], [0.0, 2.0]]), sparse=True)
    flat = pg.Parameter(np.array([2.0]))
    store = ParameterStore([table, flat])
    assert store.gradient_norm() == 0
    (pg.embedding(table, [0, 2], sparse=True).sum() * 2 + flat.sum() * 3).backward()
    assert store.gradient_norm() == pytest.approx(5)
    store.penalize(0.5, 0.1)
    np.testing.assert_allclose(table.grad.values, [[2 + 0.5 + 0.3, 2 - 0.5 - 0.4], [2, 2 + 0.5 + 0.2]])
    np.testing.assert_allclose(flat.grad, [3 + 0.5 + 0.2])
    store.clip_value(2.5)
    np.testing.assert_allclose(table.grad.values, [[2.5, 1.1], [2, 2.5]])
    norm = store.clip_norm(1.0)
    assert store.gradient_norm() == pytest.approx(1)
    np.testing.assert_allclose(table.grad.values, np.array([[2.5, 1.1], [2, 2.5]]) / norm)
    table.grad.values[0] = np.nan, np.inf
    store.clip_value(1.0)
    np.testing.assert_array_equal(table.grad.values[0], [np.nan, 1])
    assert len(store.parameters) == 2
    assert store.values.size == 8  # the table lies elsewhere
    assert table.data.ctypes.data % 64 == 0


# Layers


@pytest.mark.parametrize(
    "layer",
    [
        Embedding(6, 3, sparse=True), EmbeddingBag(6, 3, sparse=True), EmbeddingBag(6, 3, "max", sparse=True),
        EmbeddingBag(6, 3, "sum", padding_index=1), EmbeddingBag(6, 3, "mean", sparse=True, padding_index=1),
    ],
    ids=repr,
)  # fmt: skip
def test_layers_by_their_checker(layer):
    testing.check_layer(layer, sample=np.array([[0, 5, 2, 5], [2, 2, 1, 0], [4, 0, 3, 3]]))


def test_padding_begins_at_zero_and_is_not_trained():
    tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]])
    layer = Embedding(4, 2, padding_index=0).initialize((4,), sample=tokens)
    assert not layer.table.data[0].any()
    layer(tokens).sum().backward()
    assert np.asarray(layer.table.grad)[:, 0].tolist() == [0, 1, 1, 1]
    bag = EmbeddingBag(4, 2, padding_index=0).initialize((4,), sample=tokens)
    table = bag.table.data
    np.testing.assert_allclose(bag(tokens).data, [(table[1] + table[2]) / 2, table[3], [0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(bag(tokens, tokens > 0).data, bag(tokens).data)


def test_sequential_hands_the_mask_to_the_bag():
    tokens, mask = np.array([[1, 2], [3, 1]]), np.array([[1, 0], [0, 0]])
    model = Sequential([EmbeddingBag(4, 2, "sum"), Dense(2)]).initialize((2,), sample=tokens)
    model.layers[1].weight.data[:] = np.eye(2)
    np.testing.assert_allclose(model(tokens, mask).data, [model.layers[0].table.data[1], [0, 0]])


def test_a_training_loop_in_its_stride_takes_no_memory():
    rng = np.random.default_rng(0)
    model = Sequential([EmbeddingBag(500, 16, sparse=True), Dense(3)])
    batches = rng.integers(0, 500, size=(30, 32, 20))
    model.initialize((20,), sample=batches[0])

    def step(x):
        model.store.zero_grad()
        (model(x) ** 2).sum().backward()
        model.store.clip_norm(1.0)

    for x in batches[:3]:
        step(x)
    held = arena.held_bytes()
    for x in batches[3:]:
        step(x)
    assert arena.held_bytes() == held
