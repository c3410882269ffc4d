"""The state of a run now and after its end: merged from the store and the infra."""
