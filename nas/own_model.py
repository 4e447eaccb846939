"""A model of the user's own: traced once by the code that ``model.entry`` names, and from then on data.

The function is called with the mapping under ``options`` and returns ``(module, example_input)``. What it gave is kept
as ``outline`` (the space as JSON) and ``weights``; a file that names these needs no code.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from nas import files
from nas.plugins import NotAllowed, function, refusal
from spaces import Space, stored
from spaces.load import load
from spaces.yaml import Problems, Section, plain, read_text
from spaces.yaml.schema import Recorder, keys

OUTLINE, WEIGHTS = "outline.json", "weights.safetensors"
OWN_KEYS = ("entry", "outline")
"""With one of these a ``model`` section is one of these models."""
_CHOICES = ("width", "depth", "layers", "reorder")


class OwnModel:
    """Reads the ``model`` section of a file in ``folder``.

    ``plugins``: packages whose code may be run, ``None`` to run none. After reading, ``weights`` are those to start
    from (safetensors), ``None`` for fresh ones, and ``report`` says what is elastic, where a model was traced.
    """

    def __init__(self, folder: Path, plugins: Collection[str] | None) -> None:
        self._folder, self._plugins = folder, plugins
        self.found = False
        self.weights: bytes | None = None
        self.report = ""

    def read(self, model: Section, name: str, precisions: Sequence[str], problems: Problems) -> Space | None:
        """The space; ``None`` after a problem."""
        self.found = True
        choices = {key: plain(node) for key in _CHOICES if (node := model.child(key)) is not None}
        options = plain(node) if (node := model.child("options")) is not None else {}
        outline, weights, entry = (model.text(key, None) for key in ("outline", "weights", "entry"))
        model.finish()
        if outline is not None:
            return self._stored(model, outline, weights, problems)
        if entry is None:
            return None  # not a text: said
        refused = refusal(entry, self._plugins or ())
        if refused is not None:
            problems.add(model.mark("entry"), *refused)
            return None
        return self._traced(model, entry, options, {**choices, "precision": list(precisions)}, name, problems)

    def _stored(self, model: Section, outline: str, weights: str | None, problems: Problems) -> Space | None:
        key = "weights"
        try:
            if weights is not None:
                self.weights = (self._folder / weights).read_bytes()
            key = "outline"
            return stored.from_json(files.read_json(self._folder / outline))
        except (OSError, ValueError) as error:
            problems.add(model.mark(key), str(error).removesuffix(" [wrong-outline]"), "wrong-outline")
            return None

    def _traced(
        self, model: Section, entry: str, options: Any, choices: dict[str, Any], name: str, problems: Problems
    ) -> Space | None:
        import torch
        from safetensors.torch import save
        from torch import nn

        from supernets import NotWrappable, wrap

        mark = model.mark("entry")
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # weights that it draws are the same in every run, so that the store knows them
                made = function(entry, self._plugins or ())(options)
            if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[0], nn.Module):
                what = f"'{entry}' must return (module, example_input), not {type(made).__name__}"
                problems.add(mark, what, "wrong-type")
                return None
            net = wrap(made[0], made[1], choices, name=name)
        except NotAllowed as refused:
            problems.add(mark, *refused.args)
        except NotWrappable as error:
            problems.add(mark, error.what, error.code, error.hint)
        else:
            self.weights = save({k: v.contiguous() for k, v in net.state_dict().items()})
            self.report = str(net.report)
            return net.space
        return None


def load_space(source: str | Path, plugins: Collection[str] | None) -> Space:
    """The space of a file alone. Raises :class:`spaces.yaml.SpecError` with every problem of its space sections."""
    return load(source, lambda folder: OwnModel(folder, plugins).read)


def own_schema(free: Collection[str]) -> dict[str, Any]:
    """JSON schema of the section: its keys, as the reader asks for them."""
    recorder = Recorder("own")
    OwnModel(Path(), ()).read(
        Section(read_text("entry: a:b", "own", recorder), "space.model", recorder), "own", [], recorder
    )
    return keys([recorder], "space.model", free)
