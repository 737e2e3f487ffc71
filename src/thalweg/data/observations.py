"""Tables of images, compact on the device and converted to floats when rows are drawn."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped, UInt8

from thalweg.tree import default_float

Shape = tuple[int, ...]
EDGE = 1e-4
MANY = 10_000  # rows that standard deviations are computed from
BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)  # of each byte


class Observations(eqx.Module):
    """A table of rows of one shape, which are drawn as flat vectors of floats.

    `Bits`, `Grey` and `Reals` are such tables.

    Args:
        shape: The shape of a row.

    Example:
        >>> import numpy as np
        >>> import thalweg as tw
        >>> table = tw.data.Reals(np.ones((5, 2, 3)))
        >>> isinstance(table, tw.data.Observations), len(table), table.size
        (True, 5, 6)
    """

    shape: eqx.AbstractVar[Shape]  # of one row

    @property
    def size(self) -> int:
        """The number of values of a row."""
        return math.prod(self.shape)

    @property
    def binary(self) -> bool:
        """Whether drawn values are 0 or 1."""
        return False

    def __len__(self) -> int:
        return len(jax.tree.leaves(self)[0])

    @abstractmethod
    def rows(self, index: Int[Array, " rows"], key: PRNGKeyArray) -> Float[Array, "rows n"]:
        """Return these rows as floats. The key is for what is drawn afresh each time."""

    def take(self, index: Int[np.ndarray, " rows"]) -> Self:
        """Return some rows as a table."""
        return jax.tree.map(lambda leaf: leaf[index], self)

    @abstractmethod
    def mean(self) -> Float[np.ndarray, " n"]:
        """The mean over all rows."""

    def spread(self) -> Float[np.ndarray, " n"]:
        """Standard deviations over rows, from at most `MANY` of them; 1 where nothing varies.

        There is one for each entry of a vector, and one for all pixels of an image.
        """
        count = min(len(self), MANY)
        index = np.arange(count) * len(self) // count
        some = np.asarray(self.rows(jnp.asarray(index), jax.random.key(0)), np.float64)
        variance = np.where(np.ptp(some, 0) > 0, some.var(0), 0.0)
        if len(self.shape) > 1:
            variance = np.full_like(variance, variance.mean())
        return np.where(variance > 0, np.sqrt(variance), 1.0)


class Bits(Observations):
    """Zeros and ones, eight to a byte; rows are always the same.

    Args:
        packed: Rows of bytes, (rows, ⌈size / 8⌉), the first pixel in the highest bit.
        shape: The shape of a row before it was packed.

    Raises:
        ValueError: The bytes are not those of rows of this shape.

    Example:
        >>> import numpy as np
        >>> import thalweg as tw
        >>> table = tw.data.Bits.pack(np.eye(3))
        >>> table.shape, table.mean().round(2).tolist()
        ((3,), [0.33, 0.33, 0.33])
    """

    packed: UInt8[Array, "rows bytes"]
    shape: Shape = eqx.field(static=True)

    def __init__(self, packed: UInt8[np.ndarray, "rows bytes"], shape: Shape):
        size = math.prod(shape)
        if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != -(-size // 8):
            raise ValueError(
                f"rows of {size} bits are {-(-size // 8)} bytes each, got an array of "
                f"{packed.dtype} of shape {packed.shape}"
            )
        self.packed, self.shape = jnp.asarray(packed), tuple(shape)

    @classmethod
    def pack(cls, values: Shaped[np.ndarray, rows * shape]) -> Bits:
        """Pack rows of zeros and ones, (rows, *shape)."""
        values = np.asarray(values)
        if not np.isin(values, (0, 1)).all():
            raise ValueError("binary rows hold 0 and 1 only")
        flat = values.reshape(len(values), -1).astype(np.uint8)
        return cls(np.packbits(flat, axis=1), values.shape[1:])

    @property
    def binary(self) -> bool:
        return True

    def rows(self, index: Int[Array, " rows"], key: PRNGKeyArray) -> Float[Array, "rows n"]:
        # A look-up, which a CPU does once: shifts would be repeated for each use of a row, in the
        # middle of matrix products.
        bits = jnp.asarray(BITS, default_float())[self.packed[index]]
        return bits.reshape(len(index), -1)[:, : self.size]

    def mean(self) -> Float[np.ndarray, " n"]:
        packed = np.asarray(self.packed)
        return np.unpackbits(packed, axis=1, count=self.size).mean(0)


BINARISATIONS = ("dynamic", "threshold", "none")


class Grey(Observations):
    """Bytes; a row is its bytes / 255, drawn from these, or thresholded.

    Args:
        values: Rows of bytes, (rows, *shape).
        binarisation: "dynamic" (each pixel is 1 with probability byte/255, drawn afresh every
            time), "threshold" (1 from a half on) or "none" (byte/255 itself).

    Raises:
        ValueError: The values are no rows of bytes, or the binarisation is unknown.

    Example:
        >>> import numpy as np
        >>> import thalweg as tw
        >>> table = tw.data.Grey(np.full((2, 4), 51, np.uint8))
        >>> table.binary, table.mean().tolist()
        (False, [0.2, 0.2, 0.2, 0.2])
    """

    bytes: UInt8[Array, "rows n"]
    binarisation: str = eqx.field(static=True)
    shape: Shape = eqx.field(static=True)

    def __init__(self, values: UInt8[np.ndarray, "rows ..."], binarisation: str = "none"):
        if values.dtype != np.uint8 or values.ndim < 2:
            raise ValueError(
                f"rows of bytes are needed, got {values.dtype} of shape {values.shape}"
            )
        if binarisation not in BINARISATIONS:
            raise ValueError(
                f"unknown binarisation {binarisation!r}; known: {', '.join(BINARISATIONS)}"
            )
        self.bytes = jnp.asarray(values.reshape(len(values), -1))
        self.binarisation, self.shape = binarisation, values.shape[1:]

    @property
    def binary(self) -> bool:
        return self.binarisation != "none"

    def rows(self, index: Int[Array, " rows"], key: PRNGKeyArray) -> Float[Array, "rows n"]:
        values = self.bytes[index].astype(default_float()) / 255
        if self.binarisation == "dynamic":
            return (jax.random.uniform(key, values.shape, values.dtype) < values).astype(
                values.dtype
            )
        if self.binarisation == "threshold":
            return (values >= 0.5).astype(values.dtype)
        return values

    def mean(self) -> Float[np.ndarray, " n"]:
        values = np.asarray(self.bytes)
        if self.binarisation == "threshold":
            return (values >= 127.5).mean(0)
        return values.mean(0) / 255


class Patches(Observations):
    """Bytes of images; a row is a square of `side` pixels at a random position.

    Values are ε + (1 − 2ε) byte/255, ε = 1e-4: inside the ends, where a logit is infinite.
    """

    bytes: UInt8[Array, "rows h w c"]
    shape: Shape = eqx.field(static=True)

    def __init__(self, values: UInt8[np.ndarray, "rows h w c"], side: int):
        if values.dtype != np.uint8 or values.ndim != 4:
            raise ValueError(
                f"rows of bytes (h, w, channels) are needed, got {values.dtype} of shape "
                f"{values.shape}"
            )
        if not 1 <= side <= min(values.shape[1:3]):
            raise ValueError(
                f"a patch of {side} pixels cannot be cut from {values.shape[1:3]} of them"
            )
        self.bytes, self.shape = jnp.asarray(values), (side, side, values.shape[3])

    def rows(self, index: Int[Array, " rows"], key: PRNGKeyArray) -> Float[Array, "rows n"]:
        room = jnp.asarray(self.bytes.shape[1:3]) - self.shape[0] + 1
        corners = jax.random.randint(key, (len(index), 2), 0, room)

        def cut(row: Array, corner: Array) -> Array:
            start = (row, corner[0], corner[1], jnp.zeros_like(row))
            return jax.lax.dynamic_slice(self.bytes, start, (1, *self.shape))

        levels = jax.vmap(cut)(index, corners).reshape(len(index), -1) / 255
        return (EDGE + (1 - 2 * EDGE) * levels).astype(default_float())

    def mean(self) -> Float[np.ndarray, " n"]:
        # Every pixel of a patch takes nearly all positions in the images.
        colours = np.asarray(self.bytes).reshape(-1, self.shape[2]).mean(0) / 255
        everywhere = np.broadcast_to(EDGE + (1 - 2 * EDGE) * colours, self.shape)
        return np.ravel(everywhere)


class Reals(Observations):
    """Floats, unchanged.

    Args:
        values: Rows of numbers, (rows, *shape).

    Raises:
        ValueError: The values have no rows.

    Example:
        >>> import numpy as np
        >>> import thalweg as tw
        >>> tw.data.Reals(np.zeros((4, 2))).spread().tolist()
        [1.0, 1.0]
    """

    values: Float[Array, "rows n"]
    shape: Shape = eqx.field(static=True)

    def __init__(self, values: Float[np.ndarray, "rows ..."]):
        values = np.asarray(values, float)
        if values.ndim < 2:
            raise ValueError(f"rows of numbers are needed, got an array of shape {values.shape}")
        self.values = jnp.asarray(values.reshape(len(values), -1), default_float())
        self.shape = values.shape[1:]

    def rows(self, index: Int[Array, " rows"], key: PRNGKeyArray) -> Float[Array, "rows n"]:
        return self.values[index]

    def mean(self) -> Float[np.ndarray, " n"]:
        return np.asarray(self.values).mean(0)
