import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from plugrad import hookspecs
from plugrad.commands import command
from plugrad.errors import InputError, LookupFailed, PluginError, PlugradError
from plugrad.hookspecs import hookimpl
from plugrad.op import OPS
from plugrad.plugin_check import KINDS
from plugrad.plugins import Registry, registry


@dataclass
class Dense:
    units: int
    use_bias: bool = True

    def __post_init__(self):
        if self.units < 1:
            raise ValueError(f"units must be at least 1,\ngot {self.units}")


class Other:
    pass


class FakeEntryPoint:
    def __init__(self, name, plugin, distribution="plugrad", version="1.2", group="plugrad"):
        self.name, self.plugin, self.group = name, plugin, group
        self.dist = SimpleNamespace(name=distribution, version=version)
        self.loads = 0

    def load(self):
        self.loads += 1
        if isinstance(self.plugin, BaseException):
            raise self.plugin
        return self.plugin


def plugin_of(**offers):
    """Return an object with a marked hook `register_<kind>` for each kind, which returns what is given."""
    hooks = {f"register_{kind}": hookimpl(_returning(f"register_{kind}", offer)) for kind, offer in offers.items()}
    return SimpleNamespace(**hooks)


def _returning(name, offer):
    def hook():
        if isinstance(offer, BaseException):
            raise offer
        return offer

    hook.__name__ = name
    return hook


def loaded(*entry_points, **environ):
    return Registry(entry_points, environ)


GOOD = FakeEntryPoint("layers", plugin_of(layers={"Dense": Dense, "Conv": Other}))


def only_failure(plugin, distribution="plugrad-odd", good=GOOD):
    """Return the failure of a plugin, after checking that another works and that nothing of it is left."""
    found = loaded(FakeEntryPoint("odd", plugin, distribution), good)
    [failure] = found.failures
    assert (failure.name, failure.distribution, failure.version) == ("odd", distribution, "1.2")
    assert "\n" not in failure.reason
    assert failure.traceback
    assert [p.name for p in found.plugins] == ["layers"]
    assert found.names("layers") == ["Conv", "Dense"]
    assert not any(found.names(kind) for kind in KINDS if kind != "layers")
    assert [name for name, _ in found._manager.list_name_plugin()] == ["plugrad:layers"]
    found._manager.check_pending()
    return failure


def test_every_hookspec_has_a_docstring_and_is_collected():
    specs = {name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, "plugrad_spec")}
    assert set(specs) == {f"register_{kind}" for kind in KINDS}
    assert all(hook.__doc__ and hook.__doc__.startswith("Return name -> ") for hook in specs.values())
    offers = {kind: {f"my.{kind}": Other} for kind in KINDS}
    offers["commands"] = {"my.commands": command("a:b", help="Do it.")}
    offers["ops"] = {"my.ops": OPS["exp"]}
    found = loaded(FakeEntryPoint("all", plugin_of(**offers), "plugrad-my"))
    assert found.failures == []
    assert {kind: found.names(kind) for kind in KINDS} == {kind: [f"my.{kind}"] for kind in KINDS}
    assert set(found.plugins[0].hooks) == set(specs)


def test_nothing_is_imported_before_the_first_look_up_and_only_once():
    point = FakeEntryPoint("layers", plugin_of(layers={"Dense": Dense}))
    found = loaded(point)
    assert point.loads == 0
    assert found.get("layers", "Dense") is Dense
    found.names("losses")
    assert point.loads == 1


def test_the_process_has_one_registry():
    assert registry() is registry()


@pytest.mark.parametrize("error", [ImportError("no module\nhere"), SystemExit(3), MemoryError()])
def test_a_plugin_that_fails_to_import_is_named(error):
    failure = only_failure(error)
    assert failure.hook is None
    assert failure.reason.startswith(f"cannot be imported: {type(error).__name__}")
    assert type(error).__name__ in failure.traceback


def test_an_interrupt_is_no_failure_of_a_plugin_and_the_next_look_up_goes_on():
    point = FakeEntryPoint("b", KeyboardInterrupt())
    found = loaded(GOOD, point, FakeEntryPoint("z", plugin_of(losses={"Mean": Other})))
    with pytest.raises(KeyboardInterrupt):
        found.names("layers")
    point.plugin = plugin_of(losses={"Sum": Other})
    assert found.names("losses") == ["Mean", "Sum"]
    assert found.names("layers") == ["Conv", "Dense"]
    assert found.failures == []


