#!/usr/bin/env python3
"""Writes the golden files of the adaptive tail and of the detector.

  make_judge_golden.py --tail adaptive_tail.py --detector recipe2.py

The two arguments are the reference implementations in Python (numpy; the second also imports
torch), which are not part of this repository. Streams are synthetic, seeds are fixed, and every
input is rounded to the digits written, so that both sides read the same numbers.

tail_<stream>.csv      score,p,alert: the first 600 rows calibrate; p is empty where it is not below
                       0.02, the level at which the tail begins.
detector_<stream>.csv  residual columns (member by member), then score,p,alert in the same way.
"""
import argparse
import importlib.util
import os

import numpy as np

CALIBRATION = 600
HERE = os.path.dirname(os.path.abspath(__file__))


def reference(path):
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ar1(rng, n, rho):
    x = np.zeros(n)
    for i in range(1, n):
        x[i] = rho * x[i - 1] + np.sqrt(1 - rho * rho) * rng.standard_normal()
    return x


def score_streams():
    rng = np.random.default_rng(20)
    n = 2400
    exponential = rng.exponential(1.0, n)
    correlated = np.exp(ar1(rng, n, 0.8))
    drifting = rng.exponential(1.0, n) * np.linspace(1, 4, n)
    shifted = rng.lognormal(0, 0.5, n)
    shifted[1000:] *= 6
    spiky = rng.lognormal(0, 0.4, n)
    spiky[rng.choice(np.arange(700, n), 25, False)] *= 30
    spiky[1500:1512] *= 40
    ties = np.round(rng.exponential(1.0, n), 1)
    dirty = rng.exponential(1.0, n)
    dirty[300:308] *= 50
    return dict(exponential=exponential, correlated=correlated, drifting=drifting, shifted=shifted,
                spiky=spiky, ties=ties, dirty=dirty, followed=drifting)


def residual_streams():
    rng = np.random.default_rng(21)
    n, members, channels = 1800, 2, 2
    def base():
        common = np.stack([ar1(rng, n, 0.3) for _ in range(channels)], 1)
        own = rng.standard_normal((n, members, channels)) * 0.5
        return common[:, None, :] + own
    incidents = base()
    incidents[900:906] += 8
    incidents[1200:1300, :, 1] += 4
    incidents[1500, 0, 0] = 25
    level = base()
    level[1000:] *= 3
    returning = base()
    returning[800:1100] += 5
    return dict(incidents=incidents, level=level, returning=returning)


def p_text(p):
    return '' if p >= 0.0199 else '%.9g' % p


def write(name, header, rows):
    with open(os.path.join(HERE, name), 'w') as f:
        f.write(header + '\n')
        for row in rows:
            f.write(','.join(row) + '\n')


def tail_rows(ref, name, scores):
    scores = [float('%.6g' % v) for v in scores]
    drift = 400 if name == 'followed' else 0  # memory of the centre, in rows
    tail = ref.AdaptiveTail(scores[:CALIBRATION], H_drift=drift)
    for i, score in enumerate(scores):
        p, alert = tail.step(score) if i >= CALIBRATION else (1.0, False)
        yield '%.6g' % score, p_text(p), str(int(alert))


def detector_rows(ref, residuals, alpha=1e-3):
    """As `detect` of the reference does from residuals on, without the exclusion of incidents."""
    text = [['%.4f' % v for v in row.ravel()] for row in residuals]
    rounded = np.array([[np.float32(v) for v in row] for row in text], np.float64)
    rounded = rounded.reshape(residuals.shape)
    n, members, _ = rounded.shape
    k = CALIBRATION
    smoothed = np.zeros((n, members, len(ref.SPANS)))
    for j in range(members):
        size = np.abs(rounded[:, j])
        cost = ref.cost(size, size[:k])
        for q, span in enumerate(ref.SPANS):
            smoothed[:, j, q] = ref.ewma(cost, span)
    score = ref.combine(smoothed / np.maximum(np.quantile(smoothed[:k], 0.99, axis=0), 1e-9))
    tail = ref.AdaptiveTail(score[:k], alpha)
    rule = ref.Alert(np.quantile(smoothed[:k], 0.95, axis=0), alpha * min(1.0, k / ref.NCAL))
    for i in range(n):
        p, alert = 1.0, False
        if i >= k:
            p = tail.step(score[i])
            alert = rule.step(p, smoothed[i])
        yield *text[i], '%.7g' % score[i], p_text(p), str(int(alert))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tail', required=True)
    parser.add_argument('--detector', required=True)
    args = parser.parse_args()
    tail, detector = reference(args.tail), reference(args.detector)
    for name, scores in score_streams().items():
        write('tail_%s.csv' % name, 'score,p,alert', tail_rows(tail, name, scores))
    for name, residuals in residual_streams().items():
        write('detector_%s.csv' % name, 'r00,r01,r10,r11,score,p,alert',
              detector_rows(detector, residuals))


if __name__ == '__main__':
    main()
