"""What attention and its company should give: whole score matrices and loops, in float64."""

import math

import naive_ops as naive
import numpy as np


def dropout_factors(lead, length, source, rate, key):
    """(*lead, length, source): 0 for dropped weights, 1 / (1 - rate) for the others, from plain Philox."""
    rows = (length + 3) // 4 * 4
    kept = naive.kept(math.prod(lead) * source * rows, rate, key).reshape(math.prod(lead), rows * source)
    # Word by word: a unit, in it a block of up to 64 queries, in it a key, in it the queries of the block.
    blocks = [
        kept[:, first * source : min(first + 64, rows) * source].reshape(len(kept), source, -1)
        for first in range(0, rows, 64)
    ]
    found = np.swapaxes(np.concatenate(blocks, axis=2), 1, 2)[:, :length]
    return found.reshape(*lead, length, source) / (1 - rate)


def addends(mask, key_mask, is_causal, shape):
    """What is added to scores of `shape`, -inf for what takes no part."""
    found = np.zeros(shape)
    if mask is not None:
        mask = np.asarray(mask)
        found = found + (np.where(mask, 0, -np.inf) if mask.dtype == bool else mask.astype(np.float64))
    if key_mask is not None:
        wide = np.asarray(key_mask).reshape(len(key_mask), *[1] * (len(shape) - 2), shape[-1])
        found = found + np.where(wide, 0, -np.inf)
    if is_causal:
        found = found + np.where(np.arange(shape[-1]) <= np.arange(shape[-2])[:, None], 0, -np.inf)
    return found


def weights(scores):
    """softmax over the last axis, 0 for rows of -inf alone."""
    top = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    powers = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = powers.sum(axis=-1, keepdims=True)
    return powers / np.where(total == 0, 1, total)


def attention(q, k, v, g, mask=None, key_mask=None, is_causal=False, scale=None, factors=1.0):
    """(value, gradients of q, k, v and of the scores) for the gradient g of the value."""
    q, k, v, g = (np.asarray(x, np.float64) for x in (q, k, v, g))
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    shape = (*q.shape[:-1], k.shape[-2])
    p = weights(scale * q @ np.swapaxes(k, -1, -2) + addends(mask, key_mask, is_causal, shape))
    dropped = p * factors
    to_p = g @ np.swapaxes(v, -1, -2) * factors
    to_scores = p * (to_p - (p * to_p).sum(axis=-1, keepdims=True))
    to_q, to_k = scale * to_scores @ k, scale * np.swapaxes(to_scores, -1, -2) @ q
    return dropped @ v, (to_q, to_k, np.swapaxes(dropped, -1, -2) @ g, to_scores)


def rotary(x, positions, base=10000.0):
    """Each pair (i, i + width / 2) of features turned as a complex number."""
    half = x.shape[-1] // 2
    out = np.empty(x.shape)
    positions = np.broadcast_to(positions, x.shape[:-1])
    for place in np.ndindex(*x.shape[:-1]):
        for i in range(half):
            angle = positions[place] / base ** (2 * i / x.shape[-1])
            turned = complex(x[place][i], x[place][i + half]) * complex(math.cos(angle), math.sin(angle))
            out[place][i], out[place][i + half] = turned.real, turned.imag
    return out


def split_heads(x, heads):
    """(batch, length, heads·n) -> (batch, heads, length, n)."""
    return np.swapaxes(np.reshape(x, (*np.shape(x)[:2], heads, -1)), 1, 2)


def join_heads(x):
    """The way back from split_heads."""
    return np.swapaxes(x, 1, 2).reshape(x.shape[0], x.shape[2], -1)
