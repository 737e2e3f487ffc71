"""Names from before they were changed: in model files, and in Python code."""

import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import renamed
from thalweg.bijections import Bijection, Chain, FixedAffine, PhaseShift
from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.serialization import load, save
from thalweg.tree import Module

OLD_NAMES = [(package, old) for package, names in renamed.NAMES.items() for old in names]


def test_a_model_file_with_old_class_names_loads(tmp_path):
    path = tmp_path / "old.safetensors"
    affine = FixedAffine(jnp.array([1.0, -2.0]), jnp.array([[2.0, 0.0], [0.5, 3.0]]))
    chain = Chain([PhaseShift(2), affine])
    save(path, chain)
    tensors, words = read_tensors(path)
    spec = words["spec"]
    for old, now in renamed.CLASSES.items():
        spec = spec.replace(json.dumps({"module": now})[1:-1], json.dumps({"module": old})[1:-1])
    assert '"Turn"' in spec and '"Whitening"' in spec and "FixedAffine" not in spec
    write_tensors(path, tensors, {**words, "spec": spec})
    again = load(path)
    assert isinstance(again, Bijection)
    assert jax.tree.structure(again) == jax.tree.structure(chain)
    z = jnp.array([0.3, -0.4])
    np.testing.assert_array_equal(again.forward(z), chain.forward(z))


def test_old_class_names_are_free_and_new_ones_there():
    importlib.import_module("thalweg.bijections")
    assert not set(renamed.CLASSES) & set(Module.registry)
    assert set(renamed.CLASSES.values()) <= set(Module.registry)


@pytest.mark.parametrize(("package", "old"), OLD_NAMES)
def test_an_old_name_is_the_new_one_with_a_warning(package, old):
    module, now = importlib.import_module(package), renamed.NAMES[package][old]
    with pytest.warns(DeprecationWarning, match=rf"^{package}\.{old} is now called {now}$"):
        assert getattr(module, old) is getattr(module, now)


def test_a_name_that_never_was_is_an_attribute_error():
    for package in renamed.NAMES:
        with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'nonsense'"):
            _ = importlib.import_module(package).nonsense
