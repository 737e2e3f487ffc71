"""Types of the arguments and results of maps, as annotations whose shapes the tests check."""

from jaxtyping import Array, Float, Num

from thalweg.nets.conditioner import Context as Context

Shape = tuple[int, ...]

# An event has the shape of its map; maps with `supports_trailing_batch` also take (d, n). Their
# log-determinants are then (n,), or a number where they are the same everywhere.
Event = Float[Array, "*event"]
LogDet = Float[Array, ""] | Float[Array, " n"]
Pushed = tuple[Event, LogDet, Event]  # x, ln|det ∂x/∂z| and the score of the density of x

# Data with the batch first, and contexts for it.
Events = Float[Array, "n *event"]
Contexts = Num[Array, "n *context"] | None

Raw = dict[str, Float[Array, "..."]]  # unconstrained parameters by name
