"""Makes the helpers of this folder (``reference``, ``graphs``, ``drive``, ``shrink``) importable by its tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
