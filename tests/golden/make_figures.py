#!/usr/bin/env python3
"""Writes the golden files of the evaluation's figures: rows of labelled series and their figures.

  make_figures.py

Every definition is spelled out threshold by threshold and row by row, slowly, so that it can be
compared with the papers: VUS-PR (Paparrizos et al. 2022), average precision, the NAB score (Lavin
and Ahmad 2015, standard profile). Seeds are fixed, and scores are rounded to the digits written.

figures_rows.csv     case,label,score,alert: the rows of each case in order; no score is "nan"
figures_golden.csv   case,vus_pr,auc_pr,nab_gain,nab_range
"""
import math
import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
THRESHOLDS, BUFFERS = 250, range(0, 101, 5)
GAP, REPEAT = 5, 100


def ranges(flags):
    """(first, last) of each run of ones."""
    edges = [i for i in range(len(flags)) if flags[i] and (i == 0 or not flags[i - 1])]
    ends = [i for i in range(len(flags)) if flags[i] and (i + 1 == len(flags) or not flags[i + 1])]
    return list(zip(edges, ends))


def without_nan(score):
    known = score[np.isfinite(score)]
    return np.where(np.isfinite(score), score, known.min() if len(known) else 0.0)


def average_precision(label, score):
    area, recall = 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        alerted = score >= threshold
        hits = (alerted & (label == 1)).sum()
        area += (hits / label.sum() - recall) * hits / alerted.sum()
        recall = hits / label.sum()
    return area


def buffered(label, width):
    """How much each row counts as part of an event: sqrt(1 - distance / width) in the buffer."""
    weight = label.astype(float)
    for first, last in ranges(label):
        for distance in range(1, width // 2 + 1):
            for row in (first - distance, last + distance):
                if 0 <= row < len(label):
                    weight[row] += math.sqrt(1 - distance / width)
    return np.minimum(weight, 1.0)


def joined(label, width):
    """Events with their buffers; those that touch are one."""
    result = []
    for first, last in ranges(label):
        first, last = max(0, first - width // 2), min(len(label) - 1, last + width // 2)
        if result and first <= result[-1][1] + 1:
            result[-1][1] = last
        else:
            result.append([first, last])
    return result


def vus_pr(label, score):
    ranked = np.sort(score)[::-1]
    ranks = np.linspace(0, len(score) - 1, THRESHOLDS).astype(int)
    areas = []
    for width in BUFFERS:
        weight, events = buffered(label, width), joined(label, width)
        area, recall = 0.0, 0.0
        for threshold in ranked[ranks]:
            alerted = score >= threshold
            hits = weight[alerted].sum()
            positives = label.sum() + weight[alerted & (label == 0)].sum() / 2
            found = np.mean([score[first : last + 1].max() >= threshold for first, last in events])
            reached = min(hits / positives, 1.0) * found
            area += (reached - recall) * hits / alerted.sum()
            recall = reached
        areas.append(area)
    return np.mean(areas)


def nab(label, alert):
    def sigmoid(y):
        return -1.0 if y > 3 else 2 / (1 + math.exp(5 * y)) - 1

    def place(row, event):
        return (row - event[1]) / max(1, event[1] - event[0])

    events = ranges(label)
    counted, last, begun = [], -math.inf, -math.inf
    for row in np.flatnonzero(alert):
        if row - last > GAP or row - begun >= REPEAT:
            begun = row
            if not label[row]:
                counted.append(row)
        last = row
    gain = 0.0
    for event in events:
        inside = [row for row in range(event[0], event[1] + 1) if alert[row]]
        if inside:  # 1 for not missing it
            gain += 1 + sigmoid(place(inside[0], event)) / sigmoid(-1)
    for row in counted:
        before = [event for event in events if event[1] < row]
        gain += 0.11 * (sigmoid(place(row, before[-1])) if before else -1.0)
    return gain, 2.0 * len(events)


def cases():
    rng = np.random.default_rng(7)

    def series(rows, events, strength=2.0, digits=4):
        label = np.zeros(rows, int)
        for first, last in events:
            label[first : last + 1] = 1
        score = np.round(rng.gamma(2.0, 1.0, rows) + strength * label * rng.random(rows), digits)
        alert = (score > np.quantile(score, 0.97)).astype(int)
        return label, score, alert

    yield "several", series(900, [(120, 140), (300, 300), (620, 700)])
    yield "edges", series(600, [(0, 9), (580, 599)])
    yield "buffers_touch", series(700, [(200, 210), (240, 250), (330, 331), (332 + 60, 400)])
    yield "ties", series(500, [(100, 120), (400, 410)], digits=0)
    yield "few_rows", series(60, [(30, 34)])
    yield "all_labelled", series(120, [(0, 119)])
    label, score, _ = series(400, [(200, 230)])
    yield "constant", (label, np.ones_like(score), np.zeros(400, int))
    label, score, alert = series(500, [(50, 60), (300, 340)])
    score[:20] = np.nan
    yield "no_score_at_first", (label, score, alert)
    label, score, alert = series(800, [(300, 320), (700, 701)])
    alert[250:600] = 1
    yield "alert_goes_on", (label, score, alert)


def main():
    rows = open(os.path.join(HERE, "figures_rows.csv"), "w")
    golden = open(os.path.join(HERE, "figures_golden.csv"), "w")
    rows.write("case,label,score,alert\n")
    golden.write("case,vus_pr,auc_pr,nab_gain,nab_range\n")
    with rows, golden:
        for case, (label, score, alert) in cases():
            for row in zip(label, score, alert):
                rows.write("%s,%d,%.4g,%d\n" % (case, *row))
            score = without_nan(np.array([float("%.4g" % s) for s in score]))
            figures = (vus_pr(label, score), average_precision(label, score), *nab(label, alert))
            golden.write(case + "," + ",".join("%.12g" % f for f in figures) + "\n")


if __name__ == "__main__":
    main()
