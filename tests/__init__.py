"""Tests, in folders as the four rooms; this file makes what they share importable."""
