"""Model files: exact, atomic, and harmless whoever wrote them."""

import json
import os
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg import flows
from thalweg.distributions import GaussianMixture
from thalweg.files.tensors import read_tensors, write_tensors
from thalweg.files.writing import write_atomically, write_text
from thalweg.serialization import FORMAT, load, load_leaves, save, save_leaves
from thalweg.tree import Frozen, Module

# --- there and back ------------------------------------------------------------------------------


# Making a flow is many small programs; as one that is not optimised it takes least time.
small = eqx.filter_jit(flows.build, compiler_options={"xla_backend_optimization_level": 0})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gaussian", {}),
        ("planar", {"layers": 2}),
        ("nice_orth", {"layers": 2, "hidden": (3,), "diagonal": True}),
        ("real_nvp", {"layers": 3, "hidden": (3, 3)}),
    ],
)
def test_a_flow_comes_back_bit_for_bit(name, options, tmp_path):
    flow = small(name, jax.random.key(1), 3, **options)
    save(tmp_path / "flow.safetensors", flow)
    again = load(tmp_path / "flow.safetensors")
    assert jax.tree.structure(again) == jax.tree.structure(flow)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(flow), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert type(again) is type(flow)


class EverythingATreeCanHold(Module):
    """Not a flow: each kind of field once."""

    array: Any
    nested: Any
    number: float
    text: str
    nothing: None
    flags: tuple[bool, ...]


def test_every_kind_of_field_comes_back(tmp_path):
    before = EverythingATreeCanHold(
        array=jnp.asarray(3.5, jnp.float32),
        nested={"a": [Frozen(jnp.arange(3)), (1, 2.5)], "b": {}, "c": jnp.zeros((0, 2))},
        number=0.1,
        text="Größe",
        nothing=None,
        flags=(True, False),
    )
    save(tmp_path / "m.safetensors", before)
    after = load(tmp_path / "m.safetensors")
    assert after.array.shape == ()
    assert after.array.dtype == jnp.float32
    assert after.nested["a"][1] == (1, 2.5)
    assert after.nested["c"].shape == (0, 2)
    assert isinstance(after.nested["a"][0], Frozen)
    np.testing.assert_array_equal(after.nested["a"][0].value, [0, 1, 2])
    assert (after.number, after.text, after.nothing) == (0.1, "Größe", None)
    assert after.flags == (True, False)


def test_a_distribution_alone_can_be_saved(tmp_path):
    mixture = GaussianMixture(jnp.ones(2), jnp.eye(2), 0.5)
    save(tmp_path / "m.safetensors", mixture)
    again = load(tmp_path / "m.safetensors")
    assert isinstance(again, GaussianMixture)
    assert again.shape == (2,)
    np.testing.assert_array_equal(again.locs, mixture.locs)


def test_a_function_has_no_place_in_a_file(tmp_path):
    with pytest.raises(TypeError, match=r"cannot save root\.value: a function"):
        save(tmp_path / "m.safetensors", Frozen(lambda x: x))
    with pytest.raises(TypeError, match="can be saved, got dict"):
        save(tmp_path / "m.safetensors", {"a": 1})
    assert list(tmp_path.iterdir()) == []


# --- files from strangers ------------------------------------------------------------------------


def file_of(path, spec, tensors=None, **metadata):
    text = spec if isinstance(spec, str) else json.dumps(spec)
    write_tensors(path, tensors or {}, {"format": FORMAT, "spec": text, **metadata})
    return path


FROZEN = {"module": "Frozen", "fields": {"value": {"value": 1}}}
DEEP = '{"list": [' * 5000 + '{"value": 1}' + "]}" * 5000


