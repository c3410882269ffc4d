"""SkyPilot as an infra."""
