"""The short form of the benchmark suite, ``python -m fastnn bench``: its workloads, its data, its clock."""
