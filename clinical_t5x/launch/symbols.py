"""What dotted Python names mean, read from source files with `ast`; nothing is imported.

Answers are cautious: where source cannot tell (C modules, module-level `__getattr__`, computed
names), the answer is "unknown" and gin decides later.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class Signature:
    """Parameters by name in order; `open_ended` when a **kwargs takes any name."""

    parameters: tuple[str, ...]
    required: tuple[str, ...] = ()
    open_ended: bool = False


@dataclasses.dataclass(frozen=True)
class Symbol:
    """What a name is.

    kind: "module", "class", "function", or "unknown" where source cannot tell.
    identity: module and qualified name of the definition: equal for a name and its re-export.
    signature: None where it cannot be read.
    """

    kind: str
    identity: str
    signature: Signature | None = None


class MissingNameError(Exception):
    """A name that certainly does not exist: what lacks it, and the names that are there."""

    def __init__(self, owner: str, name: str, existing: Iterable[str]):
        super().__init__(f"{owner} has no {name}")
        self.owner, self.name, self.existing = owner, name, tuple(existing)


@dataclasses.dataclass
class _Module:
    """Source of one module: what its names are bound to, at top level and in if/try blocks."""

    name: str
    is_package: bool
    names: dict[str, ast.AST]
    star_modules: list[str]
    opaque: bool  # a module-level __getattr__ or names computed at import


_UNKNOWN = Symbol("unknown", "")


@dataclasses.dataclass(frozen=True)
class _Definition:
    """Where following imports and aliases of a dotted name ended.

    node: the class or function definition; None for a module.
    rest: attributes that are left: a method's name after a class.
    """

    source: str
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | None
    rest: tuple[str, ...] = ()


def resolve(module: str, attributes: tuple[str, ...]) -> Symbol:
    """The meaning of `module.attributes[0].attributes[1]...`.

    Raises:
      MissingNameError: the module or one of the names certainly does not exist.
    """
    _spec(module)
    found = _follow(module, attributes, frozenset())
    if found is None:
        return _UNKNOWN
    if found.node is None:
        return Symbol("module", found.source)
    identity = f"{found.source}:{found.node.name}"
    if not isinstance(found.node, ast.ClassDef):
        if found.rest:
            return _UNKNOWN
        return Symbol("function", identity, _signature(found.node.args, is_method=False))
    if not found.rest:
        return Symbol("class", identity, _constructor(found))
    return _method(found, identity)


def forget() -> None:
    """Drop what was read, so that changed files and search paths are seen."""
    _module.cache_clear()
    _spec.cache_clear()


def _follow(module: str, attributes: tuple[str, ...], seen: frozenset) -> _Definition | None:
    """Follow a dotted name to a module, class or function; None where source cannot tell."""
    if not attributes:
        return _Definition(module, None)
    source = _module(module)
    if source is None or (module, attributes) in seen:
        return None
    seen = seen | {(module, attributes)}
    name, rest = attributes[0], attributes[1:]
    node = source.names.get(name)
    if node is None:
        return _follow_elsewhere(source, attributes, seen)
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return _Definition(module, node, rest)
    target = _alias_target(source, name, node)
    if target == (module, (name,)):  # `from . import name` in a package: its submodule
        return _follow_elsewhere(source, attributes, seen)
    return _follow(target[0], target[1] + rest, seen) if target else None


def _follow_elsewhere(
    source: _Module, attributes: tuple[str, ...], seen: frozenset
) -> _Definition | None:
    """A name that the module's source does not bind: a submodule, a star import, or missing."""
    name, rest = attributes[0], attributes[1:]
    if source.is_package and _has_submodule(source.name, name):
        return _follow(f"{source.name}.{name}", rest, seen)
    if source.opaque:
        return None
    existing = [known for known in source.names if not known.startswith("_")]
    for star in source.star_modules:
        try:
            return _follow(star, attributes, seen)
        except MissingNameError as error:
            existing.extend(error.existing)
    raise MissingNameError(source.name, name, existing)


def _class_behind(source: str, expression: ast.expr) -> _Definition | None:
    """The class that a base-class expression names, or None where source cannot tell."""
    dotted = ast.unparse(expression).split("[")[0]
    try:
        found = _follow(source, tuple(dotted.split(".")), frozenset())
    except MissingNameError:  # a builtin
        return None
    is_class = found is not None and isinstance(found.node, ast.ClassDef) and not found.rest
    return found if is_class else None


def _method(found: _Definition, identity: str) -> Symbol:
    methods = _methods(found)
    if methods is None or len(found.rest) > 1:
        return _UNKNOWN
    name = found.rest[0]
    if name not in methods:
        raise MissingNameError(f"class {found.node.name}", name, methods)
    is_static = any(ast.unparse(d) == "staticmethod" for d in methods[name].decorator_list)
    signature = _signature(methods[name].args, is_method=not is_static)
    return Symbol("function", f"{identity}.{name}", signature)


def _methods(found: _Definition) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef] | None:
    """Functions of a class and its bases by name; None when a base cannot be read."""
    methods: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    for base in found.node.bases:
        definition = _class_behind(found.source, base)
        inherited = _methods(definition) if definition else None
        if inherited is None:
            return None
        methods.update(inherited)
    for item in found.node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            methods[item.name] = item
    return methods


