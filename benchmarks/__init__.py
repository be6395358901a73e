"""How fast is it? `python -m benchmarks` measures and writes docs/benchmarks.md; every figure is a ratio in one run."""
