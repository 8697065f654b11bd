#!/usr/bin/env python3
"""Writes the golden files of the model members: normalised rows and the residuals of each member.

  make_members.py recipe.py

The argument is the reference implementation in Python (numpy and torch), which is not part of this
repository. Rows are synthetic, seeds are fixed, and every input is rounded to the digits written,
so that both sides read the same numbers.

members_<case>.csv   first line: channels and the number of rows that members are fitted on; then
                     one line per row: the channels, then the residuals of var4, vard, ar16 and of
                     the linear autoencoder (pca), each for all channels.
"""
import importlib.util
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def reference(path):
    spec = importlib.util.spec_from_file_location("reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(seed, n, channels):
    """Seasonal, coupled, noisy channels with a fault after three quarters."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None]
    season = np.sin(2 * np.pi * t / 24 + np.arange(channels)) + 0.3 * np.sin(2 * np.pi * t / 7)
    walk = np.cumsum(rng.standard_normal((n, 1)), 0) * 0.05
    z = season + walk + 0.2 * rng.standard_normal((n, channels))
    z[3 * n // 4 : 3 * n // 4 + 5] += 4
    return np.round((z - z.mean(0)) / z.std(0), 4)


def main():
    recipe = reference(sys.argv[1])
    # Three channels; one channel; rows so few that windows and lags shrink.
    cases = (("three", 400, 3, 240), ("one", 300, 1, 180), ("few", 120, 2, 60))
    for case, n, channels, fitted in cases:
        z = rows(len(case), n, channels)
        residuals = (
            recipe.ridge_predictor(z, fitted, recipe.LAGS4, 1e-3),
            recipe.ridge_predictor(z, fitted, recipe.DILATED, 1e-2),
            recipe.ridge_predictor(z, fitted, recipe.LAGS16, 1e-3, True),
            recipe.window_pca(z, fitted),
        )
        with open(os.path.join(HERE, f"members_{case}.csv"), "w") as out:
            out.write(f"{channels},{fitted}\n")
            for row in np.concatenate((z,) + residuals, 1):
                out.write(",".join(f"{v:.6g}" for v in row) + "\n")


if __name__ == "__main__":
    main()
