"""Arrays that public functions take have a shape in their annotation, which every test checks."""

import ast
import re
from pathlib import Path

from checked_shapes import SHAPED

import thalweg

SOURCE = Path(thalweg.__file__).parent
ARRAYS = re.compile(r"\b(Array|ArrayLike|ndarray|NDArray)\b")
PUBLIC = re.compile(r"__(init|call)__|[^_]")
LEAST_SHARE = 0.9


def public_functions(tree, name=""):
    """Yield the public functions of a module, and the public methods of its public classes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node, f"{name}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and PUBLIC.match(node.name):
            yield f"{name}{node.name}", node


def array_parameters():
    """Yield each parameter that is an array, and whether its annotation states a shape."""
    for path in sorted(SOURCE.rglob("*.py")):
        for name, function in public_functions(ast.parse(path.read_text(encoding="utf-8"))):
            given = function.args
            for parameter in (*given.posonlyargs, *given.args, *given.kwonlyargs):
                note = ast.unparse(parameter.annotation) if parameter.annotation else ""
                if "Callable" in note or "Key" in note or parameter.arg in ("key", "keys"):
                    continue
                shaped = SHAPED.search(note) is not None
                if shaped or ARRAYS.search(note):
                    place = f"{path.relative_to(SOURCE)}:{parameter.lineno}"
                    yield f"{place} {name}({parameter.arg}: {note})", shaped


def test_array_parameters_have_a_shape():
    found = dict(array_parameters())
    bare = sorted(parameter for parameter, shaped in found.items() if not shaped)
    share = 1 - len(bare) / len(found)
    assert share >= LEAST_SHARE, f"{share:.0%} of {len(found)}; bare are:\n" + "\n".join(bare)
