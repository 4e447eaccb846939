"""From a module to a list of operations: what ``torch.export`` sees. The batch size stays free."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from supernets.wrapping.errors import NotWrappable, wrong
from supernets.wrapping.nodes import Trace
from supernets.wrapping.reader import Reader


def trace(module: nn.Module, example_input: Any, batch_dim: int = 0) -> Trace:
    """The operations of ``module`` in ``eval()`` mode; the module is left as it is.

    Raises:
        NotWrappable: torch cannot trace it, its path depends on values, or it fixes the batch size.
    """
    inputs = tuple(example_input) if isinstance(example_input, tuple | list) else (example_input,)
    inputs = tuple(_several(x, batch_dim) for x in inputs)
    modes = {m: m.training for m in module.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one operation for a whole encoder layer: nothing to take apart
    module.eval()
    running: list[str] = []
    try:
        with _followed(module, running), torch.no_grad():
            program = torch.export.export(
                module, inputs, dynamic_shapes=tuple({batch_dim: torch.export.Dim.AUTO} for _ in inputs), strict=False
            )
    except Exception as error:
        raise _untraceable(error, running[-1] if running else "") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for m, training in modes.items():
            m.training = training
    return Reader(program, module).read(batch_dim)


def _several(x: Tensor, batch_dim: int) -> Tensor:
    """A batch of at least two: torch takes a size of one for a constant."""
    return torch.cat([x, x], dim=batch_dim) if x.shape[batch_dim] == 1 else x


@contextmanager
def _followed(module: nn.Module, running: list[str]) -> Iterator[None]:
    """Within it, the last of ``running`` is the path of the module at work, also after it failed."""

    def enter(path: str) -> Callable[..., None]:
        return lambda *_: running.append(path)

    def leave(*_: Any) -> None:
        running.pop()

    hooks = []
    for path, inner in module.named_modules():
        hooks += [inner.register_forward_pre_hook(enter(path)), inner.register_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _untraceable(error: Exception, where: str) -> NotWrappable:
    said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if "data-dependent" in str(error) or "data dependent" in str(error):
        what = "which way it goes depends on the values that it computes"
        return wrong(where, what, "control-flow", "use torch.where, or wrap the part without the condition")
    hint = "make torch.export.export(module, example_input) work, or wrap the part that can be traced"
    return wrong(where, f"torch cannot trace it: {said}", "untraceable", hint)
