"""The losses against plain formulas: every option, any shape, the ends of the number range, and what they refuse."""

import naive_losses as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrad as pg
import plugrad_losses as losses
from plugrad.errors import InputError, ShapeError

TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])
SHAPES = st.sampled_from([(), (1,), (7,), (3, 5), (2, 3, 4), (0,), (0, 3), (4097,), (130, 67)])


def close(found, expected, dtype, parts=1.0):
    """Of the same shape and type, and near in terms of the largest, or of the `parts` whose difference it is."""
    found, expected = np.asarray(found.data), np.asarray(expected)
    assert found.dtype == dtype
    assert found.shape == expected.shape
    scale = max(parts, np.abs(expected).max(initial=0)) if np.isfinite(expected).all() else 1.0
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=2e-6 if dtype == np.float32 else 1e-13)


def compare(loss, dtype, *arguments, parts=1.0, **options):
    """A loss beside the naive one of its name, which gets the same rounded numbers in float64; parts: see `close`."""
    given = [np.asarray(a, dtype if np.asarray(a).dtype.kind == "f" else None) for a in arguments]
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in given]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = getattr(naive, loss.__name__)(*wide, **options)
    close(loss(*given, **options), expected, dtype, parts)


def numbers(shape, seed):
    rng = np.random.default_rng(seed)
    return np.asarray(3 * rng.normal(size=shape)), np.asarray(3 * rng.normal(size=shape)), np.asarray(rng.random(shape))


@settings(max_examples=60, deadline=None)
@given(
    shape=SHAPES, reduction=REDUCTIONS, dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
    option=st.sampled_from([0.3, 1.0, 2.5]), flag=st.booleans(),
)  # fmt: skip
def test_losses_of_elements(shape, reduction, dtype, seed, option, flag):
    x, t, share = numbers(shape, seed)
    counts = np.floor(5 * share)
    for loss in (pg.mse, pg.mae, pg.log_cosh):
        compare(loss, dtype, x, t, reduction=reduction)
    compare(pg.huber, dtype, x, t, delta=option, reduction=reduction)
    compare(pg.smooth_l1, dtype, x, t, beta=option if flag else 0, reduction=reduction)
    compare(pg.quantile_loss, dtype, x, t, quantiles=option / 3, reduction=reduction)
    compare(pg.poisson_nll, dtype, x, counts, full=flag, reduction=reduction)
    compare(pg.poisson_nll, dtype, abs(x) + 0.01, counts, log_input=False, full=flag, reduction=reduction)
    compare(pg.gaussian_nll, dtype, x, t, share, full=flag, eps=0.1, reduction=reduction)
    compare(pg.hinge, dtype, x, np.where(t > 0, 1.0, -1.0), reduction=reduction)
    compare(pg.margin_ranking, dtype, x, t, np.where(share > 0.5, 1, -1), margin=option, reduction=reduction)


@settings(max_examples=60, deadline=None)
@given(
    shape=SHAPES, reduction=REDUCTIONS, dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99),
    hard=st.booleans(), alpha=st.sampled_from([0.25, -1]), gamma=st.sampled_from([0.0, 0.5, 2.0]), flag=st.booleans(),
)  # fmt: skip
def test_losses_of_probabilities(shape, reduction, dtype, seed, hard, alpha, gamma, flag):
    x, _, share = numbers(shape, seed)
    t = np.asarray((share > 0.5) * 1.0) if hard else share
    factors = np.random.default_rng(seed).uniform(0.1, 3, size=shape[-1:]) if flag else None
    compare(pg.binary_cross_entropy_with_logits, dtype, x, t, reduction=reduction)
    for options in ({"weight": factors}, {"pos_weight": factors}, {"weight": 2.0, "pos_weight": factors}):
        rounded = {k: v if v is None else np.asarray(v, dtype).astype(float) for k, v in options.items()}
        compare(pg.binary_cross_entropy_with_logits, dtype, x, t, **rounded, reduction=reduction)
    compare(pg.binary_cross_entropy, dtype, 0.01 + 0.98 * share, t, reduction=reduction)
    compare(pg.focal, dtype, x, t, alpha=alpha, gamma=gamma, reduction=reduction)
    if x.ndim:
        other = reduction if reduction == "none" or not len(x) else "batchmean"
        compare(pg.kl_div, dtype, -abs(x), t, reduction=reduction)
        compare(pg.kl_div, dtype, -abs(x), -share, log_target=True, reduction=other)


