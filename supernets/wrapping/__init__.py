"""A user's own model as a supernet: traced, its axes followed through all operations, channels tied into choices."""

from supernets.wrapping.errors import NotWrappable
from supernets.wrapping.options import Options
from supernets.wrapping.report import Report
from supernets.wrapping.wrap import Wrapped, wrap

__all__ = ["NotWrappable", "Options", "Report", "Wrapped", "wrap"]
