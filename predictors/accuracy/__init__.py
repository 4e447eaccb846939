"""Predicting the quality of subnets, one method per file."""

from predictors.accuracy.gaussian_process import AccuracyPredictor, fit, signal

__all__ = ["AccuracyPredictor", "fit", "signal"]
