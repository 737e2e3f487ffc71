"""PyTensor graphs, which PyMC models are made of, as functions of JAX arrays."""

from __future__ import annotations

import functools
import importlib
import math
import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from thalweg.targets.tracebacks import format_line, what, written_by_user
from thalweg.tree import default_float, x64_enabled

Step = tuple[Callable[..., Any], list[Any], list[Any], str]


class JaxFunction:
    """The outputs of a graph at given inputs, computed by JAX operation by operation.

    The graph is simplified first, and what it holds as constants becomes JAX's in the precision of
    the moment: a function that was made in float32 is exact in float64 later. `subject` is what it
    computes, for errors: a call raises `ValueError` that names the operation where JAX has none of
    its kind, or cannot run it. With `checks` off, PyMC's checks of parameters are left out.
    """

    def __init__(
        self, inputs: Sequence[Any], outputs: Sequence[Any], subject: str, *, checks: bool = True
    ):
        from pytensor.compile.mode import get_mode
        from pytensor.graph.fg import FunctionGraph

        self.subject = subject
        self.graph = FunctionGraph(list(inputs), list(outputs), clone=True)
        _ask_or_drop_checks(self.graph, checks)
        # XLA fuses by itself, and an operation that stands alone has a name to complain of. The
        # other one looks for a BLAS with the C compiler, for matrices that are sparse.
        mode = get_mode("JAX").excluding("fusion", "local_usmm")
        mode.optimizer.rewrite(self.graph)
        self._steps: dict[bool, tuple[dict[Any, Any], list[Step]]] = {}

    def __call__(self, *inputs: Array) -> list[Array]:
        if x64_enabled():
            return self._run(inputs)
        with warnings.catch_warnings():
            # The graph asks for float64 by name all over, and JAX would mention it each time.
            warnings.filterwarnings("ignore", "Explicitly requested dtype", UserWarning)
            return self._run(inputs)

    def _run(self, inputs: Sequence[Array]) -> list[Array]:
        constants, steps = self._linked()
        arrays = [jnp.asarray(one) for one in inputs]
        values = {**constants, **dict(zip(self.graph.inputs, arrays, strict=True))}
        for function, given, made, name in steps:
            try:
                found = function(*(values[one] for one in given))
            except Exception as error:
                raise self._stopped(name, made, error) from error
            several = found if len(made) > 1 else (found,)
            values.update(zip(made, map(_typed, several, made), strict=True))
        return [values[one] for one in self.graph.outputs]

    def _linked(self) -> tuple[dict[Any, Any], list[Step]]:
        """The constants, and every operation in its order with what goes in and comes out."""
        from pytensor.graph.basic import Constant

        wide = x64_enabled()
        if wide not in self._steps:
            to_function, to_value = _dispatch()
            order = self.graph.toposort()
            used = [one for node in order for one in node.inputs] + list(self.graph.outputs)
            steps = []
            # This may be called while JAX traces, and constants must outlive the trace.
            with jax.ensure_compile_time_eval():
                constants = {one: to_value(one.data) for one in used if isinstance(one, Constant)}
                for node in order:
                    name = _name(node.op)
                    try:
                        function = to_function(node.op, node=node, storage_map={})
                    except Exception as error:
                        raise self._stopped(name, node.outputs, error) from error
                    steps.append((function, list(node.inputs), list(node.outputs), name))
            self._steps[wide] = (constants, steps)
        return self._steps[wide]

    def _stopped(self, name: str, made: Sequence[Any], error: Exception) -> ValueError:
        where = _line_of(made[0])
        return ValueError(f"JAX cannot run {name} of {self.subject}{where}: {what(error)}")


def freeze(outputs: Sequence[Any], replace: Mapping[Any, Any]) -> list[Any]:
    """The graphs with data as they are now, and with other variables in the places of some.

    Data and lengths of dimensions become constants; where shapes become known by that, so do those
    of all that is computed from them: JAX needs to know every shape.
    """
    from pytensor.compile.sharedvalue import SharedVariable
    from pytensor.graph.replace import clone_replace
    from pytensor.graph.traversal import graph_inputs

    def constant(shared: Any) -> Any:
        kind = shared.type
        return kind.constant_type(type=kind, data=shared.get_value(), name=shared.name)

    shared = [one for one in graph_inputs(outputs) if isinstance(one, SharedVariable)]
    constants = {one: constant(one) for one in shared if not _is_generator(one)}
    # Not strict: operations are made anew where the types of what goes in have changed.
    return list(clone_replace(list(outputs), {**constants, **replace}, rebuild_strict=False))


def has_random_inputs(outputs: Sequence[Any]) -> bool:
    """Whether the graphs draw random numbers."""
    from pytensor.graph.traversal import graph_inputs

    return any(_is_generator(one) for one in graph_inputs(outputs))


def _is_generator(variable: Any) -> bool:
    from pytensor.tensor.random.type import RandomType

    return isinstance(variable.type, RandomType)


