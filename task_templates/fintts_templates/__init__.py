"""The SkyPilot task, rendered purely: values in, YAML text out."""

from fintts_templates.task import Arming, Rental, TaskValues, render

__all__ = ["Arming", "Rental", "TaskValues", "render"]
