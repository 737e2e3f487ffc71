"""A function in a user's file: what works, what is left behind, what is said."""

import os
import sys
import textwrap
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.files.digests import check_unchanged
from thalweg.targets import check_target, from_file

GOOD = """
    import jax.numpy as jnp

    SCALE = 2.0

    def posterior(x):
        return -0.5 * jnp.sum((x / SCALE) ** 2)

    def other(x):
        return posterior(x)

    def _hidden(x):
        return 0.0
"""


def write(name, text):
    Path(name).write_text(textwrap.dedent(text), encoding="utf-8")
    return name


def refused(spec, dim=2):
    with pytest.raises(ValueError) as caught:
        from_file(spec, dim)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_function_in_a_file_becomes_a_target():
    write("model.py", GOOD)
    target = from_file("model.py:posterior", dim=3)
    assert (target.name, target.dim) == ("posterior", 3)
    assert float(target.log_density(2 * jnp.ones(3))) == -1.5
    assert check_target(target, np.eye(3) + 1).all()


def test_an_absolute_path_and_a_folder_with_a_colon(tmp_path):
    folder = tmp_path / "a:b"
    folder.mkdir()
    write(folder / "model.py", GOOD)
    assert from_file(f"{folder}/model.py:posterior", 2).dim == 2


def test_nothing_is_left_behind():
    write("neighbour.py", "SCALE = 3.0")
    write("model.py", "from neighbour import SCALE\ndef f(x):\n    return -SCALE * x[0] ** 2")
    modules, path, silent = set(sys.modules), list(sys.path), sys.dont_write_bytecode
    target = from_file("model.py:f", 1)
    assert float(target.log_density(jnp.ones(1))) == -3
    assert set(sys.modules) == modules
    assert sys.path == path
    assert sys.dont_write_bytecode == silent
    assert sorted(p.name for p in Path().iterdir()) == ["model.py", "neighbour.py"]


def test_nothing_is_left_behind_by_a_file_that_raises():
    write("neighbour.py", "")
    write("model.py", "import neighbour\n1 / 0")
    modules, path = set(sys.modules), list(sys.path)
    refused("model.py:f")
    assert set(sys.modules) == modules
    assert sys.path == path


def test_two_files_have_their_own_neighbours():
    for folder, scale in (("one", 1.0), ("two", 2.0)):
        Path(folder).mkdir()
        write(f"{folder}/neighbour.py", f"SCALE = {scale}")
        write(f"{folder}/m.py", "from neighbour import SCALE\ndef f(x):\n    return SCALE * x[0]")
    one, two = from_file("one/m.py:f", 1), from_file("two/m.py:f", 1)
    assert float(one.log_density(jnp.ones(1))) == 1
    assert float(two.log_density(jnp.ones(1))) == 2


