"""Evaluation: benchmarks, studies, baselines."""
