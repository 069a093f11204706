"""Names and signatures from source; what cannot be told is unknown, never guessed."""

import inspect
import sys

import pytest

from clinical_t5x.launch import symbols
from clinical_t5x.launch.symbols import MissingNameError, resolve

SOURCE = """
import os.path
import dataclasses as dc
from .inner import Base as RenamedBase, helper
from . import inner
from .stars import *
try:
    from .inner import Fast
except ImportError:
    Fast = None

alias = inner.Base
computed = make()

def function(a, b=1, *, c, d=2): ...
def open_ended(a, **options): ...

class Plain: pass
class WithInit(Plain):
    def __init__(self, x, y=1): ...
    def method(self, m, n=0): ...
    @staticmethod
    def static(s): ...
class Inherits(WithInit): pass
class Foreign(Exception): pass
@dc.dataclass(frozen=True)
class Data:
    needed: int
    count: int = 1
    hidden: int = dc.field(init=False, default=0)
@dc.dataclass
class MoreData(Data):
    more: str = ""
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "sym_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(SOURCE)
    (folder / "inner.py").write_text(
        "def helper(h): ...\nclass Base:\n    def __init__(self, base): ...\nclass Fast: ...\n"
        "raise RuntimeError('imported')"
    )
    (folder / "stars.py").write_text("def starred(q): ...\n")
    (folder / "lazy.py").write_text("def __getattr__(name): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    symbols.forget()
    yield "sym_package"
    assert "sym_package" not in sys.modules
    symbols.forget()


@pytest.mark.parametrize(
    ("name", "kind", "parameters", "required"),
    [
        ("function", "function", ("a", "b", "c", "d"), ("a", "c")),
        ("helper", "function", ("h",), ("h",)),
        ("inner.helper", "function", ("h",), ("h",)),
        ("starred", "function", ("q",), ("q",)),
        ("Plain", "class", (), ()),
        ("WithInit", "class", ("x", "y"), ("x",)),
        ("WithInit.method", "function", ("m", "n"), ("m",)),
        ("WithInit.static", "function", ("s",), ("s",)),
        ("Inherits", "class", ("x", "y"), ("x",)),
        ("Inherits.method", "function", ("m", "n"), ("m",)),
        ("RenamedBase", "class", ("base",), ("base",)),
        ("alias", "class", ("base",), ("base",)),
        ("Fast", "class", (), ()),
        ("Data", "class", ("needed", "count"), ("needed",)),
        ("MoreData", "class", ("needed", "count", "more"), ("needed",)),
    ],
)
def test_signatures_are_read_from_source(package, name, kind, parameters, required):
    symbol = resolve(package, tuple(name.split(".")))
    assert symbol.kind == kind
    assert symbol.signature.parameters == parameters
    assert symbol.signature.required == required


def test_keyword_arguments_leave_the_signature_open(package):
    assert resolve(package, ("open_ended",)).signature.open_ended


def test_reexport_has_the_identity_of_its_definition(package):
    names = ("RenamedBase", "alias", "inner.Base")
    identities = {resolve(package, tuple(name.split("."))).identity for name in names}
    assert identities == {"sym_package.inner:Base"}


@pytest.mark.parametrize("name", ["computed", "lazy.anything", "Foreign.method"])
def test_what_source_cannot_tell_is_unknown(package, name):
    assert resolve(package, tuple(name.split("."))).kind == "unknown"


def test_class_with_unreadable_base_has_no_signature(package):
    assert resolve(package, ("Foreign",)).signature is None


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("functoin", "sym_package"),
        ("inner.nothing", "sym_package.inner"),
        ("WithInit.metod", "class WithInit"),
    ],
)
def test_missing_name_says_who_lacks_it(package, name, owner):
    with pytest.raises(MissingNameError) as caught:
        resolve(package, tuple(name.split(".")))
    assert caught.value.owner == owner


def test_missing_module_is_missing():
    with pytest.raises(MissingNameError):
        resolve("no_such_package_at_all", ())


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("clinical_t5x.models.config", "T5Config"),
        ("clinical_t5x.training.config", "DatasetConfig"),
        ("clinical_t5x.training.train", "train"),
        ("clinical_t5x.training.optimizer", "Adafactor"),
        ("clinical_t5x.models.encoder_decoder", "EncoderDecoderModel"),
        ("clinical_t5x.partitioning", "PjitPartitioner"),
    ],
)
def test_agrees_with_inspect_on_our_own_classes(module, name):
    """The static reading against what Python says once the module is imported."""
    import importlib

    real = inspect.signature(getattr(importlib.import_module(module), name))
    read = resolve(module, (name,)).signature
    assert read.parameters == tuple(real.parameters)
    needed = [p.name for p in real.parameters.values() if p.default is inspect.Parameter.empty]
    assert read.required == tuple(needed)
