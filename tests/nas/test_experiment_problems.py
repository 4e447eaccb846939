"""Every mistake of a ``space.yaml`` at once, each with its place, to the letter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nas import datasets, experiment
from nas.experiment import load
from spaces.yaml import SpecError
from tests.nas.tiny import MODEL, of


def refused(folder: Path, text: str, *problems: str) -> None:
    """The whole message, to the letter; ``problems`` begin after the file's name."""
    path = folder / "space.yaml"
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}; nothing was written"
    message = "\n".join([*(f"{path}:{p}" for p in problems), count])
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        of(folder, text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "data: {dataset: digit}",
            "1:17: unknown name 'digit' for 'space.data.dataset' [unknown-name]\n  hint: did you mean 'digits'?",
        ),
        ("data: {batch: 1}", "1:15: 'space.data.batch' must be at least 2 and at most 10000, not 1 [out-of-range]"),
        ("data: {root: 3}", "1:14: 'space.data.root' must be text, not number 3 [wrong-type]"),
        ("data: digits", "1:7: 'space.data' must be a mapping, not text 'digits' [wrong-type]"),
        (
            "data: {dataset: fashion_mnist}",
            "1:17: dataset fashion_mnist needs the key 'space.data.root': the folder of its files [missing-key]",
        ),
        ("train: {epoch: 3}", "1:9: unknown key 'space.train.epoch' [unknown-key]\n  hint: did you mean 'epochs'?"),
        (
            "train: {epochs: 0}",
            "1:17: 'space.train.epochs' must be at least 1 and at most 100000, not 0 [out-of-range]",
        ),
        ("train: {epochs: ten}", "1:17: 'space.train.epochs' must be a whole number, not text 'ten' [wrong-type]"),
        ("train: {epochs: true}", "1:17: 'space.train.epochs' must be a whole number, not true [wrong-type]"),
        ("train: {epochs: 2.0}", "1:17: 'space.train.epochs' must be a whole number, not number 2.0 [wrong-type]"),
        (
            "train: {learning_rate: 0}",
            "1:24: 'space.train.learning_rate' must be above 0 and at most 10, not 0 [out-of-range]",
        ),
        (
            "train: {weight_decay: -1}",
            "1:23: 'space.train.weight_decay' must be at least 0 and at most 10, not -1 [out-of-range]",
        ),
        (
            "train: {scheme: uniform, distillation: 1}",
            "1:26: unknown key 'space.train.distillation' [unknown-key]\n"
            "  hint: known keys: scheme, subnets, smoothing, epochs, learning_rate, weight_decay, threads, "
            "learning_rate_floor, autocast, device, compile",
        ),
        (
            "train: {scheme: attentive, select: best}",
            "1:36: unknown name 'best' for 'space.train.select' [unknown-name]\n  hint: did you mean 'best_up'?",
        ),
        (
            "train: {scheme: progressive, phases: [depth, depth]}",
            "1:46: 'depth' stands twice in 'space.train.phases' [duplicate-value]\n  hint: delete one of the two",
        ),
        (
            "train: {subnets: 65}",
            "1:18: 'space.train.subnets' must be at least 0 and at most 64, not 65 [out-of-range]",
        ),
        (
            "train: {scheme: sandwhich}",
            "1:17: unknown name 'sandwhich' for 'space.train.scheme' [unknown-name]\n  hint: did you mean 'sandwich'?",
        ),
        ("device: {threads: []}", "1:19: 'space.device.threads' must be a whole number, not a list [wrong-type]"),
        (
            "device: {backend: onnxruntim}",
            "1:19: unknown name 'onnxruntim' for 'space.device.backend' [unknown-name]\n"
            "  hint: did you mean 'onnxruntime'?",
        ),
        (
            "device: {backend: onnxruntime, floats: bf16}",
            "1:40: backend onnxruntime computes floats in f32, not in bf16 [unknown-value]",
        ),
        (
            "search: {strategy: nsga3}",
            "1:20: unknown name 'nsga3' for 'space.search.strategy' [unknown-name]\n  hint: did you mean 'nsga2'?",
        ),
        (
            "search: {trials: 0}",
            "1:18: 'space.search.trials' must be at least 1 and at most 1000000, not 0 [out-of-range]",
        ),
        (
            "search: {evaluations: 19}",
            "1:23: 'space.search.evaluations' must be at least 20 and at most 100000, not 19 [out-of-range]",
        ),
        (
            "search: {objectives: [quality, latency_ms, quality]}",
            "1:44: 'quality' stands twice in 'space.search.objectives' [duplicate-value]\n"
            "  hint: delete one of the two",
        ),
        (
            "search: {objectives: [quality]}",
            "1:22: a search needs the objectives quality and latency_ms [missing-value]",
        ),
        (
            "search: {objectives: [quality, latency_ms, size_byte]}",
            "1:44: unknown name 'size_byte' for 'space.search.objectives.2' [unknown-name]\n"
            "  hint: did you mean 'size_bytes'?",
        ),
        (
            "search: {budget: {latency_ms: 0}}",
            "1:31: 'space.search.budget.latency_ms' must be above 0, not 0 [out-of-range]",
        ),
        (
            "search: {budget: {latencyms: 1}}",
            "1:19: unknown key 'space.search.budget.latencyms' [unknown-key]\n  hint: did you mean 'latency_ms'?",
        ),
        (
            "search: {budget: {latency_ms: 1, latency_share: 0.5}}",
            "1:49: a budget has latency_ms or latency_share, not both [ambiguous]",
        ),
        ("search: {budget: 3}", "1:18: 'space.search.budget' must be a mapping, not number 3 [wrong-type]"),
        (
            "export: {format: onx}",
            "1:18: unknown name 'onx' for 'space.export.format' [unknown-name]\n  hint: did you mean 'onnx'?",
        ),
        ("serach: {trials: 3}", "1:1: unknown key 'space.serach' [unknown-key]\n  hint: did you mean 'search'?"),
        ("name: Mine", "1:7: name 'Mine' must be lower-case letters, digits, '.', '_' or '-' [wrong-name]"),
    ],
    ids=lambda value: value if "[" not in value else "",
)
def test_a_mistake_is_refused_to_the_letter(tmp_path: Path, text: str, problem: str) -> None:
    """Place, what, code, hint: users and editors read them."""
    refused(tmp_path, f"{text}\n{MODEL}", problem)


