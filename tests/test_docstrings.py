"""The examples in docstrings run, and every public entry point has one."""

import ast
import doctest
import importlib
import inspect
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


FACADES = ("DensityEstimator", "LatentGaussianModel", "Posterior", "Flow", "Parameters")
TOP_LEVEL = sorted({*thalweg.__all__} - {*thalweg._MODULES})


def exported(module):
    """The callables of the package that a public module exports, by name."""
    for name in getattr(module, "__all__", None) or dir(module):
        found = getattr(module, name)
        own = (getattr(found, "__module__", None) or "").startswith("thalweg")
        if not name.startswith("_") and own and callable(found):
            yield name, found


def public_methods(name):
    """The public methods of a facade, by name."""
    facade = getattr(thalweg, name)
    for method, found in vars(facade).items():
        if not method.startswith("_") and inspect.isfunction(found):
            yield f"{name}.{method}", found


def lacking(entry):
    """Name the sections that the docstring of an entry point should have and has not."""
    text = inspect.getdoc(entry) or ""
    takes_any = {*inspect.signature(entry).parameters} - {"self", "cls"}
    wanted = {
        "Args": takes_any and not any(word in text for word in ("Args:", "Attributes:")),
        "Returns": inspect.isfunction(entry)
        and inspect.signature(entry).return_annotation not in (None, "None")
        and not any(word in text for word in ("Returns:", "Yields:")),
        "Example": ">>>" not in text,
    }
    return [section for section, lacks in wanted.items() if lacks]


def find_lacking(entries):
    """Map the names of entry points to the sections they lack."""
    found = {name: lacking(entry) for name, entry in entries}
    return {name: sections for name, sections in found.items() if sections}


@pytest.mark.parametrize("name", [*thalweg._MODULES, *thalweg._EXTRAS])
def test_what_a_module_exports_is_documented(name):
    if name in thalweg._EXTRAS:
        pytest.importorskip(name)
    assert find_lacking(exported(importlib.import_module(f"thalweg.{name}"))) == {}


def test_top_level_names_are_documented():
    assert find_lacking((name, getattr(thalweg, name)) for name in TOP_LEVEL) == {}


@pytest.mark.parametrize("name", FACADES)
def test_methods_of_facades_are_documented(name):
    assert find_lacking(public_methods(name)) == {}
