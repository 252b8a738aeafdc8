"""Runs the unittest cases of a file and reports them in the Test Anything Protocol, so that every case is counted."""
import importlib.util
import pathlib
import sys
import unittest


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.count = 0
        self.broken = set()
        self.left_out = {}  # cases of which a part was skipped

    def line(self, test, ok, note=""):
        self.count += 1
        print(f"{'ok' if ok else 'not ok'} {self.count} - {test.id().split('.', 1)[1]}{note}", flush=True)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.broken.add(test)
            where, text = (self.failures if issubclass(error[0], test.failureException) else self.errors)[-1]
            print(f"# {where}\n# " + text.replace("\n", "\n# "), flush=True)

    def stopTest(self, test):
        if test in self.broken:
            self.line(test, False)
        elif test in self.left_out:
            self.line(test, True, f" # SKIP {self.left_out[test]}")
        super().stopTest(test)

    def addSuccess(self, test):
        if test not in self.left_out:
            self.line(test, True)

    def addSkip(self, test, reason):
        case = getattr(test, "test_case", test)
        if case is test:
            self.line(test, True, f" # SKIP {reason}")
        else:  # one of its parts
            self.left_out[case] = reason

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.line(test, False)
        print("# " + self.failures[-1][1].replace("\n", "\n# "), flush=True)

    def addError(self, test, error):
        super().addError(test, error)
        self.line(test, False)
        print("# " + self.errors[-1][1].replace("\n", "\n# "), flush=True)


path = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(path.parent))
spec = importlib.util.spec_from_file_location(path.stem, path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
suite = unittest.defaultTestLoader.loadTestsFromModule(module)
print(f"1..{suite.countTestCases()}")
result = TapResult()
suite.run(result)
sys.exit(0 if result.wasSuccessful() else 1)