@pytest.mark.parametrize("section", ["train", "device"])
@pytest.mark.parametrize(("count", "said"), [(1, "1 core"), (2, "2 cores")])
def test_more_threads_than_cores_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, count: int, said: str
) -> None:
    """They would wait for each other without end; the limit is what this process may use."""
    monkeypatch.setattr(experiment, "cores", lambda: count)
    of(tmp_path, f"{section}: {{threads: {count}}}\n{MODEL}")
    what = f"'space.{section}.threads' must be at least 1 and at most {count}, not 64 [out-of-range]"
    place = f"1:{len(section) + 13}"
    refused(tmp_path, f"{section}: {{threads: 64}}\n{MODEL}", f"{place}: {what}\n  hint: this process may use {said}")


def test_numbers_beyond_all_use_are_refused(tmp_path: Path) -> None:
    """A slip of the finger is found at once, and not after days."""
    big = 10**13
    refused(
        tmp_path,
        f"""\
{MODEL}\
data: {{batch: {big}}}
train: {{epochs: {big}}}
device: {{batch: {big}}}
search: {{trials: {big}, evaluations: {big}, finalists: {big}}}
""",
        f"2:15: 'space.data.batch' must be at least 2 and at most 10000, not {big} [out-of-range]",
        f"3:17: 'space.train.epochs' must be at least 1 and at most 100000, not {big} [out-of-range]",
        f"4:17: 'space.device.batch' must be at least 1 and at most 10000, not {big} [out-of-range]",
        f"5:18: 'space.search.trials' must be at least 1 and at most 1000000, not {big} [out-of-range]",
        f"5:47: 'space.search.evaluations' must be at least 20 and at most 100000, not {big} [out-of-range]",
        f"5:74: 'space.search.finalists' must be at least 1 and at most 100, not {big} [out-of-range]",
    )


