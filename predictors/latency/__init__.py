"""Latency of quantized networks, measured and predicted."""

from predictors.latency.fitting import additive, fit
from predictors.latency.model import LatencyModel
from predictors.latency.plan import networks_to_time
from predictors.latency.probe import Partial, Timing, measure
from predictors.latency.profile import profile
from predictors.latency.table import Table, TableError
from predictors.latency.target import Target
from predictors.latency.whole import WholeModel, fit_whole

__all__ = [
    "LatencyModel",
    "Partial",
    "Table",
    "TableError",
    "Target",
    "Timing",
    "WholeModel",
    "additive",
    "fit",
    "fit_whole",
    "measure",
    "networks_to_time",
    "profile",
]
