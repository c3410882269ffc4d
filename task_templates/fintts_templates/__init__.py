"""The SkyPilot task, rendered purely: values in, YAML text out."""