@settings(max_examples=100, deadline=None)
@given(
    shape=st.sampled_from([(), (1,), (65,), (2, 3), (0,), (200,)]), classes=st.integers(1, 40), reduction=REDUCTIONS,
    dtype=st.sampled_from([np.float32, np.float64]), seed=st.integers(0, 99), weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]), ignored=st.sampled_from([-100, 0]),
)  # fmt: skip
def test_losses_of_classes(shape, classes, reduction, dtype, seed, weighted, smoothing, ignored):
    rng = np.random.default_rng(seed)
    x = 4 * rng.normal(size=(*shape, classes))
    labels = np.asarray(rng.integers(0, classes, size=shape))
    if seed % 3 == 0 and labels.size:
        labels.flat[0] = -100
    weight = rng.uniform(0.1, 2, size=classes).astype(np.float32).astype(float) if weighted else None
    options = {"weight": weight, "reduction": reduction, "ignore_index": -100 if seed % 3 == 0 else ignored}
    compare(pg.cross_entropy, dtype, x, labels, label_smoothing=smoothing, **options)
    compare(pg.nll_loss, dtype, x, labels, **options)
    options["alpha"] = options.pop("weight")
    compare(pg.softmax_focal, dtype, x, labels, gamma=(0.0, 0.5, 1.0, 2.0)[seed % 4], **options)
    shares = rng.dirichlet(np.ones(classes), size=shape)
    compare(pg.cross_entropy, dtype, x, shares, weight=weight, reduction=reduction, label_smoothing=smoothing)


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.uint16, np.uint64])
def test_labels_of_any_whole_type(kind):
    x, labels = np.random.default_rng(2).normal(size=(4, 3)), np.array([2, 0, 1, 2])
    assert pg.cross_entropy(x, labels.astype(kind)).item() == pg.cross_entropy(x, labels).item()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 9), width=st.integers(1, 40), reduction=REDUCTIONS, seed=st.integers(0, 99),
    dtype=st.sampled_from([np.float32, np.float64]), p=st.sampled_from([1, 2, 3.5]), swap=st.booleans(),
    margin=st.sampled_from([0.0, 0.5, 4.0]),
)  # fmt: skip
def test_losses_of_embeddings(rows, width, reduction, seed, dtype, p, swap, margin):
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(3, rows, width))
    signs = rng.choice([-1, 1], size=rows)
    compare(pg.cosine_similarity, dtype, a, b, axis=seed % 2)
    compare(pg.normalize, dtype, a, axis=seed % 2)
    compare(pg.pairwise_distance, dtype, a, b, p=p)
    compare(pg.cosine_embedding, dtype, a, b, signs, margin=margin, reduction=reduction)
    distance = max(1.0, naive.pairwise_distance(a, b, p=p).max(initial=0))
    compare(pg.triplet, dtype, a, b, c, margin=margin, p=p, swap=swap, reduction=reduction, parts=distance)
    if rows:
        compare(pg.info_nce, dtype, a, b, temperature=0.5, symmetric=swap)


def test_several_quantiles():
    x, t, levels = (
        np.random.default_rng(3).normal(size=(1500, 3)),
        np.random.default_rng(4).normal(size=1500),
        [0.1, 0.5, 0.9],
    )
    for dtype in (np.float32, np.float64):
        for reduction in ("mean", "sum", "none"):
            compare(
                pg.quantile_loss, dtype, x, t, quantiles=[np.float32(q).item() for q in levels], reduction=reduction
            )


def gradient(loss, x, *arguments, **options):
    leaf = pg.Tensor(np.asarray(x), requires_grad=True)
    value = loss(leaf, *arguments, **options)
    value.backward(np.ones(value.shape))
    return leaf.grad


def test_info_nce_differentiates_both():
    rng = np.random.default_rng(5)
    queries, keys = rng.normal(size=(2, 4, 3))
    pg.testing.check_gradient(lambda q, k: pg.info_nce(q, k, 0.5, symmetric=True), queries, keys)


def test_gradients_at_ties():
    x = np.array([1.0, 2.0])
    for loss, options in (
        (pg.mae, {}), (pg.smooth_l1, {"beta": 0}), (pg.quantile_loss, {"quantiles": 0.3}), (pg.log_cosh, {}),
        (pg.mse, {}),
    ):  # fmt: skip
        assert gradient(loss, x, x, **options).tolist() == [0, 0]
    assert gradient(pg.quantile_loss, np.stack([x, x], -1), x, [0.2, 0.7]).tolist() == [[0, 0], [0, 0]]
    assert gradient(pg.hinge, [1.0], np.array([1.0])).tolist() == [0]
    assert gradient(pg.margin_ranking, [1.0], np.array([1.0]), np.array([1])).tolist() == [0]
    assert gradient(pg.pairwise_distance, [[1.0, 2.0]], np.array([[1.0, 2.0]]), eps=0).tolist() == [[0, 0]]