ANY = "model: {family: convnet, input: [3, 16, 16], classes: 4, stages: [{}]}\n"
GPT = "model: {family: gpt, tokens: 16, vocabulary: 256, embed: 32, depth: 1, heads: 4}\n"
BERT = "model: {family: bert, tokens: 16, vocabulary: 256, embed: 32, depth: 1, heads: 4, ffn: 64}\n"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            f"data: {{dataset: images, root: .}}\n{MODEL}",
            ["2:8: data of any shape: 'space.model' needs the keys input and classes [missing-key]"],
        ),
        (
            f"data: {{entry: a:b}}\n{MODEL}",
            ["2:8: data of any shape: 'space.model' needs the keys input and classes [missing-key]"],
        ),
        (
            f"data: {{dataset: images, validation: 0.5, flip: 1, limit: 0}}\n{ANY}",
            [
                "1:17: dataset images needs the key 'space.data.root': a folder with a folder per class, "
                "or an NPZ file [missing-key]",
                "1:37: 'space.data.validation' must be above 0 and at most 0.45, not 0.5 [out-of-range]",
                "1:48: 'space.data.flip' must be true or false, not number 1 [wrong-type]",
                "1:58: 'space.data.limit' must be at least 1, not 0 [out-of-range]",
            ],
        ),
        (
            f"data: {{dataset: image, root: ., flipp: true}}\n{ANY}",
            [
                "1:17: unknown name 'image' for 'space.data.dataset' [unknown-name]\n  hint: did you mean 'images'?",
                "1:33: unknown key 'space.data.flipp' [unknown-key]\n  hint: did you mean 'flip'?",
            ],
        ),
        (
            f"data: {{dataset: text, root: ., tokens: words}}\n{GPT}",
            [
                "1:40: unknown name 'words' for 'space.data.tokens' [unknown-name]\n"
                "  hint: known names: bytes, characters"
            ],
        ),
        (
            f"data: {{dataset: text, root: .}}\n{ANY}",
            [
                "1:17: dataset text is for networks of tokens, this one reads images [wrong-dataset]\n"
                "  hint: datasets for it: cifar10, digits, fashion_mnist, huggingface, images"
            ],
        ),
        (
            f"data: {{dataset: digits}}\n{GPT}",
            [
                "1:17: dataset digits is for networks of images, this one reads tokens [wrong-dataset]\n"
                "  hint: datasets for it: huggingface, text"
            ],
        ),
    ],
    ids=["any shape", "entry", "options", "mistyped", "tokens", "text", "images"],
)
def test_the_data_section_is_checked_against_dataset_and_network(tmp_path: Path, text: str, problems: Any) -> None:
    """Options by the dataset, which must be for such networks."""
    refused(tmp_path, text, *problems)


def test_a_picture_network_takes_pictures(tmp_path: Path) -> None:
    """Its scale is the only one; it needs no classes."""
    model = (
        "model: {family: superres, input: [3, 8, 8], scale: 3, channels: 8, head: &p {operation: simple_3}, body: *p, "
    )
    model = model.replace("&p ", "").replace("*p", "{operation: simple_3}")
    model += "skip: {operation: simple_3}, upsample: {operation: simple_3}, tail: {depth: 0, operation: simple_3}}\n"
    made = of(tmp_path, f"data: {{dataset: super_resolution, root: ., evaluate: centre}}\n{model}")
    assert (datasets.reads(made.space), datasets.enlarges(made.space)) == ("pictures", 3)
    assert made.data.options == {"validation": 0.1, "test": 0.2, "evaluate": "centre"}
    refused(
        tmp_path,
        f"data: {{dataset: images, root: .}}\n{model}",
        "1:17: dataset images is for networks of images, this one makes pictures [wrong-dataset]\n"
        "  hint: datasets for it: huggingface, super_resolution",
    )


