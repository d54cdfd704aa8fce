"""docs/plugins.md, run block by block: what it says is printed is printed."""

import re
import subprocess
import sys

import pytest
from distributions import ROOT, run

TEXT = (ROOT / "docs" / "plugins.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def followed(language):
    """[(block, what is shown below it or None)] of a language."""
    pairs = zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True)
    return [(text, below if kind == "text" else None) for (name, text), (kind, below) in pairs if name == language]


def test_every_block_is_of_a_kind_that_is_run():
    assert {language for language, _ in BLOCKS} == {"bash", "python", "text"}
    assert TEXT.count("```") == 2 * len(BLOCKS)


def test_the_python_blocks_print_what_stands_below_them(tmp_path):
    blocks = followed("python")
    script = "".join(f"{text}\nprint('-- end of block')\n" for text, _ in blocks)
    (tmp_path / "tutorial.py").write_text(script)  # a file: kernels are kept by it
    status, out, err = run(["tutorial.py"], tmp_path, cwd=tmp_path)
    assert status == 0, err[-3000:]
    printed = out.split("-- end of block\n")[:-1]
    for (text, shown), got in zip(blocks, printed, strict=True):
        assert got == (shown or ""), text


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A virtual environment that sees this one's packages, plugrad's sources, and what is installed into it."""
    import sysconfig
    import venv

    from distributions import PARTS

    folder = tmp_path_factory.mktemp("tutorial")
    venv.create(folder / "venv", with_pip=False)
    [site] = (folder / "venv" / "lib").glob("python*/site-packages")
    paths = [*PARTS, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (site / "paths.pth").write_text("\n".join(paths) + "\n")
    binaries = folder / "venv" / "bin"
    for name, module in (("plugrad", "plugrad"), ("pytest", "pytest")):
        (binaries / name).write_text(f'#!/bin/sh\nexec "{binaries}/python" -P -m {module} "$@"\n')
        (binaries / name).chmod(0o755)
    # Offline: the dependencies are there already.
    pip = f'"{sys.executable}" -m pip --python "{binaries}/python" --disable-pip-version-check --quiet'
    (binaries / "pip").write_text(f'#!/bin/sh\nshift\nexec {pip} install --no-deps --no-build-isolation "$@"\n')
    (binaries / "pip").chmod(0o755)
    return folder


def test_the_shell_blocks_run_as_they_stand(installed):
    import os

    environ = {**os.environ, "PATH": f"{installed / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environ.pop("PYTHONPATH", None)
    for text, shown in followed("bash"):
        done = subprocess.run(
            ["sh", "-e", "-c", text], cwd=installed, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        assert done.stdout.endswith(shown or ""), text
