#!/usr/bin/env python3
"""Holds the packages of `cargo metadata` against deny.toml: licences, bans and sources, as cargo-deny does.

    tests/supply/check.py [deny.toml]

Prints what is wrong, one line each, and exits with 1. For machines without cargo-deny, which takes minutes to build.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def is_allowed(expression, allowed):
    """Whether an SPDX expression can be met with these licences. `/` is the old way to write OR."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    place = 0

    def peek():
        return tokens[place] if place < len(tokens) else None

    def take():
        nonlocal place
        place += 1
        return tokens[place - 1]

    def any_of():
        met = all_of()
        while peek() == "OR":
            take()
            met = all_of() or met
        return met

    def all_of():
        met = one()
        while peek() == "AND":
            take()
            met = one() and met
        return met

    def one():
        if peek() is None:
            raise ValueError(f"`{expression}` is no SPDX expression")
        token = take()
        if token == "(":
            met = any_of()
            if peek() != ")":
                raise ValueError(f"`{expression}` is no SPDX expression")
            take()
            return met
        if peek() == "WITH":
            take()
            token = f"{token} WITH {take()}"
        return token in allowed

    met = any_of()
    if peek() is not None:
        raise ValueError(f"`{expression}` is no SPDX expression")
    return met


def licenses(packages, rules):
    exceptions = {entry["crate"]: entry["allow"] for entry in rules.get("exceptions", [])}
    for package in packages:
        name = f"{package['name']} {package['version']}"
        allowed = rules["allow"] + exceptions.get(package["name"], [])
        if not package["license"]:
            yield f"{name}: it names no licence"
        elif not is_allowed(package["license"], allowed):
            yield f"{name}: `{package['license']}` is not among the licences that deny.toml allows"


def bans(packages, rules):
    banned = {entry["crate"]: entry.get("reason", "no reason given") for entry in rules.get("deny", [])}
    for package in packages:
        if package["name"] in banned:
            yield f"{package['name']} {package['version']}: banned ({banned[package['name']]})"
        # What crates of others ask for is theirs; cargo-deny looks at the workspace's own too.
        if rules.get("wildcards") == "deny" and package["source"] is None:
            for dependency in package["dependencies"]:
                local = dependency.get("path") and rules.get("allow-wildcard-paths")
                if dependency["req"] == "*" and not local:
                    yield f"{package['name']}: any version of {dependency['name']} would do; name one"


def sources(packages, rules):
    registries = {f"registry+{registry}" for registry in rules.get("allow-registry", [])}
    repositories = rules.get("allow-git", [])
    for package in packages:
        source, name = package["source"], f"{package['name']} {package['version']}"
        if source is None or source in registries:
            continue
        if source.startswith("git+") and any(source.startswith(f"git+{url}") for url in repositories):
            continue
        yield f"{name}: it comes from {source}, which deny.toml does not allow"


def problems(packages, rules):
    yield from licenses(packages, rules["licenses"])
    yield from bans(packages, rules["bans"])
    yield from sources(packages, rules["sources"])


def main():
    rules = tomllib.loads((Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "deny.toml").read_text())
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)["packages"]
    versions = defaultdict(set)
    for package in packages:
        versions[package["name"]].add(package["version"])
    for name, several in sorted(versions.items()):
        if len(several) > 1 and rules["bans"].get("multiple-versions") == "warn":
            print(f"note: {name} is there as {', '.join(sorted(several))}")
    wrong = list(problems(packages, rules))
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(packages)} packages, {len(wrong)} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
