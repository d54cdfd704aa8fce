"""Arrays and pandas frames → Columns, in training and in scoring."""

import warnings

import numpy as np

from plugrad_anomaly.columns import CATEGORY, DATE, NUMBER, Columns


def names_of(X):
    """The column names of a frame if all are texts, else None."""
    if not hasattr(X, "columns"):
        return None
    names = list(X.columns)
    return names if names and all(isinstance(name, str) for name in names) else None


def learn_columns(X):
    """(kinds, texts, Columns) of training rows: see Columns. Raises ValueError or TypeError for what is no table."""
    arrays = _arrays(X)
    kinds, texts = {}, {}
    for name, values in arrays.items():
        kinds[name] = _kind(values)
        if kinds[name] == CATEGORY:
            texts[name] = sorted({str(value) for value in values if not _is_missing(value)})
            if not texts[name]:  # nothing is known of it but that it is missing
                kinds[name] = NUMBER
                del texts[name]
    return kinds, texts, _columns(arrays, kinds, texts)


def columns_of(X, kinds, texts, owner="the detector", names=None):
    """The Columns of rows to be scored, for what training found out; owner and names are for the messages."""
    arrays = _arrays(X)
    own = names_of(X)
    if own is not None and names is not None and own != list(names):
        raise ValueError(_other_names(own, list(names)))
    if len(arrays) != len(kinds):
        raise ValueError(f"X has {len(arrays)} features, but {owner} is expecting {len(kinds)} features as input")
    if (own is None) != (names is None):
        warnings.warn(
            f"X does not have valid feature names, but {owner} was fitted with feature names"
            if own is None else f"X has feature names, but {owner} was fitted without feature names", stacklevel=4,
        )  # fmt: skip
    return _columns(dict(zip(kinds, arrays.values(), strict=True)), kinds, texts)


def _other_names(own, names):
    """What is said of the names of a frame, in the words of scikit-learn, which programs look for."""
    lines = ["The feature names should match those that were passed during fit."]
    new, gone = sorted(set(own) - set(names)), sorted(set(names) - set(own))
    for head, found in (("Feature names unseen at fit time:", new),
                        ("Feature names seen at fit time, yet now missing:", gone)):  # fmt: skip
        if found:
            lines += [head, *(f"- {name}" for name in found[:5]), *(["- ..."] if len(found) > 5 else [])]
    if not new and not gone:
        lines.append("Feature names must be in the same order as they were in fit.")
    return "\n".join(lines) + "\n"


def _arrays(X):
    """name -> array (rows,), in order."""
    if hasattr(X, "columns") and hasattr(X, "iloc"):
        if X.shape[1] == 0 or X.shape[0] == 0:
            raise ValueError(_empty(X.shape))
        names = names_of(X) or [f"column {place}" for place in range(X.shape[1])]
        if len(set(names)) != len(names):
            raise ValueError("two columns of the frame have one name")
        return {name: _plain(X.iloc[:, place]) for place, name in enumerate(names)}
    if hasattr(X, "tocsr") or type(X).__module__.startswith("scipy.sparse"):
        raise TypeError("sparse input is not supported; expected a dense array: X.toarray()")
    X = np.asarray(X)
    if X.dtype.kind == "c":
        raise ValueError("Complex data not supported")
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead. Reshape your data: "
            "X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row"
        )
    if 0 in X.shape:
        raise ValueError(_empty(X.shape))
    return {f"column {place}": X[:, place] for place in range(X.shape[1])}


def _empty(shape):
    what = "sample" if shape[0] == 0 else "feature"
    return f"Found array with 0 {what}(s) (shape={tuple(shape)}) while a minimum of 1 is required."


def _plain(column):
    """A frame's column as an array: numbers with NaN, dates, or objects."""
    if column.dtype.kind == "M" or str(column.dtype).startswith("datetime64"):
        if getattr(column.dt, "tz", None) is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return column.to_numpy(dtype="datetime64[ns]")
    if getattr(column.dtype, "kind", "O") in "biuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.to_numpy(dtype=object)


def _kind(values):
    if values.dtype.kind in "biuf":
        return NUMBER
    if values.dtype.kind == "M":
        return DATE
    if values.dtype.kind not in "OUS":
        raise ValueError(f"a column holds {values.dtype}; expected numbers, texts or dates")
    known = [value for value in values if not _is_missing(value)]
    for value in known:
        if not isinstance(value, str | bytes | bool | int | float | np.generic):
            raise TypeError(f"argument must be a string or a number, got {type(value).__name__}")
    return NUMBER if all(_is_number(value) for value in known) else CATEGORY


def _is_missing(value):
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def _is_number(value):
    return isinstance(value, bool | int | float | np.number | np.bool_)


def _columns(arrays, kinds, texts):
    values, unreadable = {}, {}
    for name, column in arrays.items():
        if kinds[name] == NUMBER:
            values[name], bad = _numbers(column, name)
            if bad.any():
                unreadable[name] = bad
        elif kinds[name] == DATE:
            if column.dtype.kind != "M":
                raise ValueError(f"{name!r} holds {column.dtype}; expected dates, as in training")
            seconds = column.astype("datetime64[ns]").astype(np.int64) / 1e9
            values[name] = np.where(np.isnat(column), np.nan, seconds)
        else:
            places = {text: place for place, text in enumerate(texts[name])}
            codes = [-1 if _is_missing(value) else places.get(str(value), len(places)) for value in column]
            values[name] = np.array(codes, np.int32)
    rows = len(next(iter(arrays.values())))
    return Columns(kinds, values, texts, rows, unreadable, lambda name, row: str(arrays[name][row]))


def _numbers(column, name):
    """(float64 with NaN for missing, bool: what is no number). Infinity is no value that can be learnt from."""
    if column.dtype.kind in "biuf":
        values = np.ascontiguousarray(column, np.float64)
    else:
        known = [np.nan if _is_missing(value) else value for value in column]
        bad = np.array([not _is_number(value) for value in known])
        values = np.array([np.nan if wrong else float(value) for value, wrong in zip(known, bad, strict=True)])
        if bad.any():
            return values, bad
    if np.isinf(values).any():
        raise ValueError(f"Input X contains infinity or a value too large for float64 (in {name!r})")
    return values, np.zeros(len(values), dtype=bool)
