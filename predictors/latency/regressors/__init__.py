"""Latency of whole networks learnt from a table, one method per file."""

from predictors.latency.regressors.base import Regressor
from predictors.latency.regressors.linear import Linear
from predictors.latency.regressors.lookup import Lookup
from predictors.latency.regressors.mlp import Mlp
from predictors.latency.regressors.trees import Trees
from predictors.latency.regressors.varying import Varying

REGRESSORS: dict[str, type[Regressor]] = {
    "linear": Linear,
    "lookup": Lookup,
    "mlp": Mlp,
    "trees": Trees,
    "varying": Varying,
}

__all__ = ["REGRESSORS", "Linear", "Lookup", "Mlp", "Regressor", "Trees", "Varying"]