def test_a_row_of_zeros_has_no_direction():
    zeros, ones = np.zeros((1, 3)), np.ones((1, 3))
    assert pg.cosine_similarity(zeros, ones).data.tolist() == [0]
    assert pg.normalize(zeros).data.tolist() == [[0, 0, 0]]
    for loss, arguments in ((pg.cosine_similarity, (ones,)), (pg.normalize, ())):
        assert np.isfinite(gradient(loss, zeros, *arguments)).all()


def test_rows_that_are_all_ignored():
    x, labels = np.ones((2, 3)), np.array([1, 1])
    for loss in (pg.cross_entropy, pg.nll_loss):
        assert np.isnan(loss(x, labels, ignore_index=1).item())
        assert gradient(loss, x, labels, ignore_index=1).tolist() == np.zeros((2, 3)).tolist()
        assert loss(x, labels, ignore_index=1, reduction="sum").item() == 0


@TYPES
def test_small_and_large_numbers_keep_their_digits(dtype):
    # Next to nothing is lost where the formula as it stands would lose all.
    for x in (1e-3, 1e-2, 0.0999, 0.1001, 3.0, 60.0):
        found = pg.log_cosh(np.array([x], dtype), np.zeros(1, dtype)).item()
        expected = naive.log_cosh(float(dtype(x)), 0.0, "sum")
        assert found == pytest.approx(float(expected), rel=3e-5 if dtype == np.float32 else 1e-12)
    for x in (-80.0, -20.0, -1.0, 0.0, 30.0):
        value = pg.binary_cross_entropy_with_logits(np.array([x], dtype), np.zeros(1, dtype)).item()
        assert value == pytest.approx(np.logaddexp(0, x), rel=1e-6 if dtype == np.float32 else 1e-14)
    for x in (-1e4, 1e4):
        for loss in (pg.focal, pg.binary_cross_entropy_with_logits, pg.log_cosh, pg.huber):
            assert np.isfinite(gradient(loss, np.array([x], dtype), np.ones(1, dtype))).all()
            assert np.isfinite(loss(np.array([x], dtype), np.ones(1, dtype)).item())


@TYPES
def test_probabilities_at_their_ends(dtype):
    p, t = np.array([0.0, 1.0, 0.0, 1.0], dtype), np.array([0.0, 1.0, 1.0, 0.0], dtype)
    assert pg.binary_cross_entropy(p, t, reduction="none").data.tolist() == [0, 0, 100, 100]
    assert np.isfinite(gradient(pg.binary_cross_entropy, p, t)).all()
    zero = np.array([[0.0, 1.0]], dtype)
    assert pg.kl_div(np.log(np.array([[0.5, 0.5]], dtype)), zero).item() == pytest.approx(np.log(2) / 2)


@TYPES
@pytest.mark.parametrize(
    "loss", [pg.mse, pg.log_cosh, pg.poisson_nll, pg.focal, pg.hinge, pg.quantile_loss, pg.smooth_l1]
)
def test_nan_is_shown(loss, dtype):
    x = np.array([1.0, np.nan, 2.0], dtype)
    values = loss(x, np.ones(3, dtype), reduction="none").data
    assert np.isnan(values).tolist() == [False, True, False]


@TYPES
def test_softmax_focal_without_focus_is_cross_entropy_in_its_gradient_too(dtype):
    rng = np.random.default_rng(3)
    x, labels, weight = rng.normal(size=(70, 9)).astype(dtype), rng.integers(0, 9, 70), rng.random(9)
    close(pg.softmax_focal(x, labels, weight, 0.0, 2), pg.cross_entropy(x, labels, weight, 2).data, dtype)
    found = gradient(pg.softmax_focal, x, labels, weight, 0.0, 2)
    np.testing.assert_allclose(found, gradient(pg.cross_entropy, x, labels, weight, 2), rtol=0, atol=1e-7)


@TYPES
@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_softmax_focal_where_the_truth_is_certain_or_impossible(gamma, dtype):
    x = np.array([[1e4, 0, 0], [-1e4, 0, 0], [30, 0, 0], [-np.inf, 0, 0], [0, -np.inf, -np.inf]], dtype)
    values = pg.softmax_focal(x, np.zeros(5, int), gamma=gamma, reduction="none").data
    assert values[[0, 4]].tolist() == [0, 0]
    assert values[1] == pytest.approx(1e4, rel=1e-3)
    others = 2 * np.exp(-30.0)  # a share that 1 - p has lost in either type
    assert values[2] == pytest.approx(others ** (1 + gamma), rel=1e-4)
    assert values[3] == np.inf
    assert np.isfinite(gradient(pg.softmax_focal, x[:3], np.zeros(3, int), None, gamma)).all()


