#!/usr/bin/env python3
"""Writes the golden files of the memories: normalised rows and the distances of each bank.

  make_memory.py recipe.py

The argument is the reference implementation in Python (numpy), which is not part of this
repository. Rows are synthetic, seeds are fixed, and every input is rounded to the digits written,
so that both sides read the same numbers.

memory_<case>.csv    first line: channels, rows that are fitted on, rows that are learned in all;
                     then one line per row: the channels, then the distances of bank16, bank32 and
                     bank32c, each for all channels.
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


def rows(seed, n, channels, learned):
    """Seasonal channels with a fault in the first one, and a drift that the bank has to follow."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    z = np.stack(
        [
            np.sin(2 * np.pi * t / (24 + 7 * c) + c)
            + 0.3 * np.sin(2 * np.pi * t / 101)
            + 0.25 * rng.standard_normal(n)
            for c in range(channels)
        ],
        1,
    )
    shrink = max(1, 400 // (n - learned))
    z[learned + 200 // shrink : learned + 220 // shrink, 0] += 3
    z[learned + 150 :] += np.linspace(0, 1.0, n - learned - 150)[:, None]
    return np.round(z, 4).astype(np.float32).astype(np.float64)


def main():
    recipe = reference(sys.argv[1])
    # One channel; three; rows so few that banks are small.
    cases = (("one", 1, 900, 1800, 1), ("three", 3, 600, 1300, 2), ("few", 2, 100, 700, 3))
    for case, channels, learned, n, seed in cases:
        z = rows(seed, n, channels, learned)
        fitted = max(16, int(0.7 * learned))
        banks = [
            recipe.memory_bank(z, learned, fitted, window, centred)
            for window, centred in ((16, False), (32, False), (32, True))
        ]
        with open(os.path.join(HERE, f"memory_{case}.csv"), "w") as out:
            out.write(f"{channels},{fitted},{learned}\n")
            for i in range(n):
                cells = [f"{v:.4f}" for v in z[i]]
                cells += [f"{bank[i, c]:.6f}" for bank in banks for c in range(channels)]
                out.write(",".join(cells) + "\n")


if __name__ == "__main__":
    main()
