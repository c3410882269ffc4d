"""An estimate as text: the summary, every section of the explanation, and the headline."""