@TYPES
@pytest.mark.parametrize("bad", [np.nan, -np.nan])
def test_cross_entropy_shows_nan_of_either_sign_in_its_row(bad, dtype):
    x = np.random.default_rng(6).normal(size=(3, 20)).astype(dtype)
    x[1, 13] = np.copysign(np.nan, bad)
    for loss in (pg.cross_entropy, pg.softmax_focal):
        values = loss(x, np.array([0, 1, 2]), reduction="none").data
        assert np.isnan(values).tolist() == [False, True, False]


@TYPES
def test_cross_entropy_with_infinite_logits(dtype):
    x = np.array([[-np.inf, 0.0, 0.0], [0.0, -np.inf, 0.0]], dtype)
    values = pg.cross_entropy(x, np.array([1, 1]), reduction="none").data
    assert values[0] == pytest.approx(np.log(2))
    assert values[1] == np.inf


@pytest.mark.parametrize(
    "loss", [pg.mse, pg.binary_cross_entropy_with_logits, pg.log_cosh, pg.cross_entropy, pg.triplet]
)
def test_the_same_bits_on_one_and_two_threads(loss):
    rng = np.random.default_rng(7)
    x, t, u = rng.normal(size=(3, 700, 60)).astype(np.float32)
    arguments = {pg.cross_entropy: (rng.integers(0, 60, 700),), pg.triplet: (t, u)}.get(loss, (t,))
    before, found = pg.get_threads(), []
    try:
        for threads in (1, 2):
            pg.set_threads(threads)
            leaf = pg.Tensor(x, requires_grad=True)
            value = loss(leaf, *arguments)
            value.backward()
            found.append((value.item(), leaf.grad.tobytes()))
    finally:
        pg.set_threads(before)
    assert found[0] == found[1]


