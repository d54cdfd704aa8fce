"""The layers that transformers are made of, against the formulas of their papers."""

import naive_attention as naive
import naive_norm
import naive_ops
import numpy as np
import pytest

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad_layers import (
    Dense,
    FeedForward,
    LearnedPositions,
    MultiHeadAttention,
    Sequential,
    SinusoidalPositions,
    TransformerBlock,
)


def test_layers_of_positions():
    x = np.random.default_rng(11).normal(size=(2, 4, 6)).astype(np.float32)
    sinusoids = SinusoidalPositions(base=100.0).initialize((4, 6))
    np.testing.assert_allclose(sinusoids(x).data, x + pg.sinusoidal_positions(4, 6, 100.0), atol=1e-6)
    learned = LearnedPositions(5).initialize((4, 6))
    assert np.array_equal(learned(x).data, x + learned.table.data[:4])
    with pytest.raises(ShapeError, match="at most 5 elements"):
        learned(np.ones((2, 6, 6), np.float32))
    with pytest.raises(ShapeError, match=r"\(length, width\)"):
        SinusoidalPositions().initialize((4,))


def projections(layer, x, source):
    """A MultiHeadAttention's queries, keys and values, heads apart, in float64."""
    width = x.shape[-1]
    w, b = layer.weight.data, layer.bias.data if layer.use_bias else np.zeros(3 * width)
    from_x, from_source = x @ w[:, :width] + b[:width], source @ w[:, width:] + b[width:]
    return [naive.split_heads(p, layer.heads) for p in (from_x, *np.split(from_source, 2, axis=-1))]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("crossed", [True, False])
def test_multi_head_attention(crossed, use_bias):
    rng = np.random.default_rng(12)
    layer = MultiHeadAttention(2, use_bias=use_bias).initialize((5, 6), dtype=np.float64)
    for p in layer.store.parameters:
        p.data += rng.normal(size=p.shape)
    x, source = rng.normal(size=(3, 5, 6)), rng.normal(size=(3, 7, 6))
    mask, source_mask = rng.random(size=(3, 5)) < 0.7, rng.random(size=(3, 7)) < 0.7
    q, k, v = projections(layer, x, source if crossed else x)
    expected, _ = naive.attention(q, k, v, q, key_mask=source_mask if crossed else mask)
    expected = naive.join_heads(expected) @ layer.output_weight.data + (layer.output_bias.data if use_bias else 0)
    found = layer(x, mask, source, source_mask) if crossed else layer(x, mask)
    np.testing.assert_allclose(found.data, expected, rtol=0, atol=1e-11)


def test_gradients_of_cross_attention_in_a_layer():
    layer = MultiHeadAttention(2, rotary=True).initialize((5, 8), dtype=np.float64)
    rng = np.random.default_rng(13)
    x, source = rng.normal(size=(3, 5, 8)), rng.normal(size=(3, 7, 8))
    mask = rng.random(size=(3, 7)) < 0.7
    pg.testing.check_gradient(lambda a, b: layer(a, None, b, mask), x, source)
    layer(x, None, source).sum().backward()
    assert all(p.grad is not None for p in layer.store.parameters)


def test_attention_dropout_is_for_training_and_repeats():
    layer = MultiHeadAttention(2, dropout=0.5).initialize((5, 8))
    x = np.random.default_rng(14).normal(size=(3, 5, 8)).astype(np.float32)
    assert np.array_equal(layer(x).data, layer(x).data)
    found = []
    for step in (1, 1, 2):
        with pg.training(seed=3, step=step):
            found.append(layer(x).data)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_feed_forward():
    layer = FeedForward(7, activation="gelu").initialize((3, 4), dtype=np.float64)
    x = np.random.default_rng(15).normal(size=(5, 3, 4))
    inner = naive_ops.elementwise(naive_ops.ACTIVATIONS["gelu"], x @ layer.weight.data + layer.bias.data)
    np.testing.assert_allclose(layer(x).data, inner @ layer.output_weight.data + layer.output_bias.data, atol=1e-12)


@pytest.mark.parametrize("norm_first", [True, False])
def test_transformer_block(norm_first):
    block = TransformerBlock(2, 12, activation="relu", norm_first=norm_first).initialize((5, 6), dtype=np.float64)
    x = np.random.default_rng(16).normal(size=(3, 5, 6))
    mask = np.arange(5) < np.array([[5], [3], [1]])

    def norm(y):
        return naive_norm.layer_norm(y, np.ones(6), np.zeros(6))

    def attend(y):
        return block.attention(y, mask).data

    def feed(y):
        return block.feed_forward(y).data

    if norm_first:
        expected = x + attend(norm(x))
        expected = expected + feed(norm(expected))
    else:
        expected = norm(x + attend(x))
        expected = norm(expected + feed(expected))
    np.testing.assert_allclose(block(x, mask).data, expected, atol=1e-10)


def test_sequential_hands_padding_to_the_blocks():
    model = Sequential([SinusoidalPositions(), TransformerBlock(2, 8), Dense(3)]).initialize((6, 4), dtype=np.float64)
    x = np.random.default_rng(17).normal(size=(2, 6, 4))
    mask = np.arange(6) < np.array([[6], [4]])
    other = np.where(mask[..., None], x, 99.0)
    np.testing.assert_allclose(model(other, mask).data[mask], model(x, mask).data[mask], atol=1e-12)
    assert not np.allclose(model(other).data[mask], model(x).data[mask])


def test_causal_blocks_do_not_look_ahead():
    model = TransformerBlock(2, 8, causal=True, rotary=True).initialize((6, 8), dtype=np.float64)
    x = np.random.default_rng(18).normal(size=(2, 6, 8))
    changed = x.copy()
    changed[:, 4:] = 7
    np.testing.assert_allclose(model(changed).data[:, :4], model(x).data[:, :4], atol=1e-12)


def test_layers_refuse_what_they_cannot_be():
    for wrong in (
        lambda: MultiHeadAttention(0), lambda: MultiHeadAttention(2, dropout=1.0), lambda: FeedForward(0),
        lambda: FeedForward(3, activation="rellu"), lambda: TransformerBlock(2, 3, norm_first=1),
        lambda: LearnedPositions(0), lambda: SinusoidalPositions(base=0), lambda: TransformerBlock(2.0, 3),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            wrong()
        assert "\n" not in str(caught.value)
    with pytest.raises(ShapeError, match="a width of 6 does not fall into 4 equal parts"):
        MultiHeadAttention(4).initialize((5, 6))
    with pytest.raises(ShapeError, match="even parts"):
        MultiHeadAttention(2, rotary=True).initialize((5, 6))
    with pytest.raises(ShapeError, match=r"\(length, width\)"):
        MultiHeadAttention(2).initialize((6,))
