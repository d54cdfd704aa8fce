import io
import json
import os
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugrad.errors import InputError
from plugrad.files import atomic_write, is_special, parse_json, refuse_existing, shown


def write(path, content):
    with atomic_write(path) as file:
        file.write(content)


def test_the_content_replaces_the_file_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "out.csv"
    write(target, b"one")
    write(target, b"two" * 1_000_000)
    assert target.read_bytes() == b"two" * 1_000_000
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_name_without_folder_is_written_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("out", b"x")
    assert (tmp_path / "out").read_bytes() == b"x"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError, SystemExit, OSError, GeneratorExit])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_exception_in_the_middle_keeps_the_old_file(tmp_path, failure, old):
    target = tmp_path / "out"
    if old is not None:
        target.write_bytes(old)

    def stopped():
        with atomic_write(target) as file:
            file.write(b"new" * 1_000_000)
            raise failure

    with pytest.raises(failure) as caught:
        stopped()
    assert not isinstance(caught.value, InputError)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if old is None else [old])


def test_an_exception_while_replacing_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "out"
    target.write_bytes(b"old")

    def refuse(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(KeyboardInterrupt):
        write(target, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_a_text_wrapper_may_close_the_file(tmp_path):
    with atomic_write(tmp_path / "out") as file, io.TextIOWrapper(file, encoding="utf-8") as text:
        text.write("é")
    assert (tmp_path / "out").read_bytes() == "é".encode()


def test_permissions_of_the_old_file_are_kept_and_of_a_new_one_follow_the_umask(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"")
    old.chmod(0o640)
    write(old, b"x")
    before = os.umask(0o027)
    try:
        write(new, b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o640


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    link.symlink_to(target)
    write(link, b"x")
    assert link.is_symlink()
    assert target.read_bytes() == b"x"
    assert os.listdir(tmp_path / "folder") == ["target"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/out", "no such file or folder"),
        ("file/out", "a part of the path is not a folder"),
        ("folder", "is a folder"),
        ("n" * 300, "the name is too long"),
        ("circle", "circle"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_with_a_reason(tmp_path, name, reason):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(InputError) as caught:
        write(tmp_path / name, b"x")
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert reason in str(caught.value)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_the_longest_possible_name_is_written(tmp_path):
    write(tmp_path / ("n" * 255), b"x")
    assert os.listdir(tmp_path) == ["n" * 255]


@pytest.mark.parametrize("mode", [0o400, 0o000])
def test_a_write_protected_file_is_not_replaced(tmp_path, mode, monkeypatch):
    target = tmp_path / "out"
    target.write_bytes(b"old")
    target.chmod(mode)
    # The super-user may write everything; the answer of the system is what counts here.
    monkeypatch.setattr(os, "access", lambda path, _: bool(os.stat(path).st_mode & 0o200))
    with pytest.raises(InputError, match="write-protected"):
        write(target, b"new")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("size", [1, 10_000_000])
def test_a_full_disk_is_an_input_error(size):
    with pytest.raises(InputError, match="/dev/full: the disk is full"):
        write("/dev/full", b"x" * size)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_does_not_hide_what_stopped_the_block():
    def stopped():
        with atomic_write("/dev/full") as file:
            file.write(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()


def test_a_failed_read_in_the_block_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "out"):
        (tmp_path / "missing").read_bytes()


def test_special_files_are_written_directly(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    write(fifo, b"x" * 100_000)
    reader.join(10)
    write("/dev/null", b"x")
    assert got == [b"x" * 100_000]
    assert is_special(fifo)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert os.listdir(tmp_path) == ["fifo"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_keeps_what_others_wrote_to_it(tmp_path, name):
    code = (
        "import os; from plugrad.files import *; os.write(1, b'before ')\n"
        f"refuse_existing({name!r}, False)\n"
        f"with atomic_write({name!r}) as f: f.write(b'content ')\n"
        "os.write(1, b'after')"
    )
    with open(tmp_path / "out", "wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_bytes() == b"before content after"


def test_a_reader_that_went_away_is_an_input_error():
    code = (
        "import sys; from plugrad.files import *\n"
        "try:\n"
        "    with atomic_write('/dev/stdout') as f: f.write(bytes(1 << 22))\n"
        "except InputError as error: print(error, file=sys.stderr)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdout.close()
    assert run.stderr.read() == b"/dev/stdout: its reader has gone away\n"
    run.stderr.close()
    assert run.wait() == 0


def test_existing_files_are_refused_unless_forced(tmp_path):
    target, dangling = tmp_path / "out", tmp_path / "link"
    refuse_existing(target, force=False)
    target.write_bytes(b"")
    dangling.symlink_to(tmp_path / "nowhere")
    for path in (target, dangling):
        with pytest.raises(InputError, match="exists; give --force to replace it"):
            refuse_existing(path, force=False)
        refuse_existing(path, force=True)
    refuse_existing("/dev/null", force=False)
    with pytest.raises(InputError, match="is a folder"):
        refuse_existing(tmp_path, force=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' twice"),
        (b"NaN", "no finite number"),
        (b"[-Infinity]", "no finite number"),
        (b"1e999", "no finite number"),
        (b"18446744073709551616", "more than 64 bits"),
        (b"-9223372036854775809", "more than 64 bits"),
        (b"1" * 1_000_000, "more than 64 bits"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" * 65 + b"]" * 65, "nested deeper"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper"),
        (b'"\\\\' + b'", ' + b"[" * 1000, "nested deeper"),
        (b"]" * 1000 + b"[" * 1000, "damaged"),
        (b'"' + b"[" * 1000, "damaged"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b"\xef\xbb\xbf{}", "damaged"),
        (b"", "damaged"),
        (b"{} {}", "damaged"),
        (b'{"a": 1,}', "damaged"),
    ],
)
def test_json_that_readers_treat_differently_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        parse_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_json_within_the_limits_is_read():
    assert parse_json(b"[" * 64 + b"]" * 64)
    assert parse_json(b'"' + b"[{" * 1000 + b'"') == "[{" * 1000
    assert parse_json(b'["\\"[[", "\\\\", 18446744073709551615, -0.5e3]') == ['"[[', "\\", 2**64 - 1, -500.0]


def test_hostile_quotes_are_scanned_in_linear_time():
    with pytest.raises(ValueError, match="damaged"):
        parse_json(b'"' + b'\\"' * 1_000_000)


@given(st.text(alphabet='[]{}"\\,:1 ', max_size=200))
def test_any_text_gives_a_value_or_a_value_error(text):
    try:
        value = parse_json(text.encode())
    except ValueError:
        return
    assert value == json.loads(text)  # stricter than the library, and otherwise the same


def test_values_in_messages_are_short_and_printable():
    assert shown("a\nb\ud800é") == r"'a\nb\ud800\xe9'"
    assert len(shown("x" * 1000)) == 80
