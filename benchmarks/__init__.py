"""How fast is it? `python -m benchmarks` measures and writes docs/benchmarks.md; what is compared takes turns."""
