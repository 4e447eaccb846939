"""The language of spaces: values that may be chosen, where choices belong, and when they are there."""

from spaces.language.builder import Builder
from spaces.language.fields import Option, among, flag, fraction, take, whole
from spaces.language.scope import Scope

__all__ = ["Builder", "Option", "Scope", "among", "flag", "fraction", "take", "whole"]
