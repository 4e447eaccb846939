"""An exported network as a torch module again, from data alone: no code of a space or plugin is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from nas import files
from nas.deliver import ARCHITECTURE, OUTLINE, WEIGHTS
from nas.problems import of_disk
from spaces import Architecture, stored
from supernets import Network, fresh_network


class NotANetwork(ValueError):
    """A folder that holds no exported network, or a damaged one; the message names the file."""


def load_network(folder: str | Path) -> Network:
    """The network that an export's folder holds, in ``eval()`` mode; its outputs are those of the extracted one.

    Shapes: as :func:`supernets.graph.run` says. It reads ``outline.json`` (choices and layers),
    ``architecture.json`` and ``weights.safetensors``. Raises :class:`NotANetwork`.
    """
    folder = Path(folder)
    try:
        space = stored.from_json(files.read_json(folder / OUTLINE))
        about: Any = files.read_json(folder / ARCHITECTURE)
        architecture = space.architecture(Architecture.from_json(json.dumps(about["architecture"])))
        network = fresh_network(space, architecture)
        network.load_state_dict(load((folder / WEIGHTS).read_bytes()))
    except OSError as error:
        raise NotANetwork(f"{of_disk(error)}\n  hint: a folder of exports, or what nas export wrote") from error
    except (SafetensorError, RuntimeError) as error:
        raise NotANetwork(f"{folder / WEIGHTS}: not the weights of this network: {error} [damaged-file]") from error
    except (KeyError, TypeError, ValueError) as error:
        raise NotANetwork(f"{folder}: not an exported network: {error} [damaged-file]") from error
    return network.eval()
