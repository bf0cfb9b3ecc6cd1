"""Rules about dependencies, from `cargo metadata` on standard input.

Always: the minimum Rust version in Cargo.toml suffices for every dependency. With the argument
`rules` also what deny.toml says: no two versions of one crate except those skipped there, no denied
crate, only allowed licences, everything from crates.io.
"""

import json
import re
import sys
import tomllib


def version(text):
    return tuple(int(part) for part in text.split("-")[0].split("."))


def too_new(packages, ours):
    for package in packages:
        needs = package["rust_version"]
        if needs and version(needs)[:2] > version(ours)[:2]:
            yield f"{package['id']} needs Rust {needs}, and Cargo.toml says {ours}"


def against_deny_toml(packages, deny):
    allowed = set(deny["licenses"]["allow"])
    denied = {entry["crate"] for entry in deny["bans"]["deny"]}
    skips = {entry["crate"] for entry in deny["bans"]["skip"]}
    for package in packages:
        if package["name"] in denied:
            yield f"{package['name']} is denied"
        if not permits(package["license"], allowed):
            yield f"{package['name']} has the licence {package['license']}"
        if package["source"] not in (None, "registry+https://github.com/rust-lang/crates.io-index"):
            yield f"{package['name']} comes from {package['source']}"

    versions = {}
    for package in packages:
        versions.setdefault(package["name"], set()).add(package["version"])
    for name, found in sorted(versions.items()):
        left = {one for one in found if not any(matches(skip, name, one) for skip in skips)}
        if len(left) > 1:
            yield f"{name} is there in the versions {', '.join(sorted(left))}"
    for skip in sorted(skips):
        name = skip.split("@")[0]
        found = versions.get(name, set())
        if len(found) < 2 or not any(matches(skip, name, one) for one in found):
            yield f"deny.toml: {skip} need not be skipped any more"


def matches(skip, name, found):
    """Whether `skip`, such as `rand@0.9`, is version `found` of `name`."""
    skipped, _, prefix = skip.partition("@")
    return skipped == name and f"{found}.".startswith(f"{prefix}.")


def permits(expression, allowed):
    """Whether an SPDX expression such as `(MIT OR Apache-2.0) AND ISC` can be met by `allowed`."""
    # Older packages write OR as a slash.
    words = re.findall(r"[()]|[\w.+-]+(?: WITH [\w.+-]+)?", (expression or "").replace("/", " OR "))

    def either():
        result = both()
        while words and words[0] == "OR":
            words.pop(0)
            result = both() or result
        return result

    def both():
        result = one()
        while words and words[0] == "AND":
            words.pop(0)
            result = one() and result
        return result

    def one():
        word = words.pop(0)
        if word != "(":
            return word in allowed
        result = either()
        words.pop(0)
        return result

    return bool(words) and either()


def main():
    metadata = json.load(sys.stdin)
    # The packages of the graph: `packages` also has those of other platforms.
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    packages = [package for package in metadata["packages"] if package["id"] in used]
    with open("Cargo.toml", "rb") as file:
        ours = tomllib.load(file)["workspace"]["package"]["rust-version"]
    problems = list(too_new(packages, ours))
    if sys.argv[1:] == ["rules"]:
        with open("deny.toml", "rb") as file:
            problems += against_deny_toml(packages, tomllib.load(file))
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(packages)} packages, minimum Rust version {ours}: {len(problems)} problems")
    sys.exit(bool(problems))


main()
