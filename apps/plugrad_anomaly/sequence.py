"""Rows as sequences of tokens, and how little a model expected each of them."""

import numpy as np

# Token 0 fills up short rows, 1 ends a row, 2 is a template never seen; template t is token t + 3.
PADDING, END, UNSEEN, FIRST = 0, 1, 2, 3
# Rows are looked at up to this many lines, or up to where 99 % of the training rows end.
LEAST_TOKENS, MOST_TOKENS, WHOLE_SHARE = 4, 64, 0.99
_BLOCK_CELLS = 1 << 22  # probabilities that are computed at a time


def tokens_length(rows):
    """How many tokens the rows of a model have, by the lengths of training rows: with the end, if it is there."""
    lengths = np.sort(np.diff(rows.offsets)) + 1
    longest = int(lengths[int(WHOLE_SHARE * (lengths.size - 1))]) if lengths.size else 0
    if lengths.size and lengths[0] == lengths[-1]:
        longest -= 1  # rows are all of one length, so that their end tells nothing
    return int(np.clip(longest, LEAST_TOKENS, MOST_TOKENS))


def tokens(rows, templates, length):
    """int64 (rows, length): the templates of each row's first lines in order, then END, then PADDING."""
    found = np.full((rows.size, length), PADDING, np.int64)
    sizes = np.diff(rows.offsets)
    place = np.arange(rows.members.size) - np.repeat(rows.offsets[:-1], sizes)
    template = rows.lines.template[rows.members]
    token = np.where(template < templates, template.astype(np.int64) + FIRST, UNSEEN)
    inside = place < length
    found[rows.row_of_member()[inside], place[inside]] = token[inside]
    ended = np.flatnonzero(sizes < length)
    found[ended, sizes[ended]] = END
    return found


def token_surprises(model, found):
    """-ln of the probability that the model gives each token, 0 for padding: float32 (rows, length).

    model: a Layer from int64 (rows, length) to logits (rows, length, vocabulary). A token beyond the vocabulary is a
    template never seen.
    """
    out = np.zeros(found.shape, np.float32)
    found, vocabulary = _within(model, found)
    step = max(1, _BLOCK_CELLS // max(found.shape[1] * vocabulary, 1))
    for low in range(0, len(found), step):
        part = found[low : low + step]
        logits = model.predict(part, batch_size=step)
        chosen = np.take_along_axis(logits, part[..., None], axis=-1)[..., 0]
        largest = logits.max(axis=-1, keepdims=True)
        total = largest[..., 0] + np.log(np.exp(logits - largest).sum(axis=-1))
        out[low : low + step] = np.where(part == PADDING, 0, np.maximum(total - chosen, 0))
    return out


def expected_tokens(model, found):
    """The token that the model holds likeliest at each place: int64 (rows, length)."""
    return model.predict(_within(model, found)[0]).argmax(axis=-1)


def _within(model, found):
    """(the tokens, those beyond the model's vocabulary as UNSEEN; the size of the vocabulary)."""
    vocabulary = model.predict(np.zeros_like(found[:1])).shape[-1] if len(found) else 0
    return np.where(found < vocabulary, found, UNSEEN), vocabulary
