"""Mean and variance of a whole from those of its parts."""

from __future__ import annotations

import numpy as np


class Moments:
    """Per channel, merged in float64 (Chan, Golub & LeVeque 1983): E[x^2] - E[x]^2 would cancel."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = np.zeros(1)
        self._squares = np.zeros(1)  # summed squared distances from the mean

    def add(self, means: np.ndarray, variances: np.ndarray, length: int) -> None:
        """Take in rows of `length` values each, given their means and variances, both [C, rows]."""
        means, variances = means.astype(np.float64), variances.astype(np.float64)
        count, mean = length * means.shape[1], means.mean(axis=1)
        squares = length * (variances + (means - mean[:, None]) ** 2).sum(axis=1)
        total, distance = self._count + count, mean - self._mean
        self._squares = self._squares + squares + distance**2 * (self._count * count / total)
        self._mean = self._mean + distance * (count / total)
        self._count = total

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and (biased) variance, float64 [C]."""
        return self._mean, self._squares / self._count
