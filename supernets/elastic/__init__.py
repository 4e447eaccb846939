"""Elastic layers: one weight, many slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from supernets.elastic.base import ElasticLayer
from supernets.elastic.batch_norm import ElasticBatchNorm, Moments, Pool, moments_of
from supernets.elastic.called import ElasticParameter, SignedBatchNorm, WrappedNorm, WrappedWeighted
from supernets.elastic.conv import ElasticConv
from supernets.elastic.entangled import owners
from supernets.elastic.experts import Mixture, Router
from supernets.elastic.linear import ElasticLinear
from supernets.elastic.segments import located
from supernets.elastic.slices import channel_slice, conv_slice, linear_slice
from supernets.elastic.tokens import ElasticClassToken, ElasticEmbedding, ElasticNorm, ElasticPosition, ElasticRMSNorm
from supernets.elastic.weighted import ElasticWeighted

ELASTIC: Mapping[str, Callable[..., ElasticLayer]] = {
    "batch_norm": WrappedNorm,
    "class_token": ElasticClassToken,
    "conv": ElasticConv,
    "embedding": ElasticEmbedding,
    "linear": ElasticLinear,
    "norm": ElasticNorm,
    "parameter": ElasticParameter,
    "position": ElasticPosition,
    "rms_norm": ElasticRMSNorm,
}
"""Kind of layer -> class made from its record and its largest form, called with an input and the resolved layer.
"""

__all__ = [
    "ELASTIC",
    "ElasticBatchNorm",
    "ElasticConv",
    "ElasticEmbedding",
    "ElasticLayer",
    "ElasticLinear",
    "ElasticParameter",
    "ElasticWeighted",
    "Mixture",
    "Moments",
    "Pool",
    "Router",
    "SignedBatchNorm",
    "WrappedNorm",
    "WrappedWeighted",
    "channel_slice",
    "conv_slice",
    "linear_slice",
    "located",
    "moments_of",
    "owners",
]
