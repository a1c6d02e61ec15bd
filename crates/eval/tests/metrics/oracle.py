"""Computes metrics and intervals with scikit-learn and SciPy: cases as JSON in, values as JSON out."""

import json
import sys

import numpy as np
from scipy import stats
from sklearn import metrics


def wilson(correct):
    interval = stats.binomtest(int(correct.sum()), len(correct)).proportion_ci(0.95, "wilson")
    return [interval.low, interval.high]


def student(values):
    error = stats.sem(values)
    return [float(x) for x in stats.t.interval(0.95, len(values) - 1, np.mean(values), error)]


def judge(case):
    name = case["metric"]
    x = np.array(case["outputs"]).reshape(case["samples"], -1)
    y = np.array(case["labels"]).reshape(case["samples"], -1)
    if name.startswith("top"):
        y = y[:, 0].astype(int)
        value = metrics.top_k_accuracy_score(y, x, k=int(name[3:]), labels=range(x.shape[1]))
        order = np.argsort(-x, axis=1, kind="stable")[:, : int(name[3:])]
        counts = metrics.confusion_matrix(y, x.argmax(1), labels=range(x.shape[1]))
        return {"value": value, "ci": wilson((order == y[:, None]).any(1)), "confusion": counts.tolist()}
    positive, y = x > case["threshold"], (y == 1) if name in ("binary", "f1", "multilabel") else y
    if name == "binary":
        right = positive[:, 0] == y[:, 0]
        return {"value": metrics.accuracy_score(y[:, 0], positive[:, 0]), "ci": wilson(right),
                "f1": metrics.f1_score(y[:, 0], positive[:, 0])}
    if name == "f1":
        return {"value": metrics.f1_score(y[:, 0], positive[:, 0])}
    if name == "multilabel":
        right = (positive == y).all(1)
        return {"value": metrics.accuracy_score(y, positive), "ci": wilson(right),
                # Labels that no sample has are left out.
                "mean_f1": metrics.f1_score(y[:, y.any(0)], positive[:, y.any(0)], average="macro"),
                "label_accuracy": 1 - metrics.hamming_loss(y, positive)}
    if name == "auc":
        return {"value": metrics.roc_auc_score(y[:, 0], x[:, 0])}
    if name == "mse":
        return {"value": metrics.mean_squared_error(y, x), "ci": student(((x - y) ** 2).mean(1))}
    if name == "mae":
        return {"value": metrics.mean_absolute_error(y, x), "ci": student(np.abs(x - y).mean(1))}
    if name == "r2":
        return {"value": metrics.r2_score(y, x)}
    raise ValueError(name)


json.dump([judge(case) for case in json.load(sys.stdin)], sys.stdout)
