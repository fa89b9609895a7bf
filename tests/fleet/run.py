"""Runs the tests of this folder: every function `test_…` of every module, in order, each with a temporary folder of its own."""

import atexit
import importlib
import os
import pathlib
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from common import Skipped  # noqa: E402

PARTS = ["rules", "dashboards", "readers", "repository", "image", "addon", "live"]


def main():
    passed = failed = 0
    for part in sys.argv[1:] or PARTS:
        module = importlib.import_module(part)
        # What the tests of a module share lasts as long as they do.
        atexit.register(getattr(module, "tear_down", lambda: None))
        for name, test in list(vars(module).items()):
            if not name.startswith("test_"):
                continue
            title, begun = f"fleet::{part}::{name[5:]}", time.monotonic()
            try:
                with tempfile.TemporaryDirectory(prefix="lineside-test-") as folder:
                    test(pathlib.Path(folder))
            except Skipped as reason:
                if os.environ.get("LINESIDE_REQUIRE_ALL") != "1":
                    print(f"skipped: {title}: {reason}", flush=True)
                    continue
                failed += 1
                print(f"test {title} ... FAILED: needs what is not here: {reason}", flush=True)
            except Exception:
                failed += 1
                traceback.print_exc(file=sys.stdout)
                print(f"test {title} ... FAILED", flush=True)
            else:
                passed += 1
                print(f"test {title} ... ok ({time.monotonic() - begun:.1f} s)", flush=True)
    print(f"test result: {'FAILED' if failed else 'ok'}. {passed} passed; {failed} failed")
    return 1 if failed else 0


sys.exit(main())
