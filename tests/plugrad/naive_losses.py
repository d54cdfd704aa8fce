"""Losses by their formulas, in NumPy's float64, one plain expression each; gradients are for differences to find."""

import math

import numpy as np

LOG_2_PI = math.log(2 * math.pi)


def reduced(values, reduction, divisor=None):
    """Each loss, their sum, or the sum divided by `divisor` (their number if None)."""
    if reduction == "none":
        return values
    return values.sum() if reduction == "sum" else values.sum() / (values.size if divisor is None else divisor)


def log_softmax(x):
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """As torch.nn.functional.cross_entropy documents it, the classes last."""
    classes = x.shape[-1]
    weight = np.ones(classes) if weight is None else weight
    if target.shape == x.shape:
        wished, counted = target, np.ones(x.shape[:-1])
        divisor = counted.size
    else:
        counted = target != ignore_index
        labels = np.where(counted, target, 0)
        wished = np.eye(classes)[labels]
        divisor = (weight[labels] * counted).sum()
    wished = (1 - label_smoothing) * wished + label_smoothing / classes
    return reduced(-(wished * weight * log_softmax(x)).sum(axis=-1) * counted, reduction, divisor)


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    weight = np.ones(x.shape[-1]) if weight is None else weight
    counted = target != ignore_index
    labels = np.where(counted, target, 0)
    factors = weight[labels] * counted
    return reduced(-np.take_along_axis(x, labels[..., None], -1)[..., 0] * factors, reduction, factors.sum())


def softmax_focal(x, target, alpha=None, gamma=2.0, ignore_index=-100, reduction="mean"):
    alpha = np.ones(x.shape[-1]) if alpha is None else alpha
    counted = target != ignore_index
    labels = np.where(counted, target, 0)
    logarithm = np.take_along_axis(log_softmax(x), labels[..., None], -1)[..., 0]
    factors = alpha[labels] * counted
    return reduced(-factors * (-np.expm1(logarithm)) ** gamma * logarithm, reduction, factors.sum())


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


def binary_cross_entropy_with_logits(x, t, weight=None, pos_weight=None, reduction="mean"):
    positive = 1 if pos_weight is None else pos_weight
    values = -(positive * t * log_sigmoid(x) + (1 - t) * log_sigmoid(-x))
    return reduced(values * (1 if weight is None else weight), reduction)


def binary_cross_entropy(p, t, weight=None, reduction="mean"):
    with np.errstate(divide="ignore"):
        values = -(t * np.maximum(np.log(p), -100) + (1 - t) * np.maximum(np.log1p(-p), -100))
    return reduced(values * (1 if weight is None else weight), reduction)


def focal(x, t, alpha=0.25, gamma=2.0, reduction="mean"):
    p = 1 / (1 + np.exp(-x))
    truth = p * t + (1 - p) * (1 - t)
    balance = alpha * t + (1 - alpha) * (1 - t) if alpha >= 0 else 1
    return reduced(balance * (1 - truth) ** gamma * binary_cross_entropy_with_logits(x, t, reduction="none"), reduction)


def kl_div(x, t, log_target=False, reduction="mean"):
    logarithm = t if log_target else np.log(np.where(t > 0, t, 1))
    values = (np.exp(t) if log_target else t) * (logarithm - x)
    return values.sum() / len(x) if reduction == "batchmean" else reduced(values, reduction)


def hinge(x, t, reduction="mean"):
    return reduced(np.maximum(0, 1 - t * x), reduction)


def mse(x, t, reduction="mean"):
    return reduced((x - t) ** 2, reduction)


def mae(x, t, reduction="mean"):
    return reduced(abs(x - t), reduction)


def huber(x, t, delta=1.0, reduction="mean"):
    d = abs(x - t)
    return reduced(np.where(d <= delta, d * d / 2, delta * (d - delta / 2)), reduction)


def smooth_l1(x, t, beta=1.0, reduction="mean"):
    return huber(x, t, beta, reduction) / beta if beta else mae(x, t, reduction)


def log_cosh(x, t, reduction="mean"):
    # 1 + the relative difference from 1, which keeps its digits for small differences.
    return reduced(np.log1p(2 * np.sinh((x - t) / 2) ** 2), reduction)


def quantile_loss(x, t, quantiles=0.5, reduction="mean"):
    levels = np.asarray(quantiles)
    short = (t if levels.ndim == 0 else t[..., None]) - x
    return reduced(np.maximum(levels * short, (levels - 1) * short), reduction)


def poisson_nll(x, t, log_input=True, full=False, eps=1e-8, reduction="mean"):
    values = np.exp(x) - t * x if log_input else x - t * np.log(x + eps)
    if full:
        above = np.where(t > 1, t, 1)
        values = values + np.where(t > 1, above * np.log(above) - above + (LOG_2_PI + np.log(above)) / 2, 0)
    return reduced(values, reduction)


def gaussian_nll(x, t, var, full=False, eps=1e-6, reduction="mean"):
    var = np.maximum(var[..., None] if var.ndim < x.ndim else var, eps)
    return reduced((np.log(var) + (x - t) ** 2 / var) / 2 + (LOG_2_PI / 2 if full else 0), reduction)


def cosine_similarity(a, b, axis=-1, eps=1e-8):
    lengths = [np.maximum(np.sqrt((v * v).sum(axis)), eps) for v in (a, b)]
    return (a * b).sum(axis) / (lengths[0] * lengths[1])


def cosine_embedding(a, b, target, margin=0.0, reduction="mean"):
    cosine = cosine_similarity(a, b)
    return reduced(np.where(target == 1, 1 - cosine, np.maximum(0, cosine - margin)), reduction)


def pairwise_distance(a, b, p=2.0, eps=1e-6):
    return (abs(a - b + eps) ** p).sum(-1) ** (1 / p)


def triplet(a, b, c, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    far = pairwise_distance(a, c, p, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(b, c, p, eps))
    return reduced(np.maximum(0, pairwise_distance(a, b, p, eps) - far + margin), reduction)


def margin_ranking(a, b, target, margin=0.0, reduction="mean"):
    return reduced(np.maximum(0, margin - target * (a - b)), reduction)


def normalize(a, axis=-1, eps=1e-12):
    return a / np.maximum(np.sqrt((a * a).sum(axis, keepdims=True)), eps)


def info_nce(queries, keys, temperature=0.1, symmetric=False):
    logits = normalize(queries) @ normalize(keys).T / temperature
    own = np.arange(len(logits))
    if not symmetric:
        return cross_entropy(logits, own)
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
