"""How to run an exported network with each backend, as the card says it: as it was measured, and no code of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """``bound``: how inputs and outputs were held while it was timed; ``load``: lines that load the file, and what
    tells its inputs; ``run``: an expression of its outputs. In both ``threads``, ``floats`` and ``inputs`` are named.
    ``besides``: what a plain call costs more.
    """

    bound: str
    load: str
    run: str
    besides: str = ""


_ABOUT = 'about = json.load(open("architecture.json"))'
_TORCH = """\
import json, numpy as np, torch
torch.set_num_threads({threads})
torch.set_grad_enabled(False)
"""
_MOVED = """\
from torch.export.passes import move_to_device_pass
torch.backends.cudnn.allow_tf32 = False
moved = move_to_device_pass(torch.export.load("model.pt2"), "cuda")
"""
PLAIN_CALL_MS = 0.003  # session.run minus a bound call: 0.0026 to 0.0028 ms on the machine of the README

PROGRAMS: Mapping[str, Program] = {
    "onnxruntime": Program(
        "inputs and outputs bound once (ONNX Runtime I/O binding, nothing is copied)",
        """\
import json, numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = {threads}
options.add_session_config_entry("optimization.disable_specified_optimizers", "WeightBiasQuantization")
session = ort.InferenceSession("model.onnx", options)
about = {{name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}}
""",
        'session.run(None, {{"input": {inputs}}})[0]',
        f"A plain `session.run` from Python adds about {PLAIN_CALL_MS} ms of its own, and can so exceed a tight "
        "budget.",
    ),
    "openvino": Program(
        "inputs set once in one request of OpenVINO, outputs shared",
        """\
import json, numpy as np, openvino as ov
options = {{"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "{threads}"}}
options |= {{"INFERENCE_PRECISION_HINT": "{floats}"}}
core = ov.Core()
model = core.compile_model(core.read_model("model.onnx"), "CPU", options)
"""
        + f"{_ABOUT}\n",
        'model({inputs})[0]',
    ),
    "torch": Program(
        "the program of torch.export called from Python, operator by operator",
        f'{_TORCH}model = torch.export.load("model.pt2").module()\n{_ABOUT}\n',
        'model(torch.from_numpy({inputs})).numpy()',
    ),
    "inductor": Program(
        "the program of torch.export compiled by torch.compile with frozen weights, called from Python",
        f"""\
{_TORCH}from torch._inductor import config
from torch.ao.quantization.fx import _decomposed  # the operators of integer layers
config.freezing = True
model = torch.compile(torch.export.load("model.pt2").module())
{_ABOUT}
""",
        'model(torch.from_numpy({inputs})).numpy()',
    ),
    "cuda": Program(
        "the program of torch.export called from Python, operator by operator, inputs on the GPU",
        f"{_TORCH}{_MOVED}model = moved.module()\n{_ABOUT}\n",
        'model(torch.from_numpy({inputs}).cuda()).cpu().numpy()',
    ),
    "cuda_inductor": Program(
        "the program of torch.export compiled by torch.compile with frozen weights, called from Python, inputs on the "
        "GPU",
        f"""\
{_TORCH}{_MOVED}from torch._inductor import config
config.freezing = True
model = torch.compile(moved.module())
{_ABOUT}
""",
        'model(torch.from_numpy({inputs}).cuda()).cpu().numpy()',
    ),
}  # fmt: skip


def program(device: Mapping[str, object], inputs: str, values: str, answer: str) -> str:
    """The whole program. ``values``: what is to be said of the values that are read; ``answer`` what is printed."""
    known = PROGRAMS[str(device["backend"])]
    given = {"threads": device["threads"], "floats": device.get("floats", "f32"), "inputs": inputs}
    zeros = f'values = np.zeros(about["input_shape"], about["input_type"])  # yours{values}'
    return f"{known.load.format(**given)}{zeros}\noutputs = {known.run.format(**given)}\nprint({answer})\n"
