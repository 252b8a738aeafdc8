"""What `sonant info` says of the processor, and of SONANT_CPU."""
import json
import os

from cli import Case, run


def info(mask=None):
    return json.loads(run("info", "--format", "json", env={} if mask is None else {"SONANT_CPU": mask}).stdout)


class Info(Case):
    def test_what_was_chosen_and_why(self):
        said = info("scalar")
        self.assertEqual(said["cpu"], "scalar")
        self.assertIn("the processor has", said["cpu_why"])
        self.assertIn("SONANT_CPU=scalar allows no more", said["cpu_why"])
        self.assertIn("because  the processor has", run("info").stdout.decode())

    def test_an_unknown_mask_is_told_and_changes_nothing(self):
        for mask in ["avx9000", "AVX2", "", 'a"b\n\u00e9' + "x" * 100]:
            said = info(mask)
            if "SONANT_CPU" not in os.environ:
                self.assertEqual(said["cpu"], info()["cpu"], mask)
            self.assertIn("is ignored, for it is none of scalar", said["cpu_why"], mask)
            self.assertLess(len(said["cpu_why"]), 400)
