"""Damaged input for loaders: how files are damaged, and what a loader may do with one.

A loader that is handed a damaged file, or one that a stranger made, gives a result or raises a
`ValueError` of one sentence. Anything else is a failure: another exception, a hang, memory that
runs away. Usage, here of a loader of tables:

    rng = np.random.default_rng(0)
    whole = path.read_bytes()
    for _ in range(100):
        path.write_bytes(damaged(whole, rng))
        assert_survives(lambda p: open_table(p).rows(None, 2**24), path)

`damaged` changes bytes; `damaged_json` changes values of a JSON document and keeps its form.
"""

from __future__ import annotations

import copy
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SECONDS = 5.0  # of the process's own time; the machine may be busy with others
WAIT = 60.0  # by the clock: something that blocks uses no time of its own
MEMORY = 2**30  # bytes beyond what the process has when it begins
LONGEST = 1000  # characters of a sentence


class Hangs(BaseException):
    """A loader took longer than it may; no handler of exceptions catches it."""


def assert_survives(load: Callable[[Path], Any], path: Path) -> Any:
    """Call `load(path)`: its result, or the `ValueError` it raised, where that is one sentence.

    Raises `AssertionError` that names the path for every other exception, for a sentence that has
    several lines, is empty or longer than `LONGEST`, and where more than `SECONDS` of computing,
    `WAIT` of waiting or `MEMORY` are used. Load once what is whole before the first call: what is
    imported and compiled then is not counted against a damaged file.
    """
    try:
        with _limited():
            return load(path)
    except ValueError as error:
        said = str(error)
        if type(error) is not ValueError:
            # Subclasses such as UnicodeDecodeError and JSONDecodeError speak of insides.
            raise AssertionError(f"{path}: {type(error).__name__}: {said[:300]}") from error
        if not said.strip() or "\n" in said or len(said) > LONGEST:
            raise AssertionError(f"{path}: not one sentence: {said[:300]!r}") from error
        return error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise AssertionError(f"{path}: {type(error).__name__}: {str(error)[:300]}") from error


@contextmanager
def _limited() -> Iterator[None]:
    """A limit of time and memory, taken back at the end. Of the main thread alone."""
    import resource

    def stop(signum: int, frame: Any) -> None:
        raise Hangs(f"longer than {SECONDS:g} s of computing, or than {WAIT:g} s")

    before = {one: signal.signal(one, stop) for one in (signal.SIGPROF, signal.SIGALRM)}
    old = resource.getrlimit(resource.RLIMIT_AS)
    used = _address_space()
    try:
        if used is not None:
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, old[1]))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, WAIT)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, old)
        for one, handler in before.items():
            signal.signal(one, handler)


def _address_space() -> int | None:
    """Bytes of address space in use; None where the system does not say so."""
    status = Path("/proc/self/status")
    found = re.search(r"VmSize:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return None if found is None else int(found[1]) * 1024


# --- bytes ---------------------------------------------------------------------------------------

# What makes trouble in files of many kinds: ends of number ranges, signs of formats, quotes.
TOKENS = (
    *(b"\x00", b"\xff", b"\n", b"\r\n", b'"', b"'", b",", b";", b"\\", b"{", b"[", b"nan", b"inf"),
    *(b"-1", b"1e999", b"99999999999999999999", b"\xef\xbb\xbf", b"\x1f\x8b", b"PK\x03\x04"),
    *(b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7, b"\xf0\x9f\x92\xa5", b"\xc3\x28"),
)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with one to four changes, each of a random kind at a random place."""
    for _ in range(int(rng.integers(1, 5))):
        content = CHANGES[int(rng.integers(len(CHANGES)))](content, rng)
    return content


def _place(content: bytes, rng: np.random.Generator) -> int:
    # Headers stand at both ends: most changes are made there.
    if rng.random() < 0.5:
        near = int(rng.integers(0, min(len(content), 512) + 1))
        return near if rng.random() < 0.7 else len(content) - near
    return int(rng.integers(0, len(content) + 1))


def _flip(content: bytes, rng: np.random.Generator) -> bytes:
    if not content:
        return b"\x00"
    at = min(_place(content, rng), len(content) - 1)
    changed = bytearray(content)
    changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _replace(content: bytes, rng: np.random.Generator) -> bytes:
    at, token = _place(content, rng), TOKENS[int(rng.integers(len(TOKENS)))]
    return content[:at] + token + content[at + len(token) :]


def _insert(content: bytes, rng: np.random.Generator) -> bytes:
    at, token = _place(content, rng), TOKENS[int(rng.integers(len(TOKENS)))]
    return content[:at] + token * int(rng.integers(1, 4)) + content[at:]


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: _place(content, rng)]


def _remove(content: bytes, rng: np.random.Generator) -> bytes:
    at = _place(content, rng)
    return content[:at] + content[at + int(rng.integers(1, 65)) :]


def _repeat(content: bytes, rng: np.random.Generator) -> bytes:
    at, size = _place(content, rng), int(rng.integers(1, 257))
    return content[: at + size] + content[at:]


def _noise(content: bytes, rng: np.random.Generator) -> bytes:
    at, size = _place(content, rng), int(rng.integers(1, 33))
    return content[:at] + rng.bytes(size) + content[at + size :]


def _number(content: bytes, rng: np.random.Generator) -> bytes:
    """A number in the text becomes another one: lengths, shapes, offsets."""
    found = list(re.finditer(rb"\d+", content[:4096]))
    if not found:
        return _flip(content, rng)
    one = found[int(rng.integers(len(found)))]
    others = (b"0", b"-1", b"1", b"2147483648", b"9223372036854775807", b"1e400", b"1" * 400)
    return content[: one.start()] + others[int(rng.integers(len(others)))] + content[one.end() :]


CHANGES = (_flip, _flip, _replace, _insert, _cut, _remove, _repeat, _noise, _number, _number)

# --- JSON ----------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**9, 10**19, 10**400, 0.5, -0.0, 1e308, float("nan")),
    *(float("inf"), "", "x", "0", "true", "a" * 5000, "\x00", "../..", "é", "infer", "complete"),
    *([], [None], [[]], [1, 2, 3], ["x"], [0.5] * 50, {}, {"x": 1}, {"": None}, [{}], [True]),
)


def damaged_json(document: Any, rng: np.random.Generator) -> Any:
    """A copy of a JSON document with one to three entries changed, removed, moved or added."""
    document = copy.deepcopy(document)
    for _ in range(int(rng.integers(1, 4))):
        holders = [node for node in _nodes(document) if isinstance(node, (dict, list)) and node]
        if not holders:
            return VALUES[int(rng.integers(len(VALUES)))]
        node = holders[int(rng.integers(len(holders)))]
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = keys[int(rng.integers(len(keys)))]
        kind = rng.random()
        value = copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])
        if kind < 0.2:
            del node[key]
        elif kind < 0.3:
            nodes = list(_nodes(document))
            node[key] = copy.deepcopy(nodes[int(rng.integers(len(nodes)))])
        elif kind < 0.4:
            node[key] = [node[key]] if rng.random() < 0.5 else {"x": node[key]}
        elif kind < 0.5 and isinstance(node, list):
            node.append(value)
        elif kind < 0.5:
            node[f"{key}_"] = value
        else:
            node[key] = value
    return document


def _nodes(document: Any) -> Iterator[Any]:
    yield document
    for child in (
        document.values()
        if isinstance(document, dict)
        else document
        if isinstance(document, list)
        else ()
    ):
        yield from _nodes(child)
