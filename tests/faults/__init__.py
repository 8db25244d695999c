"""Ways to make mashpix misbehave, for the tests and benchmarks/faults.py; each part is a generator of `Attempt`."""
