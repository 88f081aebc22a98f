"""Times LightGBM's own predict for `bench models`, one thread.

    python time_lightgbm.py DIR

DIR has trees.txt and trees.N.input.npy (make_models.py). Each line of standard input is a number of rows and for how many
seconds to repeat; the answer is the microseconds of a call. The call is `Booster.predict` from Python, whose own cost is
some tens of microseconds: it weighs on single rows.
"""

import sys
import time
from pathlib import Path

import lightgbm
import numpy as np

folder = Path(sys.argv[1])
booster = lightgbm.Booster(model_file=folder / "trees.txt")
rows = {}
for line in sys.stdin:
    n, seconds = line.split()
    x = rows.setdefault(n, np.load(folder / f"trees.{n}.input.npy"))
    times, end = [], time.perf_counter() + float(seconds)
    while time.perf_counter() < end:
        start = time.perf_counter()
        booster.predict(x, num_threads=1)
        times.append(time.perf_counter() - start)
    print(1e6 * sorted(times)[len(times) // 2], flush=True)
