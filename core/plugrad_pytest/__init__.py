"""What pytest finds by itself: the fixture `plugrad_conformance`.

A package of its own, since pytest imports it at every start, and plugrad would come with NumPy and all its ops.

def test_it_conforms(plugrad_conformance):
    plugrad_conformance("my-package")      # or a class, or an instance
"""

import pytest


@pytest.fixture
def plugrad_conformance():
    """Check a plugin by its name, or a layer, loss, optimizer, initializer, schedule or op by itself."""

    def check(thing):
        __tracebackhide__ = True
        from plugrad.testing.plugin import check_any

        try:
            return check_any(thing)
        except AssertionError as error:
            pytest.fail(str(error), pytrace=False)

    return check
