"""``report.html``: says what the result says, needs nothing else, and takes no text for HTML."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.report import figures, html, models, words
from nas.report.markup import Html, data, link, tag
from nas.report.tables import result_table
from tests.nas.results import Result, empty, example, network, nothing_found, unverified

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)><a href='https://evil.example'>x</a> & \" <!--"
VOID = {"meta"}


@pytest.fixture
def result() -> Result:
    """A finished run that keeps its budget: two finalists, one baseline."""
    return example()


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the megabytes of plotly.js."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "var Plotly;")


class Page(HTMLParser):
    """Elements, attributes and texts of a page; fails on elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    @property
    def scripts(self) -> list[str]:
        return [text for where, text in self.texts if where == "script"]

    @property
    def text(self) -> str:
        """What a reader sees."""
        seen = (text for where, text in self.texts if where not in ("script", "style"))
        return re.sub(r"\s+", " ", " ".join(seen))


def test_is_one_page_that_loads_nothing(result: Result) -> None:
    page = Page(html(result))
    library = max(page.scripts, key=len)
    assert len(library) > 1_000_000
    assert "plotly.js" in library[:500]
    outside = html(result).replace(library, "")
    assert not re.search(r"https?:|//\w|@import|url\(", outside)
    loading = [(tag, name) for tag, name, _ in page.attributes if name in ("src", "srcset", "data", "action")]
    assert loading == []
    assert {value for _, name, value in page.attributes if name == "href"} == {
        f"./exports/{key}/model.onnx" for key in ("aaaa", "bbbb", "cccc")
    }


def test_policy_allows_the_two_scripts_and_no_other(result: Result) -> None:
    page = Page(html(result))
    policy = next(value for _, name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none';")
    digests = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in page.scripts if s[0] != "{"}
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == digests
    assert len(digests) == 2


@pytest.mark.usefixtures("light")
def test_same_result_same_bytes(result: Result) -> None:
    assert html(result) == html(copy.deepcopy(result))


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("change", [lambda r: r, unverified, nothing_found, empty])
def test_every_figure_has_its_place_and_data(result: Result, change: Any) -> None:
    page = Page(html(change(result)))
    places = {value for tag, name, value in page.attributes if tag == "div" and name == "id"}
    blocks = {value for _, name, value in page.attributes if name == "data-figure"}
    assert places == blocks == {"front", "latency", "accuracy"}


@pytest.mark.parametrize("change", [lambda r: r, unverified, nothing_found, empty])
@pytest.mark.parametrize("draw", [figures.front, figures.latency, figures.accuracy])
def test_figures_are_what_plotly_takes(result: Result, draw: Any, change: Any) -> None:
    import plotly.graph_objects as go

    figure = draw(change(result))
    assert len(go.Figure(figure).data) == len(figure["data"])  # raises on a property that it does not know


def test_front_shows_everything(result: Result) -> None:
    figure = figures.front(result)
    points = {trace["name"]: list(zip(trace["x"], trace["y"], strict=True)) for trace in figure["data"]}
    assert list(points) == ["trials, predicted (5)", "front, predicted (2)", "baselines", "finalists", "chosen"]
    assert points["chosen"] == [(0.02, 98.5)]
    assert points["finalists"] == [(0.029, 98.0)]
    assert points["baselines"] == [(0.1, 98.75)]
    assert len(points["trials, predicted (5)"]) == 5
    (line,) = figure["layout"]["shapes"]
    assert line["x0"] == line["x1"] == 0.03
    assert "2 w4a8, 1 float" in figure["data"][-1]["hovertext"][0]
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < 91.0 < 98.75 < high


def test_front_of_unmeasured_networks_says_so(result: Result) -> None:
    traces = figures.front(unverified(result))["data"]
    assert [t["name"] for t in traces[2:]] == [f"{n}, latency predicted" for n in ("baselines", "finalists", "chosen")]
    assert traces[-1]["x"] == [0.019]


