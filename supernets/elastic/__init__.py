"""Elastic layers: one weight, many slices."""

from supernets.elastic.batch_norm import ElasticBatchNorm, Moments, moments_of, pooled
from supernets.elastic.layers import ElasticConv, ElasticLinear
from supernets.elastic.slices import conv_slice, linear_slice

__all__ = [
    "ElasticBatchNorm",
    "ElasticConv",
    "ElasticLinear",
    "Moments",
    "conv_slice",
    "linear_slice",
    "moments_of",
    "pooled",
]
