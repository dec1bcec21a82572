#!/usr/bin/env python3
"""The pages hold together: every link between them leads somewhere, also to a section; the table of contents of the book has each
page once; and the README stays one that people read to its end, with a source for each word about others. Needs Python 3.11 and Git.

    tests/links.py                  the pages of this repository
    tests/links.py FOLDER           those below a folder, as infra/book/build gathers them
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONTENTS = "infra/book/SUMMARY.md"
LONGEST_README = 900
# Pages that are no part of the book, and why.
LEFT_OUT = {
    CONTENTS: "the table of contents itself",
    "infra/server/ARCHIVE.md": "the README of an archive, where there is no book",
    "functions/console/web/dist/licenses.md": "served by the console, made by its build",
    "functions/shared/identity/common-passwords/README.md": "where a list of words comes from",
}
FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
# Code, in which nothing is a link, or a link with its target.
SPAN = re.compile(
    r"^(?P<fence>```|~~~).*?^(?P=fence)|`[^`\n]*`|!?\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^)\s]+)\)", re.M | re.S
)
ELSEWHERE = re.compile(r"[a-z]+:", re.I)


def pages(folder):
    """Returns the paths of all pages below a folder, relative to it."""
    if folder == ROOT:
        listed = ["git", "-C", folder, "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
        paths = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines()
        return sorted(path for path in set(paths) if (folder / path).is_file())
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.md"))


def links_of(text):
    return [span["target"] for span in SPAN.finditer(text) if span["target"]]


def anchors_of(text):
    """Returns the anchors of the headings of a page, as GitHub and mdBook make them."""
    seen = {}
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", text), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
        count = seen.get(anchor, -1) + 1
        seen[anchor] = count
        yield f"{anchor}-{count}" if count else anchor


def broken(folder, path):
    """Returns what is wrong with the links of a page."""
    page = folder / path
    for link in links_of(page.read_text()):
        if ELSEWHERE.match(link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.exists():
            yield f"{path}: {link} leads nowhere"
        elif anchor and (file.suffix != ".md" or anchor not in anchors_of(file.read_text())):
            yield f"{path}: {link}: there is no such section"


def contents(paths):
    """Returns what is wrong with the table of contents."""
    summary = ROOT / CONTENTS
    listed = [str((summary.parent / link).resolve().relative_to(ROOT)) for link in links_of(summary.read_text())]
    for path in sorted({path for path in listed if listed.count(path) > 1}):
        yield f"{CONTENTS}: {path} is there twice"
    for path in paths:
        if (path in listed) == (path in LEFT_OUT):
            yield f"{CONTENTS}: {path} is {'left out, and there' if path in listed else 'missing'}"


def readme():
    """Returns what is wrong with the README."""
    text = (ROOT / "README.md").read_text()
    words = len(text.split())
    if words >= LONGEST_README:
        yield f"README.md has {words} words; below {LONGEST_README} people read it"
    head, _, *rows = re.findall(r"^\|.*\|$", text[text.index("| | Portcullis |") :].split("\n\n")[0], re.M)
    _, _, *others = head.strip("|").split("|")
    for row in rows:
        what, _, *cells = row.strip("|").split(" | ")
        for other, cell in zip(others, cells, strict=True):
            if "](" not in cell and cell.strip() != "—":
                yield f"README.md: no source for what it says of {other.strip()} and `{what.strip()}`"


def main():
    folder = pathlib.Path(sys.argv[1]).resolve() if sys.argv[1:] else ROOT
    paths = pages(folder)
    faults = [fault for path in paths for fault in broken(folder, path)]
    if folder == ROOT:
        faults += [*contents(paths), *readme()]
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(paths)} pages, and every link between them leads somewhere")


if __name__ == "__main__":
    main()