@pytest.mark.usefixtures("light")
def test_verdict(result: Result) -> None:
    met = Page(html(result)).text
    assert "Network aaaa keeps the budget: it takes at most 0.0220 ms, measured, and has 45.6 KB" in met
    assert "98.50 % top-1 accuracy on the test images" in met
    assert "chosen against largest float: 20 % of its latency, -0.25 points" in met
    assert "NO network" not in met
    missed = Page(html(nothing_found(result))).text
    assert "NO network keeps the budget (latency at most 0.0110 ms); the nearest is aaaa: at most 0.0220 ms" in missed
    assert "The nearest network, layer by layer" in missed
    assert "100.0 % over" in missed
    predicted = Page(html(unverified(result))).text
    assert "Network aaaa is predicted to take 0.0190 ms" in predicted
    assert "not verified here" in predicted
    free = Page(html(result | {"budget": {}})).text
    assert "Network aaaa takes at most 0.0220 ms, measured" in free
    assert "none asked" in free


@pytest.mark.usefixtures("light")
def test_verdict_admits_a_better_baseline(result: Result) -> None:
    assert "keeps the budget too" not in Page(html(result)).text
    better = network("dddd", 0.025, 98.0, name="best of random search")
    better["quality"]["supernet"] = 98.0
    result["baselines"].append(better)
    assert "The baseline best of random search keeps the budget too, and is better" in Page(html(result)).text


@pytest.mark.usefixtures("light")
def test_contract_table(result: Result) -> None:
    text = Page(html(result)).text
    heads = ("asked", "predicted", "measured median", "measured upper bound", "predicted, validation")
    more = ("measured in the supernet, validation", "measured on the exported file, test", "counted, exported file")
    assert re.search(".*".join(map(re.escape, heads + more)), text)
    row = text[text.index("Finalists") :]
    assert row.startswith(
        "Finalists aaaa ★ chosen model.onnx 0.0300 0.0190 0.0200 0.0220 ✓ in budget 97.10 97.40 98.50"
    )
    assert text.count("★ chosen") == 1
    assert "1 Conv , 2 QLinearConv" in row
    assert "3 ReorderInput" in row
    assert "container (1) stages.0.1.conv" in row
    baseline = text[text.index("Baselines largest float") :]
    assert "- 0.0190 0.1000 0.1100 ✗ over budget" in baseline
    assert "labels not recorded" in baseline


@pytest.mark.usefixtures("light")
def test_size_budget_has_its_columns(result: Result) -> None:
    result["budget"] = {"size_bytes": 40_000}
    result["chosen"] = None
    text = Page(html(result)).text
    assert "98.50 40.0 45.6 ✗ over budget" in text
    assert "size at most 40,000 bytes" in text
    assert "14.0 % over" in text


@pytest.mark.usefixtures("light")
def test_layers_inherit_from_their_stage(result: Result) -> None:
    result["finalists"][0]["simulated"] = ["classifier"]
    text = Page(html(result)).text
    part = text[text.index("layer by layer") :]
    rows = ("stages.0 depth 2, width 16", "stages.0.0.conv 16 5 float as chosen", "stages.0.1.conv 16 3 w4a8 container")
    assert re.search(".*".join(map(re.escape, (*rows, "classifier - - w4a8 simulated"))), part)


@pytest.mark.usefixtures("light")
def test_layers_of_coarser_choices(result: Result) -> None:
    first = result["finalists"][0]
    first["architecture"] = {"precision": "w4a8", "stages.0.width": 8, "stages.0.1.kernel": 3}
    first["container"] = ["stages.0.1.conv1", "classifier"]
    text = Page(html(result)).text
    assert "stages.0.1 8 3 w4a8 container: conv1" in text
    assert "classifier - - w4a8 container" in text


def test_factors_have_a_meaning() -> None:
    from predictors.latency.sums import FEATURES

    assert set(models.MEANING) == set(FEATURES)