def test_a_hook_that_raises_undoes_the_hooks_before_it():
    failure = only_failure(plugin_of(layers={"odd.Fine": Other}, losses=ValueError("bad\nluck")))
    assert failure.hook == "register_losses"
    assert failure.reason == "register_losses failed: ValueError: bad luck"
    assert "in hook" in failure.traceback


def test_a_misspelt_hook_is_named_with_the_nearest():
    failure = only_failure(plugin_of(layers={"odd.Fine": Other}, layer={"odd.Lost": Other}))
    assert failure.hook == "register_layer"
    assert failure.reason == "has an unknown hook 'register_layer'; did you mean 'register_layers'?"


def test_a_hook_with_an_argument_is_refused():
    failure = only_failure(SimpleNamespace(register_layers=hookimpl(lambda registry: {})))
    assert failure.hook == "register_layers"
    assert "'registry'" in failure.reason


def test_a_hook_without_the_mark_is_refused():
    failure = only_failure(SimpleNamespace(register_layers=lambda: {"odd.Fine": Other}))
    assert failure.reason == "register_layers is not marked with @plugrad.hookimpl"


@pytest.mark.parametrize("plugin", [SimpleNamespace(), None, 3])
def test_a_plugin_without_hooks_is_refused(plugin):
    assert "without any hook" in only_failure(plugin).reason


class BrokenMapping(dict):
    def items(self):
        raise RuntimeError("no items")


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        (None, "returned None; a mapping of names was expected"),
        ([Other], "a mapping of names was expected"),
        ({3: Other}, "returned the name 3; text was expected"),
        ({"odd.Fine": 3}, "returned 3 as 'odd.Fine'; a class or function was expected"),
        ({"Bare": Other}, "bare names are kept for plugrad itself"),
        ({"odd.": Other}, 'the form "package.Name" was expected'),
        ({"odd.\x1b[31m": Other}, "returned the name 'odd.\\x1b[31m'"),
        (BrokenMapping(), "RuntimeError: no items"),
    ],
)
def test_a_hook_that_returns_something_else_is_refused(offer, reason):
    failure = only_failure(plugin_of(layers=offer))
    assert failure.hook == "register_layers"
    assert reason in failure.reason


def test_plugrads_own_plugins_use_bare_names_only():
    assert "a bare word was expected" in only_failure(plugin_of(losses={"my.Loss": Other}), "plugrad").reason


def test_a_command_that_is_only_a_function_is_refused():
    assert "plugrad.command(...) was expected" in only_failure(plugin_of(commands={"odd.run": print})).reason


def test_a_name_registered_twice_names_both_plugins_and_keeps_the_first():
    second = FakeEntryPoint("more", plugin_of(layers={"b.X": Other, "a.X": Other}), "plugrad-b", "2.0")
    first = FakeEntryPoint("some", plugin_of(layers={"a.X": Dense}), "plugrad-a", "1.0")
    found = loaded(second, first)
    assert found.get("layers", "a.X") is Dense
    assert found.names("layers") == ["a.X"]
    [failure] = found.failures
    assert failure.hook == "register_layers"
    for part in ("'a.X'", "plugin 'some' (plugrad-a 1.0)", "plugin 'more' (plugrad-b 2.0)"):
        assert part in failure.reason


def test_the_same_object_under_two_entry_points_is_refused_once():
    found = loaded(GOOD, FakeEntryPoint("again", GOOD.plugin))
    assert [p.name for p in found.plugins] == ["again"]
    assert "same object as plugin 'again' (plugrad 1.2)" in found.failures[0].reason


def test_the_order_of_loading_does_not_depend_on_the_order_of_discovery():
    names = [("plugrad", "b"), ("plugrad", "c"), ("aaa", "z"), ("zzz", "a"), ("zzz", "b")]
    points = [FakeEntryPoint(n, plugin_of(losses={}), d) for d, n in names]
    for order in (points, points[::-1]):
        assert [(p.distribution, p.name) for p in loaded(*order).plugins] == names


def test_other_groups_are_left_alone():
    point = FakeEntryPoint("script", ImportError("never"), group="console_scripts")
    assert loaded(point).failures == []
    assert point.loads == 0


