"""The rules of check.py, each broken once."""

import tomllib
import unittest

from check import ROOT, is_allowed, problems

RULES = tomllib.loads((ROOT / "deny.toml").read_text())
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def package(**changes):
    return {"name": "a", "version": "1.0.0", "license": "MIT", "source": CRATES_IO, "dependencies": [], **changes}


class Rules(unittest.TestCase):
    def told(self, **changes):
        return list(problems([package(**changes)], RULES))

    def test_a_good_package(self):
        self.assertEqual(self.told(), [])
        self.assertEqual(self.told(source=None, license="MIT OR GPL-3.0-only"), [])

    def test_licences(self):
        for expression in ["MIT OR Apache-2.0", "MIT/GPL-2.0", "(GPL-3.0 OR MIT) AND ISC", "Apache-2.0 WITH LLVM-exception"]:
            self.assertTrue(is_allowed(expression, RULES["licenses"]["allow"]), expression)
        for expression in ["GPL-3.0-only", "MIT AND GPL-3.0", "(MIT AND AGPL-3.0) OR LGPL-2.1", "GPL-2.0 WITH LLVM-exception"]:
            self.assertFalse(is_allowed(expression, RULES["licenses"]["allow"]), expression)
            self.assertIn(expression, self.told(license=expression)[0])
        self.assertIn("no licence", self.told(license=None)[0])
        for broken in ["", "MIT OR", "(MIT", "MIT MIT"]:
            self.assertRaises(ValueError, is_allowed, broken, ["MIT"])

    def test_bans(self):
        self.assertIn("rustls", self.told(name="openssl-sys")[0])
        wild = {"name": "b", "req": "*"}
        self.assertIn("any version of b", self.told(source=None, dependencies=[wild])[0])
        self.assertEqual(self.told(source=None, dependencies=[{**wild, "path": "/b"}]), [])

    def test_sources(self):
        for source in ["git+https://github.com/a/b?rev=1#1", "registry+https://crates.example/index"]:
            self.assertIn(source, self.told(source=source)[0])


if __name__ == "__main__":
    unittest.main()
