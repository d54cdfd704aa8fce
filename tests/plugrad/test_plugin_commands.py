"""`plugrad plugins`: list, show, check, new."""

import json

import pytest
from installed import install, layer_source, run

from plugrad.cli import main

WRONG = '''
from dataclasses import dataclass
import plugrad as pg

@dataclass
class Wrong(pg.Layer):
    """It empties what it is given."""

    factor: float = 2.0

    def forward(self, x):
        result = x * self.factor
        x.data[...] = 0
        return result

@pg.hookimpl
def register_layers():
    return {"wrong.Wrong": Wrong}
'''


@pytest.fixture
def folder(tmp_path):
    install(tmp_path, "good", layer_source("good", 'plugrad_contract = ">=1.0"'), version="2.5")
    install(tmp_path, "wrong", WRONG)
    install(tmp_path, "broken", "import nowhere_at_all")
    return tmp_path


def test_list_by_kind(capsys):
    assert main(["plugins", "list", "--kind", "optimizer", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in rows} == {"optimizer"}
    assert {"Adam", "SGD"} <= {row["name"] for row in rows}


def test_show_tells_what_is_known(capsys):
    assert main(["plugins", "show", "Huber"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Huber: loss of plugrad")
    assert "plugrad_losses/regression.py:" in text
    assert "delta" in text
    assert '{"name": "Huber"}' in text
    assert main(["plugins", "show", "Huber", "--json"]) == 0
    [about] = json.loads(capsys.readouterr().out)
    assert about["fields"] == [{"name": "delta", "type": "float", "default": "1.0"}]


def test_show_of_a_stranger_and_of_its_plugin(folder):
    status, out, _ = run(folder, "plugins", "show", "good.Twice")
    assert status == 0
    assert out.startswith("good.Twice: layer of good 2.5 (plugin 'good')")
    assert str(folder / "good.py") in out
    status, out, _ = run(folder, "plugins", "show", "broken")
    assert status == 0
    assert "broken failed: cannot be imported: ModuleNotFoundError" in out


def test_check_tells_what_is_right_and_wrong(folder):
    status, out, err = run(folder, "plugins", "check", "good")
    assert (status, out) == (0, "ok      layer good.Twice\n")
    assert err == ""  # no terminal
    status, out, _ = run(folder, "plugins", "check", "wrong.Wrong", "--json")
    report = json.loads(out)
    assert status == 1
    assert "it wrote into its input" in report["checked"][0]["message"]
    assert any("does not say which contract" in remark for remark in report["remarks"])
    status, out, _ = run(folder, "plugins", "check", "broken")
    assert status == 1
    assert out.startswith("FAILED  plugin broken\n")


def test_check_of_built_ins_by_name(capsys):
    assert main(["plugins", "check", "Signum"]) == 2
    assert "no plugin, distribution or registered name 'Signum'" in capsys.readouterr().err
    assert main(["plugins", "check", "MSE"]) == 0
    assert capsys.readouterr().out == "ok      loss MSE\n"


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["show", "Dens"], 2, "nothing is registered as 'Dens'; did you mean 'Dense'?"),
        (["show", "Dense", "--kind", "loss"], 2, "no loss 'Dense'"),
        (["show", "\x1b[2J"], 2, "nothing is registered as"),
        (["check", "nothing.Here"], 2, "no plugin, distribution or registered name"),
        (["list", "--kind", "nothing"], 2, "--kind"),
    ],
)
def test_wrong_use_is_said_in_a_line(arguments, status, text, capsys):
    assert main(["plugins", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err.splitlines()[0]
    assert "\x1b" not in err
