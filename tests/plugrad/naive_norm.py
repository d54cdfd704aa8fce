"""The normalisations and their gradients, from the papers' formulas in float64."""

import math

import numpy as np


def layer_norm(x, scale, shift, epsilon=1e-5):
    """Over the last axis, row by row."""
    rows = []
    for row in np.reshape(x, (-1, np.shape(x)[-1])).tolist():
        mean = math.fsum(row) / len(row)
        variance = math.fsum((v - mean) ** 2 for v in row) / len(row)
        normal = [(v - mean) / math.sqrt(variance + epsilon) for v in row]
        rows.append([v * s + t for v, s, t in zip(normal, scale, shift, strict=True)])
    return np.reshape(rows, np.shape(x))


def rms_norm(x, scale, epsilon=1e-6):
    """Over the last axis, row by row."""
    rows = []
    for row in np.reshape(x, (-1, np.shape(x)[-1])).tolist():
        size = math.sqrt(math.fsum(v * v for v in row) / len(row) + epsilon)
        rows.append([v / size * s for v, s in zip(row, scale, strict=True)])
    return np.reshape(rows, np.shape(x))


def normal_of(x, axes, epsilon, centred=True):
    """(x - mean) / sqrt(variance + epsilon) over `axes`, and the root."""
    mean = x.mean(axis=axes, keepdims=True) if centred else 0.0
    root = np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + epsilon)
    return (x - mean) / root, root


def norm(x, axes, scale, shift, epsilon, g, relu=False, centred=True, split=None):
    """(value, gradients of x, scale and shift) of a normalisation over `axes`.

    split: a function that brings arrays of x's shape into the shape in which `axes` counts, and None for as they are.
    """
    x, scale, shift, g = (np.asarray(a, np.float64) for a in (x, scale, shift, g))
    split = split or (lambda a: a)
    normal, root = normal_of(split(x), axes, epsilon, centred)
    normal = normal.reshape(x.shape)
    value = normal * scale + shift
    if relu:
        g = g * (value > 0)
        value = np.maximum(value, 0)
    d = split(g * scale)
    n = split(normal)
    to_x = d - n * (d * n).mean(axis=axes, keepdims=True)
    if centred:
        to_x = to_x - d.mean(axis=axes, keepdims=True)
    features = x.shape[-1]
    to_scale = (g * normal).reshape(-1, features).sum(axis=0)
    return value, ((to_x / root).reshape(x.shape), to_scale, g.reshape(-1, features).sum(axis=0))