def test_dataclasses_can_be_defined_in_the_file():
    write(
        "model.py",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import ClassVar

        @dataclass
        class Model:
            scale: float = 2.0
            kind: ClassVar[str] = "normal"

        def f(x):
            return -Model().scale * x[0] ** 2
        """,
    )
    assert float(from_file("model.py:f", 1).log_density(jnp.ones(1))) == -2


def test_the_line_of_an_error_in_the_density_is_told():
    write("model.py", "import jax.numpy as jnp\n\ndef f(x):\n    return jnp.sun(x)\n")
    with pytest.raises(ValueError, match=r"raised AttributeError: .* \(line 4 of model.py\)"):
        check_target(from_file("model.py:f", 2), np.ones((4, 2)))


@pytest.mark.parametrize("spec", [":f", ":", ""])
def test_specs_of_another_form(spec):
    write("model.py", GOOD)
    assert refused(spec) == f"a target in a file is written file.py:NAME, got {spec!r}"


@pytest.mark.parametrize("spec", ["model.py", "model.py:"])
def test_a_file_without_a_name_lists_its_names(spec):
    write("model.py", GOOD + "    from thalweg.targets import get\n    ours = get('u1')\n")
    assert refused(spec, None) == (
        "write model.py:NAME, where NAME is a function or a Target in it; its functions: other, "
        "posterior; its Targets: ours"
    )


def test_a_target_in_a_file_is_taken_as_it_is():
    write("model.py", "from thalweg.targets import get\nours = get('funnel', dim=3)\n")
    target = from_file("model.py:ours")
    assert (target.name, target.dim, target.log_z) == ("funnel", 3, 0.0)
    assert target.reference == f"{Path('model.py').resolve()}:ours"
    assert "dim=2 was given for model.py:ours, a target of dimension 3" in refused("model.py:ours")


def test_loading_a_file_changes_nothing_around_it(capsys):
    write(
        "model.py",
        """
        import os, sys
        os.chdir("..")
        print("loaded with", len(sys.argv), "argument")
        sys.argv.append("more")

        def f(x):
            print("traced")
            return -x[0] ** 2
        """,
    )
    folder, arguments = os.getcwd(), list(sys.argv)
    assert check_target(from_file("model.py:f", 1), np.ones((4, 1))).all()
    assert os.getcwd() == folder and sys.argv == arguments
    said = capsys.readouterr()
    assert said.out == "" and said.err.split("\n")[0] == "loaded with 1 argument"
    assert "traced" in said.err


def test_a_file_that_moves_and_fails_moves_back():
    folder = os.getcwd()
    write("model.py", "import os\nos.chdir('..')\nraise SystemExit(7)\n")
    assert refused("model.py:f") == "model.py could not be run at line 3: SystemExit: 7"
    assert os.getcwd() == folder


def test_no_such_file():
    assert refused("nowhere.py:f") == "no such file: nowhere.py"


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "~no-such-user/model", "\udcff"])
def test_names_that_no_file_has_are_no_files(path):
    assert refused(f"{path}.py:f").startswith("no such file: ")


def test_a_folder_is_no_file():
    Path("folder").mkdir()
    assert refused("folder:f") == "no such file: folder"


def test_a_missing_dimension():
    write("model.py", GOOD)
    said = "model.py:posterior needs dim, the number of coordinates of a point, or the dictionary"
    assert refused("model.py:posterior", None) == f"{said} `parameters` in model.py"


@pytest.mark.parametrize("dim", [0, -3, 2.5])
def test_a_dimension_that_is_not_positive(dim):
    write("model.py", GOOD)
    said = f"dim must be a whole number of at least 1, got {dim}"
    assert refused("model.py:posterior", dim) == said


def test_no_such_function():
    write("model.py", GOOD)
    assert refused("model.py:posteriour") == (
        "model.py has no function 'posteriour' (did you mean 'posterior'?); "
        "its functions: other, posterior"
    )


def test_no_functions_at_all():
    write("model.py", "from math import exp\nx = 1")
    assert refused("model.py:f") == "model.py has no function 'f'; it defines no functions"


@pytest.mark.parametrize(("value", "kind"), [("3.0", "a float"), ("None", "a NoneType")])
def test_other_objects_than_functions(value, kind):
    write("model.py", f"f = {value}")
    assert refused("model.py:f") == f"'f' in model.py is {kind}, not a function or a Target"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n\nboom\n", "at line 3: NameError: name 'boom' is not defined"),
        ("x = 1\nif x\n", "at line 2: SyntaxError: expected ':' (model.py, line 2)"),
        ("import no_such_library\n", "at line 1: ModuleNotFoundError: No module named"),
        ("\nraise SystemExit(3)\n", "at line 2: SystemExit: 3"),
        ("def f():\n    raise ValueError\n\nf()\n", "at line 2: ValueError"),
        ("raise type('Own', (BaseException,), {})('gone')\n", "at line 1: Own: gone"),
        ("raise type('E', (Exception,), {'__str__': lambda e: 1 / 0})\n", "at line 1: E"),
    ],
)
def test_a_file_that_raises(text, said):
    write("model.py", text)
    assert refused("model.py:f").startswith(f"model.py could not be run {said}")


def test_a_file_that_is_not_text():
    Path("model.py").write_bytes(b"\x00\xff\xfe")
    assert refused("model.py:f").startswith("model.py could not be run: ")


# --- what a target was made from -----------------------------------------------------------------


def test_digests_of_the_file_its_neighbours_and_its_data(tmp_path):
    (tmp_path / "scales.py").write_text("SCALE = 2.0\n")
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "counts.npy", np.arange(3.0))
    (tmp_path / "notes.txt").write_text("never read")
    (tmp_path / "model.py").write_text(
        "from pathlib import Path\n"
        "import jax.numpy as jnp\nimport numpy as np\n"
        "from scales import SCALE\n"
        "counts = np.load(Path(__file__).parent / 'data' / 'counts.npy')\n"
        "def f(x):\n    return -0.5 * jnp.sum((x - counts) ** 2) / SCALE\n"
    )
    for _ in range(2):  # neighbours are imported anew each time
        files = from_file(f"{tmp_path}/model.py:f", 3).files
        assert {Path(name).name for name in files} == {"model.py", "scales.py", "counts.npy"}
    check_unchanged(files)
    np.save(tmp_path / "data" / "counts.npy", np.arange(3.0) + 1)
    with pytest.raises(ValueError, match=r"counts\.npy has changed since the run"):
        check_unchanged(files)