ONES = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: pg.mse(ONES, ONES.T), ShapeError, r"mse: input \(2, 3\) and target \(3, 2\)"),
        (lambda: pg.mse(ONES, ONES, "average"), InputError, "mse: expected a reduction among mean, sum, none"),
        (lambda: pg.mse(np.ones(3, int), np.ones(3)), InputError, "float32 or float64, got int64"),
        (lambda: pg.huber(ONES, ONES, 0), InputError, "delta must be a number > 0"),
        (lambda: pg.smooth_l1(ONES, ONES, -1), InputError, "beta must be"),
        (lambda: pg.quantile_loss(ONES, ONES, 1.5), InputError, r"numbers? in \(0, 1\)"),
        (lambda: pg.quantile_loss(ONES, ONES, [0.5]), ShapeError, r"expected an input \(\.\.\., 1\)"),
        (lambda: pg.gaussian_nll(ONES, ONES, -ONES), InputError, "var must be >= 0, its least is -1"),
        (lambda: pg.gaussian_nll(ONES, ONES, np.ones(5)), ShapeError, r"var \(5,\) does not fit the input \(2, 3\)"),
        (lambda: pg.cross_entropy(ONES, np.array([0, 3])), InputError, r"label 3 is outside 0\.\.2"),
        (lambda: pg.cross_entropy(ONES, np.array([0, -1])), InputError, r"label -1 is outside"),
        (lambda: pg.cross_entropy(ONES, np.array([0, 2**64 - 1], np.uint64)), InputError, r"label 1844\d+ is outside"),
        (lambda: pg.cross_entropy(ONES, np.array([0, 1]), weight=[1, 2]), ShapeError, "each of 3 classes"),
        (lambda: pg.cross_entropy(ONES, np.array([0, 1]), label_smoothing=2), InputError, "label_smoothing"),
        (lambda: pg.cross_entropy(ONES, np.array([0, 1]), ignore_index=0.5), InputError, "ignore_index"),
        (lambda: pg.cross_entropy(np.float64(1), np.array(0)), ShapeError, r"\(\.\.\., classes\)"),
        (lambda: pg.nll_loss(ONES, ONES), ShapeError, "whole numbers, got float64"),
        (lambda: pg.binary_cross_entropy(2 * ONES, ONES), InputError, r"probabilities in \[0, 1\], got 2"),
        (lambda: pg.binary_cross_entropy_with_logits(ONES, ONES, np.ones(2)), ShapeError, r"weight \(2,\) does not"),
        (lambda: pg.focal(ONES, ONES, gamma=-1), InputError, "gamma"),
        (lambda: pg.focal(ONES, ONES, alpha=2), InputError, "alpha"),
        (lambda: pg.softmax_focal(ONES, ONES), ShapeError, "whole numbers, got float64"),
        (lambda: pg.softmax_focal(ONES, np.array([0, 3])), InputError, r"label 3 is outside 0\.\.2"),
        (lambda: pg.softmax_focal(ONES, np.array([0, 1]), [1, 2]), ShapeError, "each of 3 classes"),
        (lambda: pg.softmax_focal(ONES, np.array([0, 1]), gamma=-1), InputError, "gamma"),
        (lambda: losses.SoftmaxFocal(alpha=[-1.0]), InputError, "alpha"),
        (lambda: losses.SoftmaxFocal(ignore_index=0.5), InputError, "ignore_index"),
        (lambda: pg.kl_div(ONES, ONES, reduction="all"), InputError, "batchmean"),
        (lambda: pg.cosine_similarity(ONES, np.ones((2, 4))), ShapeError, r"\(2, 3\), \(2, 4\) do not fit"),
        (lambda: pg.cosine_similarity(ONES, ONES, axis=2), InputError, "axis"),
        (lambda: pg.cosine_embedding(ONES, ONES, np.array([1, 0])), InputError, "1 and -1, got 0"),
        (lambda: pg.cosine_embedding(ONES, ONES, np.array([1])), ShapeError, r"a target \(2,\)"),
        (lambda: pg.pairwise_distance(ONES, ONES, p=0.5), InputError, "p must be"),
        (lambda: pg.triplet(ONES, ONES, np.ones((3, 3))), ShapeError, "do not fit together"),
        (lambda: pg.info_nce(ONES, ONES.T), ShapeError, "of one shape"),
        (lambda: pg.info_nce(ONES, ONES, temperature=0), InputError, "temperature"),
        (lambda: losses.Quantile([0.5, 1.0]), InputError, "quantiles"),
        (lambda: losses.CrossEntropy(class_weights=[1, -1]), InputError, "class_weights"),
        (lambda: losses.CrossEntropy(label_smoothing=True), InputError, "label_smoothing"),
        (lambda: losses.BinaryCrossEntropy(pos_weight=-1), InputError, "pos_weight"),
        (lambda: losses.SmoothL1(0), InputError, "beta"),
        (lambda: losses.Triplet()(np.ones((4, 2, 3)), None), ShapeError, r"\(batch, 3, width\)"),
        (lambda: losses.Cosine()(ONES, ONES[0]), ShapeError, "same shape"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, said):
    with pytest.raises(error, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_plugins_pass_their_fields_on():
    x, labels = np.random.default_rng(8).normal(size=(4, 3)), np.array([0, 2, 1, 1])
    loss = losses.CrossEntropy(label_smoothing=0.1, class_weights=[1.0, 0.5, 2.0], ignore_index=2)
    weight = np.array([1, 0.5, 2])
    assert loss(x, labels).item() == pytest.approx(naive.cross_entropy(x, labels, weight, 2, "mean", 0.1))
    t = np.abs(np.sin(x))
    expected = naive.binary_cross_entropy_with_logits(x, t, pos_weight=3)
    assert losses.BinaryCrossEntropy(pos_weight=3)(x, t).item() == pytest.approx(expected)
    assert losses.Focal(alpha=None, gamma=1)(x, t).item() == pytest.approx(naive.focal(x, t, -1, 1))
    focal = losses.SoftmaxFocal(alpha=[1.0, 0.5, 2.0], gamma=1.5, ignore_index=2)
    assert focal(x, labels).item() == pytest.approx(naive.softmax_focal(x, labels, weight, 1.5, 2))
    shares = np.exp(naive.log_softmax(t))
    expected = naive.kl_div(naive.log_softmax(x), shares, reduction="batchmean")
    assert losses.KLDivergence()(x, shares).item() == pytest.approx(expected)
    parts = np.random.default_rng(9).normal(size=(5, 3, 4))
    expected = naive.triplet(*np.moveaxis(parts, 1, 0), margin=2.0, swap=True)
    assert losses.Triplet(2.0, swap=True)(parts, None).item() == pytest.approx(expected)
    both = np.stack([x, np.log(t)], axis=-1)
    assert losses.GaussianNLL()(both, x + t).item() == pytest.approx(naive.gaussian_nll(x, x + t, t))