def _constructor(found: _Definition) -> Signature | None:
    """The signature of calling the class; None where it cannot be read."""
    for item in found.node.body:
        if isinstance(item, ast.FunctionDef) and item.name in ("__init__", "__new__"):
            return _signature(item.args, is_method=True)
    if any("dataclass" in ast.unparse(decorator) for decorator in found.node.decorator_list):
        return _dataclass_signature(found)
    if not found.node.bases:
        return Signature(())
    definition = _class_behind(found.source, found.node.bases[0])
    return _constructor(definition) if definition else None


def _dataclass_signature(found: _Definition) -> Signature | None:
    parameters: dict[str, bool] = {}
    for base in found.node.bases:
        definition = _class_behind(found.source, base)
        inherited = _constructor(definition) if definition else None
        if inherited is None:
            return None
        parameters |= {name: name in inherited.required for name in inherited.parameters}
    for item in found.node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        annotation = ast.unparse(item.annotation)
        value = ast.unparse(item.value) if item.value else ""
        if "ClassVar" in annotation or "KW_ONLY" in annotation or "init=False" in value:
            continue
        parameters[item.target.id] = item.value is None
    required = tuple(name for name, is_required in parameters.items() if is_required)
    return Signature(tuple(parameters), required)


def _signature(arguments: ast.arguments, *, is_method: bool) -> Signature:
    positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    without_default = positional[: len(positional) - len(arguments.defaults)]
    if is_method:
        positional, without_default = positional[1:], without_default[1:]
    keyword = [argument.arg for argument in arguments.kwonlyargs]
    required = [
        name for name, default in zip(keyword, arguments.kw_defaults, strict=True) if not default
    ]
    return Signature(
        tuple(positional + keyword),
        tuple(without_default + required),
        open_ended=arguments.kwarg is not None,
    )


def _alias_target(source: _Module, name: str, node: ast.AST) -> tuple[str, tuple[str, ...]] | None:
    """Where an import or a plain assignment points: a module and names inside it."""
    if isinstance(node, ast.ImportFrom):
        imported = next(a.name for a in node.names if (a.asname or a.name) == name)
        return _absolute(source, node), (imported,)
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname == name:
                return alias.name, ()
        return name, ()
    if isinstance(node, ast.Assign | ast.AnnAssign):
        value = node.value
        if isinstance(value, ast.Name | ast.Attribute):
            parts = tuple(ast.unparse(value).split("."))
            return (source.name, parts) if parts[0] != name else None
    return None


def _absolute(source: _Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = source.name.split(".")
    keep = len(parts) - node.level + (1 if source.is_package else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def _has_submodule(package: str, name: str) -> bool:
    try:
        return _spec(f"{package}.{name}") is not None
    except MissingNameError:
        return False


@functools.cache
def _module(name: str) -> _Module | None:
    """The names of module `name`, or None when there is no Python source to read."""
    spec = _spec(name)
    is_package = spec.submodule_search_locations is not None
    if spec.origin is None or not spec.origin.endswith(".py"):
        if is_package and spec.origin in (None, "namespace"):
            return _Module(name, True, {}, [], False)
        return None
    with open(spec.origin, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    module = _Module(name, is_package, {}, [], False)
    _collect(tree.body, module)
    module.opaque = "__getattr__" in module.names
    return module


def _collect(body: list[ast.stmt], module: _Module) -> None:
    """Note what statements bind; of if/else and try/except, the first branch that binds a name."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            module.names[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            if node.names[0].name == "*":
                module.star_modules.append(_absolute(module, node))
            else:
                module.names.update({a.asname or a.name: node for a in node.names})
        elif isinstance(node, ast.Import):
            for alias in node.names:
                module.names[alias.asname or alias.name.split(".")[0]] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                names = [part.id for part in ast.walk(target) if isinstance(part, ast.Name)]
                module.names.update(dict.fromkeys(names, node))
        else:
            _collect_branches(node, module)


def _collect_branches(node: ast.stmt, module: _Module) -> None:
    branches = [getattr(node, block, []) for block in ("body", "orelse", "finalbody")]
    branches += [handler.body for handler in getattr(node, "handlers", [])]
    for branch in branches:
        inner = dataclasses.replace(module, names={}, star_modules=module.star_modules)
        _collect(branch, inner)
        for name, bound in inner.names.items():
            module.names.setdefault(name, bound)


@functools.cache
def _spec(name: str) -> importlib.machinery.ModuleSpec:
    """The module's spec, found without importing the module or its parents."""
    parent, _, last = name.rpartition(".")
    if not parent:
        spec = _top_level_spec(name)
    else:
        locations = _spec(parent).submodule_search_locations
        spec = None if locations is None else _spec_within(name, last, list(locations))
    if spec is None:
        raise MissingNameError(parent or "Python's search path", last, ())
    return spec


def _spec_within(
    name: str, last: str, locations: list[str]
) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.machinery.PathFinder.find_spec(name, locations)
    except KeyError:  # a namespace folder, whose spec asks for its parent as a loaded module
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        folders = [os.path.join(location, last) for location in locations]
        spec.submodule_search_locations = [folder for folder in folders if os.path.isdir(folder)]
        return spec


def _top_level_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    loaded = sys.modules.get(name)
    spec = getattr(loaded, "__spec__", None)
    if spec is not None:
        return spec
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
