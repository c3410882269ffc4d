"""The prices of SkyPilot's catalogs and of AWS's spot market."""
