"""From plain networks to files; knows no device."""

from supernets.export.onnx import check, onnx
from supernets.export.qdq import GraphWriter, NotExportable

__all__ = ["GraphWriter", "NotExportable", "check", "onnx"]
