"""Renders the SkyPilot task as YAML, without side effects."""

from fintts_templates.task import Arming, Rental, TaskValues, has_autostop, render

__all__ = ["Arming", "Rental", "TaskValues", "has_autostop", "render"]
