"""From plain networks to files; knows no device."""

from supernets.export.onnx import onnx
from supernets.export.qdq import GraphWriter

__all__ = ["GraphWriter", "onnx"]
