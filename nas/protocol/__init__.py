"""Comparing strategies where the truth is known: tables, side-by-side runs, statistics."""
