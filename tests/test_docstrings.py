"""The examples in docstrings run."""

import ast
import doctest
import importlib
from pathlib import Path

import jax
import pytest

import thalweg

SOURCE = Path(thalweg.__file__).parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def module_name(path):
    """Return the name of the module in a file of the package."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def examples():
    """Find the docstrings with examples without importing anything."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if ">>>" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            docstring = isinstance(node, kinds) and ast.get_docstring(node)
            if docstring and ">>>" in docstring:
                name = getattr(node, "name", "module")
                line = node.body[0].lineno
                yield pytest.param(path, docstring, line, id=f"{module_name(path)}:{line}-{name}")


@pytest.mark.parametrize("x64", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("path", "docstring", "line"), list(examples()))
def test_examples_run(path, docstring, line, x64):
    """Examples import what they use, and print the same in both precisions."""
    try:
        importlib.import_module(module_name(path))
    except ImportError as error:
        pytest.skip(f"needs an extra: {error}")
    test = doctest.DocTestParser().get_doctest(docstring, {}, path.stem, str(path), line)
    output = []
    with jax.enable_x64(x64):
        doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=output.append)
    assert not output, "".join(output)
