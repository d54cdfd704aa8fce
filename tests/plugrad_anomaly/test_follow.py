"""Following a file through everything that log rotation does to it."""

import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugrad.errors import InputError
from plugrad_anomaly.follow import SETTLED_SECONDS, Follower

STEPS = ("append", "half", "rename", "truncate", "both", "resume", "missing")


def lines_of(chunks):
    return [line for chunk in chunks for line in chunk.data.tobytes().splitlines()]


class Log:
    """A log file that is written to and rotated, and every whole line that was ever in it."""

    def __init__(self, path):
        self.path, self.number, self.rotated, self.open = path, 0, 0, b""
        self.path.write_bytes(b"")
        self.lines = []

    def append(self):
        self.number += 1
        with self.path.open("ab") as file:
            file.write(b"line %d\n" % self.number)
        self.lines.append(self.open + b"line %d" % self.number)
        self.open = b""

    def half(self):
        with self.path.open("ab") as file:
            file.write(b"half ")
        self.open += b"half "

    def rename(self, new=True):
        self.rotated += 1
        os.rename(self.path, f"{self.path}.{self.rotated}")
        if self.open:
            self.lines.append(self.open)
            self.open = b""
        if new:
            self.path.write_bytes(b"")

    def truncate(self):
        os.truncate(self.path, 0)
        self.open = b""


def last_line(data):
    """Where the last of some whole lines begins: a boundary that has it wait."""
    return data.tobytes().rfind(b"\n", 0, data.size - 1) + 1


@given(steps=st.lists(st.sampled_from(STEPS), max_size=14), boundary=st.sampled_from([None, last_line]))
@example(steps=["append", "rename", "append", "resume", "truncate", "append"], boundary=None)
@example(steps=["append", "truncate", "append", "append", "resume", "append", "truncate"], boundary=last_line)
@example(steps=["half", "rename", "append", "resume"], boundary=None)
@settings(max_examples=200, deadline=None)
def test_every_line_is_handed_over_once(steps, boundary, tmp_path_factory):
    log = Log(tmp_path_factory.mktemp("follow") / "app.log")
    follower, found = Follower(log.path, boundary=boundary), []
    for step in steps:
        if step == "both":
            log.rename()
            log.append()
            found += lines_of(follower.poll())
            log.truncate()
        elif step == "missing":
            log.rename(new=False)
            found += lines_of(follower.poll())
            log.path.write_bytes(b"")
        elif step == "resume":
            state = follower.state()
            follower.close()
            log.append()
            log.rename()
            follower = Follower(log.path, state, boundary=boundary)
            assert not follower.lost
        else:
            getattr(log, step)()
        found += lines_of(follower.poll())
    log.append()
    found += lines_of(follower.poll(settled=True))
    follower.close()
    assert found == log.lines


def test_a_record_waits_until_the_file_has_not_grown_for_a_while(tmp_path, monkeypatch):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    log = Log(tmp_path / "app.log")
    follower = Follower(log.path, boundary=last_line)
    log.append()
    for _ in range(2):
        assert (lines_of(follower.poll()), follower.waits) == ([], True)
        now += 0.9 * SETTLED_SECONDS
        log.append()
        assert (lines_of(follower.poll()), follower.waits) == (log.lines[-2:-1], True)
    now += SETTLED_SECONDS
    assert (lines_of(follower.poll()), follower.waits) == (log.lines[-1:], False)
    follower.close()


def test_numbers_and_offsets_begin_anew_with_each_file(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\n")
    follower = Follower(path)
    (chunk,) = follower.poll()
    assert (chunk.offset, chunk.first_line) == (0, 1)
    with path.open("ab") as file:
        file.write(b"three\n")
    (chunk,) = follower.poll()
    assert (chunk.offset, chunk.first_line) == (8, 3)
    os.rename(path, tmp_path / "app.log.1")
    path.write_bytes(b"four\n")
    (chunk,) = follower.poll()
    assert (chunk.offset, chunk.first_line, chunk.data.tobytes()) == (0, 1, b"four\n")


def test_a_file_written_anew_in_place_is_told_by_its_beginning(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"old one\nold two\n")
    follower = Follower(path)
    assert lines_of(follower.poll()) == [b"old one", b"old two"]
    with path.open("r+b") as file:  # longer than before, so its length tells nothing
        file.truncate(0)
        file.write(b"new one\nnew two\nnew three\n")
    assert lines_of(follower.poll()) == [b"new one", b"new two", b"new three"]


def test_the_end_may_be_where_it_begins(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\nhal")
    follower = Follower(path, at_end=True)
    assert follower.poll() == []
    with path.open("ab") as file:
        file.write(b"f\n")
    (chunk,) = follower.poll()
    assert (chunk.first_line, chunk.data.tobytes()) == (3, b"half\n")


def test_a_file_that_cannot_be_found_again_is_counted(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    follower = Follower(path)
    follower.poll()
    state = follower.state()
    follower.close()
    path.unlink()
    path.write_bytes(b"two\n")
    follower = Follower(path, state)
    assert lines_of(follower.poll()) == [b"two"]
    assert follower.lost == 1


def test_long_lines_and_much_text_at_once(tmp_path):
    path = tmp_path / "app.log"
    text = b"x" * 9_000_000 + b"\n" + b"short\n" * 1_000_000
    path.write_bytes(text)
    follower, found = Follower(path), b""
    while chunks := follower.poll():
        found += b"".join(chunk.data.tobytes() for chunk in chunks)
    assert found == text


def test_there_must_be_a_file_to_begin_with(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Follower(tmp_path / "none.log")
    with pytest.raises(InputError, match="is a folder"):
        Follower(tmp_path)
