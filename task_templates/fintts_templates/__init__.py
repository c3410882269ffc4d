"""Renders the SkyPilot task as YAML, without side effects."""

from fintts_templates.task import Arming, Rental, TaskValues, render

__all__ = ["Arming", "Rental", "TaskValues", "render"]
