"""The parts of benchmarks/faults.py: each is a generator of `Attempt`."""
