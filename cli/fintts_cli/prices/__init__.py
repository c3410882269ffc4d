"""Where prices come from, and which offers a run has."""