def spoiled(result: Result, text: str) -> Result:
    """The result with ``text`` wherever a name comes from outside."""
    made = copy.deepcopy(result)
    made |= {"run": text, "chosen": text, "device": {text: text}, "seconds": {text: 1.0}}
    made["space"]["name"] = made["metric"]["name"] = made["metric"]["unit"] = text
    made["settings"]["search"]["strategy"] = text
    made["finalists"][0] |= {"key": text, "model": text, "kernels": {text: 1, "Q" + text: 2}, "computing": ["Q" + text]}
    made["finalists"][0] |= {"container": [text], "simulated": [f"stages.{text}"]}
    made["finalists"][0]["architecture"] |= {f"{text}.precision": text, f"stages.0.{text}": text, text: 1}
    made["baselines"][0] |= {"name": text, "key": text}
    made["trials"][0]["key"] = made["front"][0]["key"] = text
    made["latency_model"]["factors"][text] = 1.0
    return made


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("change", [lambda r: r, unverified, nothing_found])
def test_hostile_names_stay_text(result: Result, change: Any) -> None:
    plain, page = (Page(html(spoiled(change(result), name))) for name in ("name", HOSTILE))
    assert page.tags["script"] == 5
    assert set(page.tags) == set(plain.tags)
    assert {(tag, name) for tag, name, _ in page.attributes} == {(tag, name) for tag, name, _ in plain.attributes}
    assert all(value.startswith("./") for _, name, value in page.attributes if name == "href")
    assert re.sub(r"\s+", " ", HOSTILE) in page.text


@pytest.mark.usefixtures("light")
def test_hostile_names_stay_in_their_data_block(result: Result) -> None:
    page = Page(html(spoiled(result, HOSTILE)))
    blocks = [json.loads(script) for script in page.scripts if script[0] == "{"]
    assert len(blocks) == 3
    for text in (t for block in blocks for t in strings(block)):
        assert not re.search(r"<(?!br>)", text), "plotly.js would take it for markup"
    assert not any("<" in script or "&" in script for script in page.scripts if script[0] == "{")


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


@pytest.mark.usefixtures("light")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.sampled_from("</>&\"'!-=:. \n\r\u2028\x00aé🙂"), min_size=1))
def test_no_name_changes_the_page(text: str) -> None:
    page, plain = (Page(html(spoiled(example(), name))) for name in (text, "name"))
    assert page.tags["script"] == 5
    assert set(page.tags) == set(plain.tags)


def test_links_lead_nowhere_else() -> None:
    for path in ("javascript:alert(1)", "//evil.example/x", "https://evil.example", "a b&c\"'"):
        href = Page(link(path, "x")).attributes[0][2]
        assert re.fullmatch(r"\./[\w.%/~-]+", href)
        assert "//" not in href.replace("%3A//", "")


def test_markup_escapes_what_it_did_not_make() -> None:
    assert tag("p", "<b>", Html("<i></i>"), 3, class_='a"b') == '<p class="a&quot;b">&lt;b&gt;<i></i>3</p>'
    assert data({"a": "</script>&"}) == (
        '<script type="application/json">{"a":"\\u003c/script\\u003e\\u0026"}</script>'
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        data(float("nan"))


def test_terminal_says_the_same(result: Result) -> None:
    assert "chosen against largest float: 20 % of its latency, -0.25 points" in result_table(result)
    assert words.no_network(nothing_found(result)) in result_table(nothing_found(result))
    assert words.unverified(result) in result_table(unverified(result))


def test_every_column_of_the_table_has_a_head_of_its_own(result: Result) -> None:
    """With its unit; and what quality is of is said below."""
    lines = result_table(result).splitlines()
    above, below = (re.split(r"  +", line.strip()) for line in lines[1:3])
    assert list(zip(above, below[1:], strict=True)) == [
        ("asked", "ms"), ("predicted", "ms"), ("measured", "ms"), ("upper bound", "ms"), ("predicted", "%"),
        ("supernet", "validation %"), ("exported", "test %"), ("size", "KB"), ("executed", "kernels"),
    ]  # fmt: skip
    assert words.SPLITS in lines


@pytest.mark.usefixtures("light")
def test_every_column_of_the_page_has_a_head_of_its_own(result: Result) -> None:
    """Also with two limits."""
    result["budget"]["size_bytes"] = 50_000
    heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', html(result).split("<tbody>")[0])
    assert len(heads) > 9
    assert len(set(heads)) == len(heads)
    assert words.SPLITS.capitalize() in Page(html(result)).text


def test_loads_plotly_only_when_asked() -> None:
    program = "import sys, nas.report; sys.exit(' '.join({'plotly', 'numpy', 'torch'} & set(sys.modules)) or None)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
