import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrad.errors import InputError
from plugrad_anomaly.scan import scan
from plugrad_anomaly.templates import Templates


def learn(templates, text):
    data = np.frombuffer(text, dtype=np.uint8)
    lines = scan(data)
    return templates.learn(lines.hashes, data, lines.starts, lines.ends).tolist()


def ids(templates, text):
    return templates.ids(scan(np.frombuffer(text, dtype=np.uint8)).hashes).tolist()


def test_ids_follow_the_first_appearance():
    templates = Templates()
    assert learn(templates, b"b 1\na 2\nb 3\n") == [0, 1, 0]
    assert learn(templates, b"c\na 9\n") == [2, 1]
    assert templates.texts == ["b <*>", "a <*>", "c"]
    assert len(templates) == templates.unseen == 3


def test_frozen_ids_name_the_unseen():
    templates = Templates()
    learn(templates, b"a 1\nb 1\n")
    assert ids(templates, b"b 7\nnew\na 7\nnewer\n") == [1, 2, 0, 2]
    assert templates.texts == ["a <*>", "b <*>"]
    assert templates.ids(np.empty(0, dtype=np.uint64)).dtype == np.int32


def test_nothing_learnt():
    assert ids(Templates(), b"a\nb\n") == [0, 0]
    assert learn(Templates(), b"") == []


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8), max_size=5), st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_any_chunks_as_a_dict_numbers_them(chunks, limit):
    templates, known, overflow = Templates(limit), {}, 0
    for chunk in chunks:
        expected = []
        for line in chunk:
            if line not in known and len(known) < limit:
                known[line] = len(known)
            expected.append(known.get(line, limit))
            overflow += line not in known
        assert learn(templates, "".join(f"{line}\n" for line in chunk).encode()) == expected
    assert templates.texts == list(known)
    assert templates.overflow == overflow


def test_state_survives_json_and_back():
    templates = Templates(max_templates=2)
    learn(templates, "é 1\n\xff\nthird\n".encode())
    state = templates.state()
    hashes = state.pop("hashes")
    again = Templates.from_state(json.loads(json.dumps(state)) | {"hashes": hashes})
    assert (again.texts, again.max_templates, again.overflow) == (templates.texts, 2, 1)
    assert ids(again, "third\né 5\n".encode()) == [2, 0]


def test_state_is_a_copy():
    templates = Templates()
    learn(templates, b"a\n")
    templates.state()["hashes"][:] = 0
    assert ids(templates, b"a\n") == [0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hashes": np.zeros(1, dtype=np.uint64)}, "expected uint64"),
        ({"hashes": np.zeros(2, dtype=np.int64)}, "expected uint64"),
        ({"hashes": np.zeros(2, dtype=np.uint64)}, "a hash twice"),
        ({"mask_rule": 0}, "masking rule 0"),
    ],
)
def test_damaged_state(change, text):
    templates = Templates()
    learn(templates, b"a\nb\n")
    with pytest.raises(InputError, match=text):
        Templates.from_state(templates.state() | change)


def test_state_that_lacks_something():
    state = Templates().state()
    del state["texts"], state["hashes"]
    with pytest.raises(InputError, match="lack hashes, texts"):
        Templates.from_state(state)
