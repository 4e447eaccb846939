"""Suites to inherit in tests of your own parts; they need pytest (``pip install 'nas[test]'``)."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("nas.testing.strategies")
