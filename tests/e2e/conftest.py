"""Makes the conversations importable that ``tests/chaos`` kills: what is shown whole here is killed there."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "chaos"))