def test_a_distribution_without_metadata_still_provides():
    point = FakeEntryPoint("lone", plugin_of(layers={"lone.X": Other}))
    point.dist = None
    assert loaded(point).owner("layers", "lone.X") == ("lone", None, None)


def test_a_plugin_may_look_things_up_while_it_is_imported():
    seen = []

    class Curious(FakeEntryPoint):
        def load(self):
            seen.extend(found.names("layers"))
            return super().load()

    found = loaded(GOOD, Curious("curious", plugin_of(losses={"my.L": Other}), "plugrad-my"))
    assert found.names("losses") == ["my.L"]
    assert seen == ["Conv", "Dense"]


@pytest.mark.parametrize("asked", ["Dens", "dense", "DENSE", "my.Dense"])
def test_a_failed_look_up_says_what_exists_and_the_nearest_spelling(asked):
    with pytest.raises(LookupFailed) as caught:
        loaded(GOOD).get("layers", asked)
    assert str(caught.value) == f"no layer '{asked}'; did you mean 'Dense'? Registered layers: Conv, Dense."


def test_a_failed_look_up_finds_a_dotted_name_by_its_end_and_names_the_broken_plugin():
    found = loaded(
        FakeEntryPoint("norm", plugin_of(layers={"rmsnorm.RMSNorm": Other}), "plugrad-norm"),
        FakeEntryPoint("bad", ImportError("gone"), "plugrad-bad", "3.1"),
    )
    with pytest.raises(LookupFailed) as caught:
        found.get("layers", "RMSnorm")
    assert "did you mean 'rmsnorm.RMSNorm'?" in str(caught.value)
    note = "Note: plugin 'bad' (plugrad-bad 3.1) failed to load: cannot be imported: ImportError: gone."
    assert str(caught.value).endswith(note)


@pytest.mark.parametrize("asked", ["zzz", 3, None, ["Dense"], "x" * 100_000])
def test_any_value_can_be_looked_up_in_vain(asked):
    with pytest.raises(LookupFailed) as caught:
        loaded(GOOD).get("layers", asked)
    assert "did you mean" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_an_unknown_kind_is_a_failed_look_up():
    with pytest.raises(LookupFailed, match="no kind 'layer'; did you mean 'layers'"):
        loaded(GOOD).names("layer")


def test_name_of_and_owner():
    found = loaded(GOOD)
    assert found.name_of("layers", Dense) == "Dense"
    assert found.owner("layers", "Dense") == ("layers", "plugrad", "1.2")
    with pytest.raises(LookupFailed, match="FakeEntryPoint is not registered as a layer"):
        found.name_of("layers", FakeEntryPoint)
    with pytest.raises(LookupFailed):
        found.owner("layers", "Dens")


def test_create_takes_an_instance_a_name_or_a_mapping():
    found = loaded(GOOD)
    layer = Dense(3)
    assert found.create("layers", layer) is layer
    assert isinstance(found.create("layers", "Conv"), Other)
    spec = {"name": "Dense", "units": 4}
    assert found.create("layers", spec) == Dense(4)
    assert spec == {"name": "Dense", "units": 4}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"name": "Dense", "unit": 4}, "no field 'unit'; did you mean 'units'? (its fields: units, use_bias)"),
        ({"name": "Dense", "units": 4, 3: 1}, "no field 3 (its fields: units, use_bias)"),
        ("Dense", "layer 'Dense' needs the field 'units'"),
        ({"name": "Conv", "x": 1}, "no field 'x' (it has no fields)"),
        ({"name": "Dense", "units": 0}, "refuses its fields: ValueError: units must be at least 1, got 0"),
        ({"name": "Dense", "units": "many"}, "refuses its fields: TypeError"),
        ({"units": 3}, "the name is missing"),
    ],
)
def test_create_says_in_one_line_what_is_wrong_with_the_fields(spec, text):
    with pytest.raises(InputError) as caught:
        loaded(GOOD).create("layers", spec)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_create_lets_plugrads_own_errors_pass():
    def refuse():
        raise PlugradError("as it is")

    found = loaded(FakeEntryPoint("a", plugin_of(layers={"Refuse": refuse})))
    with pytest.raises(PlugradError, match=r"^as it is$"):
        found.create("layers", "Refuse")


