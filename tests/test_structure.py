"""The shape of the house: which package may import which, and traps that would break everything."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "clinical_t5x"

FOUNDATION = {"console", "processes", "storage", "webpage"}
# Each package and what of ours it may import, besides itself and the foundation.
MAY_IMPORT = {
    "models": set(),
    "corpus": set(),
    "synthetic": set(),
    "partitioning": set(),
    "data": {"corpus"},
    "evaluation": {"data", "models"},
    "interop": {"models"},
    "training": {"data", "models", "evaluation", "interop", "partitioning"},
    # launch: its __main__ is a command
    "export": {"data", "models", "evaluation", "interop", "training", "partitioning", "launch"},
    "baselines": {"data", "models", "evaluation", "interop", "training", "partitioning"},
}
NEVER_IN = {
    "corpus": {"jax", "flax", "tensorflow", "seqio"},
    "synthetic": {"jax", "flax", "tensorflow", "seqio"},
    "models": {"tensorflow", "seqio"},
}


def _imports(path: Path) -> set[str]:
    """Dotted names that a module imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = [*path.relative_to(ROOT).with_suffix("").parts[: -node.level]]
                found.add(".".join([*base, *([node.module] if node.module else [])]))
            elif node.module:
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _part(path: Path) -> str:
    """The package or top-level module of ours that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_run_one_way(part):
    allowed = MAY_IMPORT[part] | FOUNDATION | {part, "__version__"}
    if part == "models":
        allowed -= FOUNDATION
    wrong = []
    for path in _modules():
        if _part(path) != part:
            continue
        for name in _imports(path):
            top, *rest = name.split(".")
            if top == "clinical_t5x" and rest and rest[0] not in allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
            if top in NEVER_IN.get(part, set()):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_foundation_imports_nothing_of_ours():
    for name in FOUNDATION:
        imported = {n.split(".")[0] for n in _imports(PACKAGE / f"{name}.py")}
        assert "clinical_t5x" not in imported


def test_package_never_imports_tasks():
    """Tasks are named in gin and imported by name, so that users can bring their own."""
    for path in _modules():
        assert "tasks" not in {name.split(".")[0] for name in _imports(path)}, path


def test_tasks_import_only_data_and_evaluation():
    for path in sorted((ROOT / "tasks").rglob("*.py")):
        for name in _imports(path):
            top, *rest = name.split(".")
            if top == "clinical_t5x" and rest:
                assert rest[0] in {"data", "evaluation", *FOUNDATION}, f"{path} imports {name}"


def test_gin_folder_is_no_package():
    """gin/__init__.py would shadow the gin library for everyone who works in the checkout."""
    assert not (ROOT / "gin" / "__init__.py").exists()
    import gin

    assert hasattr(gin, "configurable")


def test_t5x_is_not_installed_with_the_package():
    assert '"t5x' not in (ROOT / "setup.py").read_text().replace('"clinical_t5x', "")


def test_files_and_functions_stay_small():
    """House limits: a file under 500 lines, a function under 100."""
    too_long = []
    for folder in ("clinical_t5x", "tasks", "t5x"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text()
            if text.count("\n") >= 500:
                too_long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = node.end_lineno - node.lineno + 1
                    if length >= 100:
                        too_long.append(f"{path.relative_to(ROOT)}:{node.lineno} {length} lines")
    assert not too_long
