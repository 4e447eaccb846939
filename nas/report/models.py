"""How far the two predictors can be trusted."""

from __future__ import annotations

from collections.abc import Collection

from nas.report import words
from nas.report.markup import Html, figure, section, table, tag
from nas.report.words import Row

# What the factors of predictors.latency.sums weigh.
MEANING = {
    "float kernels": "× their rows in the table",
    "integer kernels": "× their rows in the table",
    "other layers": "× their rows in the table",
    "conversions": "× their rows in the table",
    "values read in blocks": "ns per float that a convolution reads as another layer left it",
    "values left in blocks": "ns per float that a convolution leaves in blocks of channels",
    "values added in blocks": "ns per float of a sum that a convolution takes along",
    "layers": "µs per layer",
    "conversions counted": "µs per conversion",
    "call": "× an empty call",
    "weights beyond 1 MiB": "ms per MiB, read from the third-level cache",
    "weights beyond 8 MiB": "ms per MiB besides, read from memory",
}


def latency(result: Row) -> Html:
    """The latency model: figure, errors and fitted factors."""
    model = result["latency_model"]
    judged = model.get("of", "networks")  # results of before name none
    facts = [
        [f"mean error (MAPE) on {model['networks']} unseen {judged}", f"{model['mape']:.1f} %"],
        ["within 10 % of the measured", f"{100 * model['within_10']:.0f} % of the {judged}"],
        ["rank correlation (Kendall's τ)", f"{model['tau']:.2f}"],
        ["range measured", f"{words.ms(model['fastest_ms'])} to {words.ms(model['slowest_ms'])} ms"],
    ]
    pairs = [(r["latency_ms"]["predicted"], r["latency_ms"]["measured"]) for r in result["finalists"]]
    errors = [100 * (p / m - 1) for p, m in pairs if m]
    if errors:
        mean, bias = sum(map(abs, errors)) / len(errors), sum(errors) / len(errors)
        facts.append([f"mean error (MAPE) on the {len(errors)} finalists", f"{mean:.1f} %, on average {bias:+.1f} %"])
    if deviations := model.get("deviations", {}).values():
        facts.append([f"{len(deviations)} kinds of rows deviate from their factor by", _range(deviations)])
    factors = [[name, _factor(value), MEANING.get(name, "")] for name, value in model["factors"].items()]
    return section(
        "Latency model",
        tag("p", f"Predicted against measured latency of {model['networks']} {judged} it was not fitted on."),
        _pair(
            figure("latency", "Predicted against measured latency"),
            table(["predicted against measured", ""], facts),
            table(["part of a call", f"factor{', fitted' if judged == 'networks' else ''}", "of what"], factors),
        ),
    )


def accuracy(result: Row) -> Html:
    """The accuracy predictor: figure and rank correlations."""
    model = result["accuracy_predictor"]
    facts = [
        ["rank correlation (Kendall's τ)", f"{model['tau']:.2f}"],
        ["split-half ceiling (τ between two halves of the validation images)", f"{model['split_half_tau']:.2f}"],
    ]
    note = (
        "τ compares the order by likelihood, which ties far more rarely than the quality drawn here. The second τ is "
        "the split-half ceiling: how well one half of the images foretells the other half's order. The predictor is "
        "held against all images, which are less noisy than half of them, and can pass it."
    )
    return section(
        "Accuracy predictor",
        tag("p", f"Predicted against measured quality of {model['held_out']} held-out subnets, in the supernet."),
        _pair(
            figure("accuracy", "Predicted against measured quality"),
            table(["predicted against measured", ""], facts),
            tag("p", note, class_="note"),
        ),
    )


def _pair(drawing: Html, *beside: Html) -> Html:
    return tag("div", drawing, tag("div", *beside), class_="pair")


def _range(deviations: Collection[float]) -> str:
    return f"{min(deviations):+.2f} to {max(deviations):+.2f}"


def _factor(value: float) -> str:
    return f"{round(value, 4) + 0.0:.4f}"
