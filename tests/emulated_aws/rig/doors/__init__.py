"""The clouds' APIs: in front what SkyPilot asks, behind what the hypervisor boots."""
