"""Spaces as JSON and back, exactly; what is no space is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from spaces import Space, load, stored, zoo


@pytest.mark.parametrize("name", zoo())
def test_a_space_of_the_zoo_comes_back(name: str) -> None:
    """Choices, outline and digest are equal, and so are costs."""
    space = load(name)
    again = stored.from_json(json.loads(json.dumps(stored.to_json(space))))
    assert (again.digest, again.choices, again.outline) == (space.digest, space.choices, space.outline)


def changed(change: Callable[[Any], Any]) -> Any:
    """The data of a small space after a change."""
    data = json.loads(json.dumps(stored.to_json(load("digits"))))
    change(data)
    return data


def test_what_is_no_space_is_refused() -> None:
    """With the place, and the key that is wrong."""
    wrong: list[tuple[Callable[[Any], Any], str]] = [
        (lambda d: d.pop("name"), "a space has exactly the keys name, choices, outline"),
        (lambda d: d["choices"][0].pop("when"), "a choice has exactly the keys name, values, when"),
        (lambda d: d["outline"].pop("classes"), "an outline has the keys input_shape, classes, records"),
        (lambda d: d["outline"].update(input_shape=[1, 8]), "input_shape must be three whole numbers"),
        (lambda d: d["outline"]["records"][0].update(code="x"), "stages.0.0.conv: unknown key 'code'"),
        (lambda d: d["outline"]["records"][0].pop("kind"), "stages.0.0.conv: key 'kind' is missing"),
        (
            lambda d: d["outline"]["records"][1].update(inputs=["later"]),
            "stages.0.1.conv: reads 'later', which stands nowhere before it",
        ),
        (lambda d: d["outline"]["records"][0].update(out={"shell": 1}), "no field has the keys shell"),
        (lambda d: d["choices"].append(3), "a choice has exactly the keys name, values, when"),
        (lambda d: d.update(choices=3), "not the data of a space: 'int' object is not iterable"),
    ]
    for change, said in wrong:
        with pytest.raises(stored.NotAnOutline, match=f"^{re.escape(said)} \\[wrong-outline\\]$"):
            stored.from_json(changed(change))


def test_a_space_without_a_file_has_data_too() -> None:
    """Of no layers."""
    space = Space("empty", (), load("digits").outline)
    assert stored.from_json(stored.to_json(space)).digest == space.digest