def _ask_or_drop_checks(graph: Any, checks: bool) -> None:
    """A failed check of parameters gives −inf, as in PyMC; one that PyMC raises for gives NaN.

    JAX cannot raise, and leaving a check out would give a number where PyMC gives none.
    """
    import pytensor.tensor as pt
    from pymc.logprob.utils import CheckParameterValue
    from pytensor.raise_op import CheckAndRaise

    for node in graph.toposort():
        if not isinstance(node.op, CheckAndRaise):
            continue
        value, *conditions = node.inputs
        ours = isinstance(node.op, CheckParameterValue)
        to_infinity = ours and node.op.can_be_replaced_by_ninf
        real = str(getattr(node.outputs[0].type, "dtype", "")).startswith("float")
        if real and conditions and (checks or not ours):
            holds = functools.reduce(pt.and_, [pt.all(one) for one in conditions])
            other = pt.constant(float("-inf" if to_infinity else "nan"), dtype=value.dtype)
            value = pt.switch(holds, value, other)
        elif not ours:
            continue  # of shapes and indices, which JAX checks itself
        graph.replace(node.outputs[0], value, reason="checks")


_FAR = 8.0  # from here on, so many terms of the asymptotic series reach double precision
_TERMS = [(-1) ** k * math.prod(range(1, 2 * k, 2)) for k in range(15)]  # ±(2k − 1)!!


def _erfcx(x: Array) -> Array:
    """e^{x²} erfc(x), which PyMC's truncated and censored normals use and older JAX does not have.

    As it is written up to 8, from there Σ_k (−1)^k (2k − 1)!! / (2x²)^k / (x √π): the first term
    left out is below 2e−16 of the sum.
    """
    # Each formula only sees where it holds, so that no infinity comes into its derivative.
    close = x < _FAR
    near, far = jnp.where(close, x, _FAR), jnp.where(close, _FAR, x)
    series = jnp.polyval(jnp.array(_TERMS[::-1], far.dtype), 1 / (2 * far**2))
    formula = jnp.exp(near**2) * jax.scipy.special.erfc(near)
    return jnp.where(close, formula, series / (far * math.sqrt(math.pi)))


def _typed(value: Any, variable: Any) -> Any:
    """A result in no less than the precision its graph says.

    PyTensor hands scalars to JAX as Python numbers, whose weak type spreads: a float64 that is
    weak would shrink to float32 as soon as it meets one.
    """
    said = str(getattr(variable.type, "dtype", ""))
    if not isinstance(value, jax.Array) or not said.startswith("float"):
        return value
    least = default_float() if said == "float64" else jnp.dtype(said)
    return jax.lax.convert_element_type(value, jnp.promote_types(value.dtype, least))


def line_of_node(error: BaseException) -> str:
    """` (line 4 of model.py)` of the operation that PyTensor was about to make anew when it failed.

    The frames of the error are PyTensor's alone: the operation is among their variables.
    """
    found, step = "", error.__traceback__
    while step is not None:
        outputs = getattr(step.tb_frame.f_locals.get("node"), "outputs", None)
        found = _line_of(outputs[0]) or found if outputs else found
        step = step.tb_next
    return found


def _line_of(variable: Any) -> str:
    """` (line 4 of model.py)`: where the user's code made a variable, as far as PyTensor noted."""
    stacks = getattr(variable.tag, "trace", None) or []
    frames = [frame for stack in stacks for frame in stack if isinstance(stack, (list, tuple))]
    lines = [(frame[1], frame[0]) for frame in frames if written_by_user(str(frame[0]))]
    return format_line(*lines[-1]) if lines else ""


def _name(op: Any) -> str:
    text = str(op).splitlines()[0]  # those that hold graphs print them
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


@functools.cache
def _dispatch() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """PyTensor's functions from operations and from constants to JAX, with PyMC's additions.

    Importing them turns JAX's x64 mode on and sets XLA_FLAGS, for the whole process: both are put
    back. In a thread of its own, because `with jax.enable_x64(…)` hides the mode of the process
    from the thread it is in.
    """
    failure: list[BaseException] = []

    def load() -> None:
        wide, flags = x64_enabled(), os.environ.get("XLA_FLAGS")
        try:
            importlib.import_module("pymc.sampling.jax")
        except BaseException as error:  # raised again by the thread that waits
            failure.append(error)
        finally:
            if x64_enabled() != wide:
                jax.config.update("jax_enable_x64", wide)
            if flags is None:
                os.environ.pop("XLA_FLAGS", None)
            else:
                os.environ["XLA_FLAGS"] = flags

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    from pytensor.link.jax.dispatch import jax_funcify, jax_typify
    from pytensor.scalar.math import Erfcx

    # PyTensor would want TensorFlow Probability for it.
    jax_funcify.register(Erfcx)(lambda op, **_: _erfcx)
    return jax_funcify, jax_typify
