"""The command and the call that repeat a run, and the facts about it, from its record."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from thalweg.inference.defaults import ACCURACIES
from thalweg.supports import A_FUNCTION
from thalweg.targets.frameworks.numpyro.from_numpyro import NUMPYRO
from thalweg.targets.frameworks.pymc.from_pymc import PYMC
from thalweg.targets.frameworks.stan import REFERENCE, STAN
from thalweg.targets.registry import TARGETS
from thalweg.training.effort import STANDARD

# Options of the command line by their keywords in Python, where these have another name.
FLAGS = {
    "batch_size": "--batch",
    "few": "--draws-all",
    "gaps": "--inference-gap",
    "learning_rate": "--lr",
    "rows": "--test-images",
}
# Keywords of `infer` that the command line has.
KEYWORDS = (
    *("flow", "steps", "batch_size", "learning_rate", "restarts"),
    *("accuracy", "refine", "precision", "seed", "time_limit", "effort"),
)
_OF_FLOW = KEYWORDS[:5]
_DEFAULTS = {"objective": "reverse_kl", "gradient": "path", "annealing": True}


def command_line(record: dict[str, Any], **changes: Any) -> str | None:
    """Return `thalweg infer …`, or None where the command line cannot repeat a run.

    It cannot repeat functions and flows of a Python session, and options that it does not have.
    `changes` replace keywords of `infer`.
    """
    request, target = record.get("request"), record.get("target")
    if not isinstance(request, dict) or not isinstance(target, dict):
        return None
    request = {**request, **changes}
    if request.get("init") is not None:  # a file of its own
        return None
    if not request.get("flow") or any(request.get(k, v) != v for k, v in _DEFAULTS.items()):
        return None
    of_flow = {} if request.get("may_end_at_gaussian") else request.get("flow_options")
    shape = _shape_flags(of_flow or {})
    if shape is None:
        return None
    reference = target.get("reference")
    options = _chosen_options(target)
    if reference == "built-in" and not set(options) - {"dim"}:
        parts = ["thalweg", "infer", str(target.get("name"))]
        parts += ["--dim", str(options["dim"])] if "dim" in options else []
    elif isinstance(reference, str) and reference.startswith(REFERENCE):
        parts = ["thalweg", "infer", reference.removeprefix(REFERENCE)]
        parts += ["--data", str(options["data"])] if options.get("data") else []
    elif isinstance(reference, str) and ":" in reference:
        parts = ["thalweg", "infer", reference, "--dim", str(target.get("dim"))]
    else:
        return None
    parts += as_flags(request, (key for key in KEYWORDS if not _is_default(request, key)))
    return shlex.join([*parts, *shape, *(["--x64"] if _is_x64(record) else [])])


def as_flags(options: Mapping[str, Any], keywords: Iterable[str]) -> list[str]:
    """Return the flags of the command line for those keywords that have a value, in their order."""
    words: list[str] = []
    for keyword in keywords:
        value = options.get(keyword)
        if value is not None:
            values = value if isinstance(value, (list, tuple)) else [value]
            flag = FLAGS.get(keyword, f"--{keyword.replace('_', '-')}")
            words += [flag, ",".join(map(_format, values))]
    return words


def _is_default(request: dict[str, Any], keyword: str) -> bool:
    """Whether an option was not given; steps that were not may end early, so they do not count."""
    if request.get("may_end_at_gaussian") and keyword in _OF_FLOW:
        return True
    if keyword == "accuracy":
        return bool(request.get(keyword) == ACCURACIES.get(request.get("effort", STANDARD)))
    if keyword == "effort":
        return bool(request.get(keyword) == STANDARD)
    if keyword == "precision":
        return bool(request.get(keyword) == "auto")
    return keyword == "steps" and bool(request.get("end_early"))


def _chosen_options(target: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a target that differ from its defaults, and always `dim`."""
    defaults = {}
    if target.get("reference") == "built-in" and target.get("name") in TARGETS:
        defaults = TARGETS[target["name"]].options
    options = target.get("options") or {}
    return {
        k: v
        for k, v in options.items()
        if k == "dim" or k not in defaults or _as_lists(v) != _as_lists(defaults[k])
    }


def _as_lists(value: Any) -> Any:
    """Replace tuples of a default by lists, which a record read from JSON has."""
    return [_as_lists(v) for v in value] if isinstance(value, (list, tuple)) else value


def _shape_flags(options: dict[str, Any]) -> list[str] | None:
    """Return flags for the options of a flow; None where the command line lacks one."""
    flags: list[str] = []
    for key, value in sorted(options.items()):
        if key == "hidden" and isinstance(value, (list, tuple)):
            # `--hidden 64` is two layers of 64.
            if len(value) != 2 or value[0] != value[1]:
                return None
            value = value[0]
        if key not in ("layers", "hidden") or not isinstance(value, int):
            return None
        flags += [f"--{key}", str(value)]
    return flags