@pytest.mark.parametrize(
    "spec",
    [
        "not json",
        "[]",
        "null",
        DEEP,
        {},
        {"value": 3},
        {"list": [FROZEN]},
        {"tensor": "absent"},
        {"tensor": ["a"]},
        {"list": 5},
        {"tuple": None},
        {"dict": []},
        {"unknown": 1},
        {"value": 1, "list": []},
        {"module": "NoSuchClass", "fields": {}},
        {"module": ["Frozen"], "fields": {}},
        {"module": None, "fields": {}},
        {"module": "Frozen"},
        {"module": "Frozen", "fields": None},
        {"module": "Frozen", "fields": []},
        {"module": "Frozen", "fields": ["value"]},
        {"module": "Frozen", "fields": {}},
        {"module": "Frozen", "fields": {"value": {"value": 1}, "more": {"value": 1}}},
        {"module": "Frozen", "fields": {"value": 3}},
    ],
    ids=lambda spec: str(spec)[:40],
)
def test_a_malformed_description_is_refused_in_one_sentence(tmp_path, spec):
    path = file_of(tmp_path / "m.safetensors", spec)
    with pytest.raises(ValueError, match=r"m\.safetensors") as raised:
        load(path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_class_of_another_package_is_not_imported(tmp_path):
    path = file_of(tmp_path / "m.safetensors", {"module": "os.system", "fields": {}})
    with pytest.raises(ValueError, match=r"'os\.system', which is not known here"):
        load(path)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x00" * 100, b"\xff" * 8 + b"{}", b"\x80\x04K\x01."]
)
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged or not a model file") as raised:
        load(path)
    assert "\n" not in str(raised.value)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="there is no file"):
        load(tmp_path)


def test_tensors_of_another_program_are_refused(tmp_path):
    write_tensors(tmp_path / "m.safetensors", {"a": np.ones(2)}, {})
    with pytest.raises(ValueError, match="is not a thalweg model file"):
        load(tmp_path / "m.safetensors")


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    save(path, small("gaussian", jax.random.key(0), 2))
    content = path.read_bytes()
    for length in np.linspace(0, len(content) - 1, 40, dtype=int):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="damaged"):
            load(path)


# --- writing -------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fails(temporary):
        temporary.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write_atomically(path, fails)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        write_text(tmp_path / "nowhere" / "file.txt", "text")


def test_written_files_have_the_permissions_of_the_user(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "file.txt", "text")
    finally:
        os.umask(old)
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o640


def test_tensors_of_any_layout_come_back(tmp_path):
    tensors = {
        "scalar": np.float32(2.5),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "strided": np.arange(10)[::3],
        "empty": np.zeros((0, 4)),
        "flags": np.array([True, False]),
    }
    write_tensors(tmp_path / "t.safetensors", tensors, {"note": "é"})
    found, metadata = read_tensors(tmp_path / "t.safetensors")
    assert metadata == {"note": "é"}
    for name, value in tensors.items():
        assert found[name].shape == np.shape(value)
        assert found[name].dtype == np.asarray(value).dtype
        np.testing.assert_array_equal(found[name], value)


# --- checkpoints ---------------------------------------------------------------------------------


def test_leaves_and_keys_come_back(tmp_path):
    tree = {"a": jnp.arange(3.0), "key": jax.random.key(7), "n": jnp.asarray(4, jnp.int32)}
    save_leaves(tmp_path / "c.safetensors", tree, {"history": "x"})
    empty = {"a": jnp.zeros(3), "key": jax.random.key(0), "n": jnp.asarray(0, jnp.int32)}
    found, metadata = load_leaves(tmp_path / "c.safetensors", empty)
    assert metadata == {"history": "x"}
    np.testing.assert_array_equal(found["a"], tree["a"])
    assert int(found["n"]) == 4
    np.testing.assert_array_equal(
        jax.random.normal(found["key"], (3,)), jax.random.normal(tree["key"], (3,))
    )


@pytest.mark.parametrize(
    "like",
    [
        {"a": jnp.zeros(4)},
        {"a": jnp.zeros(3, jnp.float32)},
        {"a": jnp.zeros(3), "b": jnp.zeros(1)},
        {},
    ],
)
def test_leaves_of_another_tree_are_refused(tmp_path, like):
    save_leaves(tmp_path / "c.safetensors", {"a": jnp.zeros(3)}, {})
    with pytest.raises(ValueError, match="does not belong to this run"):
        load_leaves(tmp_path / "c.safetensors", like)
