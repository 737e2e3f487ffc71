"""Stand-ins for compiled Stan programs, in NumPy."""

import numpy as np


class Quartic:
    """ln p̃ = −Σ u⁴/4 − u₀u₁; where u₀ > 5 the program rejects, where u₀ is NaN so is all."""

    dim = 3

    def __init__(self):
        self.calls = []

    def values(self, points):
        return self.values_and_gradients(points)[0]

    def values_and_gradients(self, points):
        self.calls.append(points.shape)
        assert points.dtype == np.float64
        values = -np.sum(points**4, 1) / 4 - points[:, 0] * points[:, 1]
        gradients = -(points**3)
        gradients[:, 0] -= points[:, 1]
        gradients[:, 1] -= points[:, 0]
        out = points[:, 0] > 5
        return np.where(out, -np.inf, values), np.where(out[:, None], 0.0, gradients)

    def hessians(self, points):
        self.calls.append(points.shape)
        found = np.zeros((len(points), 3, 3))
        found[:, range(3), range(3)] = -3 * points**2
        found[:, 0, 1] = found[:, 1, 0] = -1
        return found


class Transformed:
    """a real, b > 0, c > b, and a matrix M that Stan keeps by columns; ln p̃ is that of normals."""

    dim = 7
    shapes = {"a": (), "b": (), "c": (), "M": (2, 2)}  # noqa: RUF012
    matrix = ("M.1.1", "M.2.1", "M.1.2", "M.2.2")
    constrained_names = unconstrained_names = ("a", "b", "c", *matrix)

    def constrain(self, points):
        a, b, c, *m = points.T
        with np.errstate(over="ignore"):
            return np.stack([a, np.exp(b), np.exp(b) + np.exp(c), *m], 1)

    def unconstrain(self, rows):
        if np.any(rows[:, 2] <= rows[:, 1]):
            raise ValueError("lb_free: c is below b")
        a, b, c, *m = rows.T
        return np.stack([a, np.log(b), np.log(c - b), *m], 1)

    def values(self, points, *, jacobian=True):
        plain = -0.5 * np.sum(self.constrain(points) ** 2, 1)
        return plain + jacobian * (points[:, 1] + points[:, 2])


class Bounded:
    """Supports that thalweg knows, with bounds of many digits."""

    dim = 7
    shapes = {"low": (), "high": (2,), "both": (), "order": (2,), "none": (0,), "last": ()}  # noqa: RUF012
    constrained_names = ("low", "high.1", "high.2", "both", "order.1", "order.2", "last")
    unconstrained_names = constrained_names

    def constrain(self, u):
        with np.errstate(over="ignore"):
            order = np.stack([u[:, 4], u[:, 4] + np.exp(u[:, 5])], 1)
            both = 1 / 3 + 2 / (1 + np.exp(-u[:, 3]))
            columns = [-1.25 + np.exp(u[:, 0]), 7 - np.exp(u[:, 1]), 7 - np.exp(u[:, 2]), both]
            return np.stack([*columns, *order.T, u[:, 6]], 1)


class Exponential:
    """a > 0 with ln p̃ = −a; `determinant` times the determinant is added where it is asked for."""

    dim = 1
    shapes = {"a": ()}  # noqa: RUF012
    constrained_names = unconstrained_names = ("a",)

    def __init__(self, determinant=1.0):
        self.determinant = determinant

    def constrain(self, points):
        with np.errstate(over="ignore"):
            return np.exp(points)

    def values(self, points, *, jacobian=True):
        return -np.exp(points[:, 0]) + jacobian * self.determinant * points[:, 0]
