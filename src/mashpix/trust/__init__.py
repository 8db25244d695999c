"""Whether a result can be trusted, and what finishes it: verdict, comparison, detail, strength."""