def test_an_empty_choice_and_a_duplicate_key_are_refused_together_with_the_rest(tmp_path: Path) -> None:
    """All problems at once, sorted by place: the reader's, the space's and the settings'."""
    refused(
        tmp_path,
        """\
model:
  family: convnet
  stages: [{width: {choice: []}, kernal: 3}]
train: {epochs: many}
train: {epochs: 3}
search: {budget: {latency_ms: fast}}
device: {thread: 1}
""",
        "3:29: a choice needs at least one value [empty-choice]",
        "3:34: unknown key 'space.model.stages.0.kernal' [unknown-key]\n  hint: did you mean 'kernel'?",
        "4:17: 'space.train.epochs' must be a whole number, not text 'many' [wrong-type]",
        "5:1: key 'train' repeats line 4 [duplicate-key]\n  hint: delete one of the two; the later one does not win",
        "6:31: 'space.search.budget.latency_ms' must be a number, not text 'fast' [wrong-type]",
        "7:10: unknown key 'space.device.thread' [unknown-key]\n  hint: did you mean 'threads'?",
    )


def test_a_missing_model_is_refused_with_everything_else(tmp_path: Path) -> None:
    """Without a space there is still something to say about the settings."""
    refused(
        tmp_path,
        "train: {epochs: 0}\n",
        "1:1: missing key 'space.model' [missing-key]",
        "1:17: 'space.train.epochs' must be at least 1 and at most 100000, not 0 [out-of-range]",
    )


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    """Like every other name."""
    (tmp_path / "space.yaml").write_text(MODEL, encoding="utf-8")
    message = (
        f"{tmp_path}/spaec.yaml:1:1: no such file: 'spaec.yaml' [missing-file]\n"
        "  hint: did you mean 'space.yaml'?\n1 problem; nothing was written"
    )
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        load(tmp_path / "spaec.yaml")


def test_an_unknown_zoo_name_names_the_nearest() -> None:
    """``nas search digit``."""
    with pytest.raises(
        SpecError,
        match=r"no file and no zoo space of the name 'digit' \[missing-file\]\n  hint: did you mean 'digits'\?",
    ):
        load("digit")


def test_a_missing_data_folder_names_the_nearest(tmp_path: Path) -> None:
    """Meant from the file's folder, not from where the command is run."""
    (tmp_path / "fashion_mnist").mkdir()
    refused(
        tmp_path,
        f"data: {{dataset: fashion_mnist, root: fashion-mnist}}\n{MODEL}",
        "1:38: no file or folder 'fashion-mnist' [missing-file]\n  hint: did you mean 'fashion_mnist'?",
    )
    refused(
        tmp_path, f"data: {{root: no/such/place}}\n{MODEL}", "1:14: no file or folder 'no/such/place' [missing-file]"
    )


def test_a_model_for_other_images_than_the_data_is_refused(tmp_path: Path) -> None:
    """It would fail in the first training step, after the run was made."""
    refused(
        tmp_path,
        "data: {dataset: digits}\nmodel: {family: convnet, input: [3, 8, 8], classes: 4, stages: [{}]}\n",
        "2:33: images of digits are [1, 8, 8] [wrong-shape]\n  hint: delete input",
        "2:53: digits has 10 classes [wrong-shape]\n  hint: delete classes",
    )


def test_nothing_is_written_by_reading(tmp_path: Path) -> None:
    """Neither by what is right nor by what is wrong."""
    of(tmp_path, MODEL)
    with pytest.raises(SpecError, match="unknown key"):
        of(tmp_path, MODEL + "tarin: {}\n")
    assert [p.name for p in tmp_path.iterdir()] == ["space.yaml"]
