#!/usr/bin/env python3
"""Figures about the code: sizes of files and functions, documentation, words of comments, built artefacts.

    tests/figures.py                    the working tree
    tests/figures.py v0.1.0 .           a revision beside the working tree; any number of revisions
    tests/figures.py --check            fails where a function grew too long or a public doc comment says nothing
    tests/figures.py --shorten          removes from tests/short_docs.txt what is no longer in the tree

It needs Python 3.11 and Git.
"""

import argparse
import collections
import io
import pathlib
import re
import statistics
import subprocess
import sys
import tarfile
import tomllib

from rust_source import Source

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHORT_DOCS = ROOT / "tests/short_docs.txt"
LONGEST_P90, LONGEST = 25, 80
INDIRECT = ["whoever", "somebody", "nobody", "whose"]
DIRECT = ["returns", "error", "response", "retry", "backoff", "lockout", "session", "request"]


def git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True).stdout


def read_tree(revision):
    """Returns the text of every file of a revision by path; `.` is the working tree."""
    if revision == ".":
        paths = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").decode().split("\0")
        files = {path: ROOT / path for path in paths if path and (ROOT / path).is_file()}
        return {path: decode(file.read_bytes()) for path, file in files.items()}
    archive = tarfile.open(fileobj=io.BytesIO(git("archive", "--format=tar", revision)))
    return {member.name: decode(archive.extractfile(member).read()) for member in archive if member.isfile()}


def decode(content):
    return content.decode("utf-8", errors="replace")


def is_test_path(path):
    return bool(re.search(r"(^|/)(tests|benches|fuzz)/", path))


def split_sources(tree):
    """Returns the Rust files of the product and those of tests; what `#[cfg(test)]` names is a test."""
    sources = {path: Source(text) for path, text in tree.items() if path.endswith(".rs")}
    tests = {path for path in sources if is_test_path(path)}
    for path, source in sources.items():
        folder, _, name = path.removesuffix(".rs").rpartition("/")
        stem = folder if name in ("lib", "main", "mod") else f"{folder}/{name}"
        for module in source.test_files:
            tests |= {p for p in sources if p in (f"{stem}/{module}.rs", f"{stem}/{module}/mod.rs")}
            tests |= {p for p in sources if p.startswith(f"{stem}/{module}/")}
    product = {path: source for path, source in sources.items() if path not in tests}
    return product, {path: sources[path] for path in tests}


