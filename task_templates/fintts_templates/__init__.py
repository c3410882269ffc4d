"""The SkyPilot task, rendered purely: values in, YAML text out."""

from fintts_templates.task import TaskValues, render

__all__ = ["TaskValues", "render"]
