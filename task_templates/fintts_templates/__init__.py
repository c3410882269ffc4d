"""The SkyPilot task, rendered purely: values in, YAML text out."""

from fintts_templates.task import Rental, TaskValues, render

__all__ = ["Rental", "TaskValues", "render"]
