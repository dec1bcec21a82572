"""What can be counted in a Rust file: functions and their lengths, documented items, words of comments, lines of tests.

This is a lexer, not a parser: comments, strings and characters are recognised, and what is left is matched by braces.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*(?s:.)*?\*/)
  | (?P<raw>\b(?:br|cr|r)(?P<hashes>\#*)"(?s:.)*?"(?P=hashes))
  | (?P<string>"(?:\\(?s:.)|[^"\\])*")
  | (?P<char>'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\\n])')
    """,
    re.X,
)
TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\n]*\]\s*)*(?:pub(?:\([^)]*\))? )?mod (\w+)\s*([{;])")
FUNCTION = re.compile(r"^[^\n]*?\bfn\s+(\w+)", re.M)
PUBLIC_ITEM = re.compile(
    r"^[ \t]*pub (?:(?:const|async|unsafe|extern|safe) )*(?:fn|struct|enum|trait|type|const|static|union) ?(\w+)", re.M
)
ATTRIBUTES = re.compile(r"(?:[ \t]*#\[[^\n]*\n)*\Z")
DOC_BLOCK = re.compile(r"(?:^[ \t]*///[^\n]*\n)+", re.M)


@dataclass
class Source:
    """One Rust file, its text and its text with comments and strings blanked."""

    text: str
    code: str = ""
    comments: str = ""
    test_files: list = field(default_factory=list)
    test_lines: int = 0

    def __post_init__(self):
        words = []

        def blank(match):
            if match["comment"]:
                words.append(match["comment"])
            return re.sub(r"[^\n]", " ", match[0])

        self.code = TOKEN.sub(blank, self.text)
        self.comments = "\n".join(words)
        self._take_test_modules_out()

    def _take_test_modules_out(self):
        while match := TEST_MODULE.search(self.code):
            end = match.end()
            if match[2] == "{":
                end = closing_brace(self.code, match.end() - 1) + 1
                self.test_lines += self.code.count("\n", match.start(), end) + 1
            else:
                self.test_files.append(match[1])
            self.text, self.code = (cut(text, match.start(), end) for text in (self.text, self.code))

    @property
    def lines(self):
        """Lines of the file without its test modules."""
        return self.text.count("\n")

    def functions(self):
        """Yields the name and the lines of every function, from its signature to its closing brace."""
        for match in FUNCTION.finditer(self.code):
            body = body_of(self.code, match.end())
            if body is not None:
                end = closing_brace(self.code, body)
                yield match[1], self.code.count("\n", match.start(), end) + 1

    def public_items(self):
        """Yields the name of every public item, and whether a doc comment stands before it."""
        for match in PUBLIC_ITEM.finditer(self.code):
            before = self.text[: match.start()]
            before = before[: ATTRIBUTES.search(before).start()].rstrip(" ")
            yield match[1], before.endswith("\n") and before[:-1].rsplit("\n", 1)[-1].lstrip().startswith("///")

    def one_line_docs(self):
        """Yields every doc comment of one line."""
        for match in DOC_BLOCK.finditer(self.text):
            if match[0].count("\n") == 1:
                yield match[0].strip().removeprefix("///").strip()


def cut(text, start, end):
    return text[:start] + text[end:].removeprefix("\n")


def body_of(code, position):
    """Returns where the body of a function opens; `None` for one that is only declared."""
    depth = 0
    for index in range(position, len(code)):
        character = code[index]
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif depth == 0 and character == "{":
            return index
        elif depth == 0 and character == ";":
            return None
    return None


def closing_brace(code, opening):
    """Returns where the brace that opens here is closed."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1
