"""`mashpix bench`: presets and baselines measured on pictures whose clean version is known."""
