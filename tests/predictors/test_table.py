"""Latency tables: what is written is read back, and nothing else is taken for a table."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.latency import Table, TableError, Timing
from predictors.latency.key import BoundaryKey, LayerKey

KEY = LayerKey("conv", 3, 1, 8, 16, 8, 8, 1, "w8c", "u8", "u8", "relu")
ROWS = {
    str(KEY): Timing(0.26, 0.25, 0.01, 15),
    "conv k3 s1 g1 8x16@8x8 b1 f32/f32>f32 relu": Timing(0.5, 0.5, 0.0, 41),
    "conv k5 s1 g1 8x16@8x8 b1 w8c/u8>u8 relu": Timing(0.0, 0.0, 0.0, 15),
    "quantize 16@8x8": Timing(0.13, 0.125, 0.02, 15),
}
TABLE = Table({"backend": "onnxruntime", "threads": 1}, 0.002, ROWS, {'{"a":1}': Timing(1.5, 1.4, 0.01, 15)})

times, some = st.floats(0, 1e6), st.floats(1e-6, 1e6)
timings = st.builds(Timing, times, times, times, st.integers(1, 1000))


@given(
    rows=st.dictionaries(st.text(), timings, max_size=4),
    networks=st.dictionaries(st.text(), st.builds(Timing, some, some, times, st.integers(1, 99)), max_size=3),
    call_ms=times,
)
def test_a_table_comes_back_from_its_json(rows: dict[str, Timing], networks: dict[str, Timing], call_ms: float) -> None:
    """Through real text, every number as it was."""
    table = Table({"threads": 1}, call_ms, rows, networks)
    assert Table.from_json(json.loads(json.dumps(table.to_json())), "t.json") == table


def test_a_row_is_answered_by_its_key() -> None:
    """In milliseconds."""
    assert TABLE.ms(KEY) == 0.25
    assert TABLE.ms(BoundaryKey("quantize", 16, 8, 8)) == 0.125


def test_a_missing_row_names_the_nearest() -> None:
    """The three nearest keys, the most alike first."""
    message = (
        "the latency table has no row 'conv k3 s1 g1 8x24@8x8 b1 w8c/u8>u8 relu'; nearest: "
        "conv k3 s1 g1 8x16@8x8 b1 w8c/u8>u8 relu, conv k5 s1 g1 8x16@8x8 b1 w8c/u8>u8 relu, "
        "conv k3 s1 g1 8x16@8x8 b1 f32/f32>f32 relu"
    )
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        TABLE.ms(LayerKey("conv", 3, 1, 8, 24, 8, 8, 1, "w8c", "u8", "u8", "relu"))


def test_a_missing_row_of_an_empty_table_names_none() -> None:
    """There is nothing near."""
    with pytest.raises(TableError, match=r"\Athe latency table has no row 'quantize 1@2x3'; nearest: none\Z"):
        Table({}, 0.0, {}, {}).ms(BoundaryKey("quantize", 1, 2, 3))


def changed(*path: str, value: Any) -> Any:
    """The JSON of the table with one value replaced; ``...`` removes it."""
    data: Any = copy.deepcopy(TABLE.to_json())
    inner = data
    for step in path[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return data


FOREIGN = "t.json: not a latency table of schema 1 in ms"
ROW = f"t.json: row '{KEY}'"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], FOREIGN),
        (None, FOREIGN),
        (changed("schema", value=2), FOREIGN),
        (changed("schema", value=...), FOREIGN),
        (changed("unit", value="us"), FOREIGN),
        (changed("unit", value=None), FOREIGN),
        (changed("call_ms", value=-0.1), "t.json: call_ms: -0.1 is not a time in ms"),
        (changed("call_ms", value=True), "t.json: call_ms: True is not a time in ms"),
        (changed("call_ms", value=...), "t.json: damaged table: KeyError('call_ms')"),
        (changed("rows", str(KEY), "median_ms", value=float("nan")), f"{ROW}: nan is not a time in ms"),
        (changed("rows", str(KEY), "median_ms", value=float("inf")), f"{ROW}: inf is not a time in ms"),
        (changed("rows", str(KEY), "median_ms", value=-1), f"{ROW}: -1 is not a time in ms"),
        (changed("rows", str(KEY), "median_ms", value="1"), f"{ROW}: '1' is not a time in ms"),
        (changed("rows", str(KEY), "p20_ms", value=None), f"{ROW}: None is not a time in ms"),
        (changed("rows", str(KEY), "spread", value="much"), f"{ROW}: 'much' is not a spread"),
        (changed("rows", str(KEY), "spread", value=float("nan")), f"{ROW}: nan is not a spread"),
        (changed("rows", str(KEY), "rounds", value="many"), f"{ROW}: 'many' is not a count"),
        (changed("rows", str(KEY), "p20_ms", value=...), "t.json: damaged table: KeyError('p20_ms')"),
        (changed("rows", str(KEY), value=3), "t.json: damaged table: TypeError(\"'int' object is not subscriptable\")"),
        (
            changed("rows", value=[1]),
            "t.json: damaged table: AttributeError(\"'list' object has no attribute 'items'\")",
        ),
        (
            changed("networks", '{"a":1}', "median_ms", value=0),
            't.json: network {"a":1}: a network cannot take no time',
        ),
        (changed("networks", value=...), "t.json: damaged table: KeyError('networks')"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_a_table_is_refused(data: Any, message: str) -> None:
    """The message names the file, the row and the value."""
    with pytest.raises(TableError, match=rf"\A{re.escape(message)}\Z"):
        Table.from_json(data, "t.json")


def test_a_time_too_large_for_a_float_is_refused() -> None:
    """JSON has whole numbers of any size; no error but ours comes of them."""
    with pytest.raises(TableError, match=r"1000000\S* is not a time in ms"):
        Table.from_json(changed("call_ms", value=10**400), "t.json")


def test_a_device_that_is_no_mapping_is_refused() -> None:
    """The header is checked like the rows."""
    with pytest.raises(TableError, match=r"t\.json: damaged table: ValueError"):
        Table.from_json(changed("device", value="ab"), "t.json")


def test_a_row_may_take_no_time() -> None:
    """A kernel faster than the call itself is 0 once the call is taken off."""
    assert Table.from_json(TABLE.to_json(), "t.json").rows["conv k5 s1 g1 8x16@8x8 b1 w8c/u8>u8 relu"].ms == 0


# --- Predicted rows ---------------------------------------------------------------------------------------------------


def conv(c_in: int, c_out: int, kernel: int = 3, form: str = "f32") -> LayerKey:
    """A convolution over 8x8 places."""
    return LayerKey("conv", kernel, 1, c_in, c_out, 8, 8, 1, "w8c" if form == "u8" else "f32", form, form, "relu")


def measured(widths: list[int]) -> Table:
    """Two kinds whose times are proportional to their products, integers four times as fast."""
    keys = [conv(a, b, k, form) for a in widths for b in widths for k in (1, 3) for form in ("f32", "u8")]
    return Table({}, 0.001, {str(key): Timing(0.0, proportional(key), 0.0, 15) for key in keys}, {})


def proportional(key: LayerKey) -> float:
    """Time of such a key in ms."""
    return 1e-5 * key.c_in * key.c_out * key.kernel**2 / (4 if key.source == "u8" else 1)


def test_absent_rows_are_predicted_if_asked_for() -> None:
    """Of keys in between and beyond; measured ones stay as they are, and any other key has an answer from then on."""
    table = measured([8, 16, 32, 64])
    keys = [conv(a, b, k, form) for a in (16, 24, 48) for b in (16, 24, 96) for k in (1, 3) for form in ("f32", "u8")]
    known = [
        conv(a, b, k, form) for a in (8, 16, 32, 64) for b in (8, 16, 32, 64) for k in (1, 3) for form in ("f32", "u8")
    ]
    found = table.completed({*keys, *known})
    assert found.rows == table.rows
    assert set(found.predicted) == {str(key) for key in keys if str(key) not in table.rows}
    for key in [*keys, conv(40, 40)]:
        assert found.ms(key) == pytest.approx(proportional(key), rel=0.1)
    assert Table.from_json(json.loads(json.dumps(found.to_json())), "t.json") == found
    with pytest.raises(TableError, match="has no row"):
        Table.from_json(found.to_json(), "t.json").ms(conv(40, 40))


def test_predictions_are_the_same_on_every_run() -> None:
    """Whatever order the keys come in."""
    table = measured([8, 16, 32])
    keys = [conv(a, b) for a in (8, 16, 24) for b in (8, 16, 24)]
    assert table.completed(keys).predicted == table.completed(keys[::-1]).predicted


def test_a_table_without_a_row_of_the_space_predicts_nothing() -> None:
    """Rather than something."""
    message = "nothing can be predicted: the latency table has measured none of the keys of this space"
    with pytest.raises(TableError, match=rf"\A{message}\Z"):
        TABLE.completed([conv(1, 1)])


def test_a_predicted_row_that_is_no_time_is_refused() -> None:
    """Like a measured one."""
    data = {**TABLE.to_json(), "predicted": {"x": -1.0}}
    with pytest.raises(TableError, match=r"\At\.json: predicted row 'x': -1.0 is not a time in ms\Z"):
        Table.from_json(data, "t.json")
