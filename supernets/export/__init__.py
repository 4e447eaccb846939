"""From plain networks to files; knows no device."""

from supernets.export.any_batch import any_batch
from supernets.export.calls import NotExportable
from supernets.export.onnx import check, onnx
from supernets.export.program import loaded, program
from supernets.export.writer import GraphWriter

__all__ = ["GraphWriter", "NotExportable", "any_batch", "check", "loaded", "onnx", "program"]
