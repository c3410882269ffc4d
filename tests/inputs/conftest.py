"""A tiny base model, for the tests of what reads and trains one."""

from tiny_base import base, base_folder, examples

__all__ = ["base", "base_folder", "examples"]
