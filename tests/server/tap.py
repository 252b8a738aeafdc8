"""A pytest plugin that writes TAP instead of dots, so that every case is counted."""
import io

from _pytest._io import TerminalWriter


def pytest_configure(config):
    config.option.verbose = getattr(config.option, "verbose", 0)  # the terminal's option, which comparisons are shown by
    config.pluginmanager.register(Tap(), "sonant-tap")
    # Where an assertion compares, pytest 8 asks the terminal's plugin how it marks colours; without one its own assertion hides the test's.
    config.pluginmanager.register(Colours(), "terminalreporter")


class Colours:
    _tw = TerminalWriter(io.StringIO())


class Tap:
    def __init__(self):
        self.count = 0

    def pytest_collection_finish(self, session):
        print(f"1..{len(session.items)}", flush=True)

    def pytest_collectreport(self, report):
        if report.failed:
            print("Bail out! " + str(report.longrepr).replace("\n", "\n# "), flush=True)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.split("::", 1)[-1].replace("#", " ")
        if report.skipped and report.when != "teardown":
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.line(True, name, f" # SKIP {reason}")
        elif report.failed:
            self.line(False, name + ("" if report.when == "call" else f" ({report.when})"))
            print("# " + report.longreprtext.replace("\n", "\n# "), flush=True)
        elif report.when == "call":
            self.line(True, name)

    def line(self, ok, name, note=""):
        """A parameter that is long is long in the name, too, and Meson reads no line of more than 64 KB."""
        self.count += 1
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name[:200]}{note}", flush=True)
