# SPDX-License-Identifier: Apache-2.0
"""The rules in docs/OPERATIONS.md name metrics that there are; promtool reads them where it is
installed."""
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import nodes

DOC = pathlib.Path(__file__).parents[2] / "docs" / "OPERATIONS.md"


def rules():
    return re.search(r"^```yaml\n(groups:.*?)^```$", DOC.read_text(encoding="utf-8"),
                     re.M | re.S).group(1)


class Alerts(nodes.PairCase):
    def test_each_rule_asks_for_metrics_that_there_are(self):
        shown = self.local.http("GET", "/metrics")[1]
        there = set(re.findall(r"^(parley_\w+)", shown, re.M))
        for rule in re.split(r"- alert: ", rules())[1:]:
            expr = re.search(r"expr: (.*)", rule).group(1)
            self.assertIn("summary: ", rule)
            for name in re.findall(r"parley_\w+", expr):
                self.assertIn(name, there, rule)
        self.assertGreater(rules().count("- alert: "), 8)

    def test_the_table_names_metrics_that_there_are(self):
        self.local.json("append", "talk", "--role", "user", "hello")
        shown = self.local.http("GET", "/metrics")[1]
        there = set(re.findall(r"^(?:# TYPE )?(parley_\w+)", shown, re.M))
        table = DOC.read_text(encoding="utf-8").split("## Monitoring")[1].split("### Alerts")[0]
        for name in re.findall(r"`(parley_\w+)(?:\{[a-z,]*\})?`", table):
            self.assertIn(name, there)

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool_reads_them(self):
        path = os.path.join(self.base, "rules.yml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(rules())
        done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
