"""Types of the arguments and results of distributions, whose shapes the tests check."""

from jaxtyping import Array, ArrayLike, Float, Real, Shaped

Shape = tuple[int, ...]

Points = Shaped[ArrayLike, "*batch_and_event"]  # converted to floats
Vectors = Real[ArrayLike, "*batch d"]
Context = Real[ArrayLike, "*contexts"] | None
Events = Float[Array, "*batch_and_event"]
LogProb = Float[Array, "*batch"]