def python_call(record: dict[str, Any]) -> str | None:
    """Return the call in Python, or None where the record has no request.

    Objects of a Python session (a function, a flow, a schedule) appear under names that the reader
    must fill in.
    """
    request, target = record.get("request"), record.get("target")
    if not isinstance(request, dict) or not isinstance(target, dict):
        return None
    reference = target.get("reference")
    options = _chosen_options(target)
    arguments: list[str] = []
    if reference == "built-in" and not set(options) - {"dim"}:
        arguments += [repr(target.get("name"))]
        arguments += [f"dim={options['dim']!r}"] if "dim" in options else []
    elif reference == "built-in":
        inner = "".join(f", {key}={value!r}" for key, value in sorted(options.items()))
        arguments += [f"tw.targets.get({target.get('name')!r}{inner})"]
    elif isinstance(reference, str) and reference.startswith(REFERENCE):
        files = [reference.removeprefix(REFERENCE), *filter(None, [options.get("data")])]
        arguments += [f"tw.targets.from_stan({', '.join(map(repr, files))})"]
    elif target.get("source") == STAN:
        arguments += [f"tw.targets.from_stan({str(target.get('name')) + '.stan'!r}, my_data)"]
    elif isinstance(reference, str):
        arguments += [repr(reference), f"dim={target.get('dim')!r}"]
    elif target.get("source") == NUMPYRO:
        arguments += [f"tw.targets.from_numpyro({target.get('name')}, ...)"]
    elif target.get("source") == PYMC:
        arguments += ["tw.targets.from_pymc(model)"]
    else:
        name = str(target.get("name"))
        arguments += [name if name.isidentifier() else "log_density", *_declaration(target)]
    flow = request.get("flow")
    arguments.append(f"flow={flow!r}" if flow else "flow=my_flow")
    for keyword in ("objective", "gradient"):
        if request.get(keyword, _DEFAULTS[keyword]) != _DEFAULTS[keyword]:
            arguments.append(f"{keyword}={request[keyword]!r}")
    annealing = request.get("annealing", True)
    if annealing is not True:
        arguments.append("annealing=my_schedule" if annealing == "own" else "annealing=False")
    if request.get("refine") is not None:
        arguments.append(f"refine={request['refine']!r}")
    for keyword in ("effort", "precision"):
        if not _is_default(request, keyword) and request.get(keyword) is not None:
            arguments.append(f"{keyword}={request[keyword]!r}")
    if request.get("init") is not None:
        arguments.append(f"init={request['init']!r}")
    numbers = "accuracy", "steps", "batch_size", "learning_rate", "restarts", "seed", "time_limit"
    for keyword in numbers:
        if request.get(keyword) is not None and not _is_default(request, keyword):
            arguments.append(f"{keyword}={_format(request[keyword])}")
    for key, value in sorted((request.get("flow_options") or {}).items()):
        arguments.append(f"{key}={value!r}")
    lines = "".join(f"    {argument},\n" for argument in arguments)
    before = "import thalweg as tw\n\n"
    if _is_x64(record):
        before = 'import jax\nimport thalweg as tw\n\njax.config.update("jax_enable_x64", True)\n'
    return f"{before}posterior = tw.infer(\n{lines})"


def _declaration(target: dict[str, Any]) -> list[str]:
    """Return the arguments that declare the parameters of a function."""
    named = target.get("parameters")
    if named is None:
        return [f"dim={target.get('dim')!r}"]
    shapes = {name: tuple(shape) for name, shape in named["shapes"].items()}
    words = {
        name: "my_support" if A_FUNCTION in word else repr(word)
        for name, word in named["supports"].items()
        if word != "real"
    }
    supports = ", ".join(f"{name!r}: {word}" for name, word in words.items())
    return [f"parameters={shapes!r}", *([f"supports={{{supports}}}"] if words else [])]


def facts(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Return versions, device and date, as far as the record has them."""
    found: list[tuple[str, str]] = []
    environment = record.get("environment") or {}
    request, target = record.get("request") or {}, record.get("target") or {}
    if request.get("seed") is not None:
        found.append(("Seed", str(request["seed"])))
    if target.get("source"):
        found.append(("Target from", str(target["source"])))
    if environment.get("device"):
        found.append(("Device", str(environment["device"])))
    if environment.get("machine"):
        found.append(("Machine", str(environment["machine"])))
    if "x64" in environment:
        found.append(("Precision", "float64" if environment["x64"] else "float32"))
    versions = environment.get("versions") or {}
    if versions:
        found.append(("Versions", ", ".join(f"{k} {v}" for k, v in versions.items())))
    if record.get("written"):
        found.append(("Run of", str(record["written"]).replace("T", " ").replace("+00:00", " UTC")))
    return found


def _is_x64(record: dict[str, Any]) -> bool:
    """Whether float64 was asked for; a fit that changes to it by itself does so again."""
    chosen = record.get("precision") or {}
    asked = (record.get("request") or {}).get("precision", "auto")
    if chosen.get("because") or asked != "auto":
        return False
    return bool((record.get("environment") or {}).get("x64"))


def _format(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if not isinstance(value, float) or float(text) == value else repr(value)