def spread(values):
    """Returns median, 90th and 99th percentile and maximum of whole numbers."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return " / ".join(f"{value:.0f}" for value in (cuts[49], cuts[89], cuts[98], max(values)))


def per_ten_thousand(words, wanted):
    counted = collections.Counter(words)
    return f"{10_000 * sum(counted[word] for word in wanted) / len(words):.1f}"


def short_docs(product):
    """Returns every doc comment of one or two words, and how often it occurs."""
    docs = (doc for source in product.values() for doc in source.one_line_docs())
    return collections.Counter(doc for doc in docs if len(doc.split()) <= 2)


def packages(tree):
    manifests = (tomllib.loads(text) for path, text in tree.items() if path.endswith("Cargo.toml"))
    return sum("package" in manifest for manifest in manifests)


def lines_of(tree, keep):
    return sum(text.count("\n") for path, text in tree.items() if keep(path))


def figures(tree):
    """Returns the rows of the table: name and value as text."""
    product, tests = split_sources(tree)
    functions = [length for source in product.values() for _, length in source.functions()]
    items = [documented for source in product.values() for _, documented in source.public_items()]
    docs = [doc for source in product.values() for doc in source.one_line_docs()]
    words = re.findall(r"[a-z]+", "\n".join(source.comments for source in product.values()).lower())
    production = sum(source.lines for source in product.values())
    tested = sum(source.lines for source in tests.values()) + sum(s.test_lines for s in product.values())
    openings = sum(source.text.startswith("//!") for source in product.values())
    scripts = lines_of(tree, lambda path: is_test_path(path) and path.endswith((".py", ".js")))
    yield "packages", packages(tree)
    yield "Rust files, production", len(product)
    yield "lines of Rust, production", production
    yield "lines of Rust, tests", tested
    yield "tests to production", f"{tested / production:.2f}"
    yield "lines of JavaScript and Python in tests", scripts
    yield "lines of JavaScript, production", lines_of(tree, lambda p: p.endswith(".js") and not is_test_path(p))
    yield "lines of documentation (Markdown)", lines_of(tree, lambda path: path.endswith(".md"))
    yield "lines of Cargo.toml", lines_of(tree, lambda path: path.endswith("Cargo.toml"))
    yield "file median / p90 / p99 / max", spread([source.lines for source in product.values()])
    yield "function median / p90 / p99 / max", spread(functions)
    yield "functions over 40 lines", sum(length > 40 for length in functions)
    yield "functions over 80 lines", sum(length > 80 for length in functions)
    yield "public items with documentation", f"{100 * sum(items) / len(items):.1f} % of {len(items)}"
    yield "files that open with what they own", f"{100 * openings / len(product):.1f} %"
    yield "doc comments of one or two words", f"{sum(short_docs(product).values())} of {len(docs)} of one line"
    yield "words of comments", len(words)
    yield ", ".join(INDIRECT) + " per 10,000 words", per_ten_thousand(words, INDIRECT)
    for word in DIRECT:
        yield f"{word} per 10,000 words", per_ten_thousand(words, [word])


def artefacts():
    """Returns the sizes of what was built in the target folder, as far as it was."""
    built = {"bootstrap.zip": "target/lambda/*/bootstrap.zip", "worker, WASM": "edge/worker/build/*.wasm"}
    for name, pattern in built.items():
        for file in sorted(ROOT.glob(pattern)):
            yield f"{name}, {file.parent.name}", f"{file.stat().st_size / 2**20:.2f} MiB"


def table(revisions):
    columns = [dict(figures(read_tree(revision))) for revision in revisions]
    if "." in revisions:
        columns[revisions.index(".")] |= dict(artefacts())
    names = dict.fromkeys(name for column in columns for name in column)
    titles = ["working tree" if revision == "." else revision for revision in revisions]
    yield f"| | {' | '.join(titles)} |"
    yield f"|---|{'---:|' * len(titles)}"
    for name in names:
        yield f"| {name} | {' | '.join(str(column.get(name, '')) for column in columns)} |"


def listed_short_docs():
    """Returns how often the list allows each doc comment. Every line is a number and the comment."""
    lines = [line for line in SHORT_DOCS.read_text().splitlines() if line and not line.startswith("#")]
    return collections.Counter({doc: int(count) for count, doc in (line.split(" ", 1) for line in lines)})


def faults(tree):
    """Yields what is wrong with the working tree, one sentence each."""
    product, _ = split_sources(tree)
    named = [(length, path, name) for path, source in product.items() for name, length in source.functions()]
    p90 = statistics.quantiles([length for length, _, _ in named], n=100, method="inclusive")[89]
    if p90 > LONGEST_P90:
        yield f"one function in ten has more than {p90:.0f} lines; the limit is {LONGEST_P90}"
    for length, path, name in sorted(named, reverse=True):
        if length > LONGEST:
            yield f"{path}: `{name}` has {length} lines; the limit is {LONGEST}"
    found, listed = short_docs(product), listed_short_docs()
    for doc, count in sorted((found - listed).items()):
        yield f"the doc comment `{doc}` says too little ({count} more than listed): say what is returned, and when it fails"
    for doc, count in sorted((listed - found).items()):
        yield f"tests/short_docs.txt lists `{doc}` {count} times more than it occurs; run tests/figures.py --shorten"


def shorten(tree):
    """Rewrites the list without what is gone. It never grows."""
    kept = listed_short_docs() & short_docs(split_sources(tree)[0])
    comments = [line for line in SHORT_DOCS.read_text().splitlines() if line.startswith("#")]
    SHORT_DOCS.write_text("\n".join(comments + [f"{kept[doc]} {doc}" for doc in sorted(kept)]) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revisions", nargs="*", default=["."], help="revisions of Git; `.` is the working tree")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--shorten", action="store_true")
    arguments = parser.parse_args()
    if arguments.shorten:
        shorten(read_tree("."))
    elif arguments.check:
        found = list(faults(read_tree(".")))
        sys.exit("\n".join(f"tests/figures.py: {fault}" for fault in found) if found else 0)
    else:
        print("\n".join(table(arguments.revisions)))


if __name__ == "__main__":
    main()
