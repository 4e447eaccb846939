"""Latency of quantized networks, measured and predicted."""

from predictors.latency.model import LatencyModel, fit
from predictors.latency.probe import Partial, Timing, measure
from predictors.latency.profile import Target, networks_to_time, profile
from predictors.latency.table import Table, TableError

__all__ = [
    "LatencyModel",
    "Partial",
    "Table",
    "TableError",
    "Target",
    "Timing",
    "fit",
    "measure",
    "networks_to_time",
    "profile",
]
