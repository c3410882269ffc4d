"""SkyPilot's SDK and server: how they are reached, and what the server copies to an instance."""