def test_a_plugin_registered_by_hand_comes_and_goes():
    found = loaded(GOOD)
    mine = plugin_of(layers={"my.Layer": Other})
    assert found.register(mine, "mine").hooks == ("register_layers",)
    with pytest.raises(PluginError, match="registered already"):
        found.register(plugin_of(losses={"my.L": Other}), "mine")
    found.unregister("mine")
    assert found.names("layers") == ["Conv", "Dense"]
    found.register(mine, "mine")
    assert found.get("layers", "my.Layer") is Other
    with pytest.raises(PluginError, match=r"'yours' .of no distribution. is not registered"):
        found.unregister("yours")


def test_a_broken_plugin_registered_by_hand_raises_with_its_cause():
    found = loaded(GOOD)
    error = ValueError("bad")
    with pytest.raises(PluginError, match=r"plugin 'mine' .* register_layers failed: ValueError: bad") as caught:
        found.register(plugin_of(layers=error), "mine")
    assert caught.value.__cause__ is error
    with pytest.raises(PluginError, match=r"'Dense' of plugin 'mine' \(plugrad.*taken by plugin 'layers'"):
        found.register(plugin_of(layers={"Dense": Other}), "mine", distribution="plugrad")
    assert found.failures == []
    assert found.get("layers", "Dense") is Dense


def other_plugins():
    return [FakeEntryPoint(n, plugin_of(layers={f"{n}.L": Other}), f"plugrad-{n}") for n in ("a", "b", "c")]


@pytest.mark.parametrize(("listed", "names"), [("a, c", ["a", "c"]), ("", []), (",", []), ("layers,b", ["b"])])
def test_plugrad_plugins_limits_what_is_loaded(listed, names):
    points = other_plugins()
    found = loaded(GOOD, *points, PLUGRAD_PLUGINS=listed)
    assert [p.name for p in found.plugins] == ["layers", *names]
    assert found.failures == []
    assert [p.name for p in points if p.loads] == names


def test_a_misspelt_plugrad_plugins_is_a_failure():
    [failure] = loaded(GOOD, *other_plugins(), PLUGRAD_PLUGINS="layer").failures
    expected = "PLUGRAD_PLUGINS names it, but no plugin of this name is installed; did you mean 'layers'?"
    assert failure.reason == expected


def test_strict_plugins_makes_the_first_failure_an_error_of_every_look_up():
    after = FakeEntryPoint("z", plugin_of(layers={"z.L": Other}), "plugrad-z")
    found = loaded(GOOD, FakeEntryPoint("bad", ImportError("gone"), "plugrad-a"), after, PLUGRAD_STRICT_PLUGINS="1")
    for look_up in (lambda: found.get("layers", "Dense"), lambda: found.plugins, lambda: found.names("losses")):
        with pytest.raises(PluginError, match=r"plugin 'bad' .* ImportError: gone .PLUGRAD_STRICT_PLUGINS is set."):
            look_up()
    assert after.loads == 0


@pytest.mark.parametrize("value", ["", "0"])
def test_strict_plugins_can_be_off(value):
    found = loaded(GOOD, FakeEntryPoint("bad", ImportError("gone")), PLUGRAD_STRICT_PLUGINS=value)
    assert found.get("layers", "Dense") is Dense


def test_installed_distributions_are_found(tmp_path, monkeypatch):
    info = tmp_path / "plugrad_real-4.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugrad-real\nVersion: 4.2\n")
    (info / "entry_points.txt").write_text("[plugrad]\nreal = plugrad_real_for_test\n")
    code = "from plugrad.hookspecs import hookimpl\n@hookimpl\ndef register_layers():\n    return {'real.L': object}\n"
    (tmp_path / "plugrad_real_for_test.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        found = Registry(environ={"PLUGRAD_PLUGINS": "real"})
        assert found.owner("layers", "real.L") == ("real", "plugrad-real", "4.2")
    finally:
        sys.modules.pop("plugrad_real_for_test", None)


@pytest.mark.parametrize(("target", "help"), [("a.b", "x"), ("a:b c", "x"), ("", "x"), ("a:b", ""), ("a:b", "x\ny")])
def test_a_lazy_command_has_a_place_and_one_line_of_help(target, help):
    with pytest.raises(PluginError):
        command(target, help=help)
