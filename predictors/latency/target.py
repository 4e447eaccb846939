"""The device: where and how networks will run, and what their times depend on besides."""

from __future__ import annotations

import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictors.latency.backends import Backend, backend
from spaces.menu import OPERATORS

_CPU_INFO, _GOVERNOR = Path("/proc/cpuinfo"), Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_VECTOR = re.compile(r"(avx|amx|sse4|fma|f16c|asimd|neon|sve|i8mm|bf16|dotprod).*")  # flags that kernels are chosen by


@dataclass(frozen=True)
class Target:
    """Where and how networks will run: backend, threads, images per call, and the type that float layers compute in."""

    backend: str = "onnxruntime"
    threads: int = 1
    batch: int = 1
    floats: str = "f32"

    @property
    def runtime(self) -> Backend:
        """The backend itself. Raises :class:`predictors.latency.backends.NoBackend`."""
        return backend(self.backend, self.floats)

    @property
    def menu(self) -> dict[str, str]:
        """Precision -> precision whose kernel runs it, of all operators."""
        runtime = self.runtime
        return {name: kernel.executed_as for o in OPERATORS for name, kernel in runtime.menu(o).items()}

    def fingerprint(self) -> dict[str, Any]:
        """What a measurement depends on besides the network."""
        runtime = self.runtime
        return {
            "backend": self.backend,
            "threads": self.threads,
            "batch": self.batch,
            "machine": platform.machine(),
            "processor": _cpu("model name") or platform.processor() or "unknown",
            "flags": " ".join(sorted(f for f in _cpu("flags", "Features").split() if _VECTOR.fullmatch(f))),
            "governor": _read(_GOVERNOR).strip() or "unknown",
            **runtime.fingerprint(),
            "clock": "thread" if runtime.clock(self.threads) is time.thread_time else "wall",
        }


def _cpu(*names: str) -> str:
    """The first entry of the processor's description of one of these names; empty if there is none."""
    for line in _read(_CPU_INFO).splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
