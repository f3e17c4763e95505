"""Reads shell scripts: lists, pipelines, redirections, compound commands."""

from __future__ import annotations

from functools import lru_cache

from pytest_selfrep.kubesim.containers.syntax import (
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Item,
    Loop,
    Pipeline,
    Redirect,
    Script,
    Simple,
    SyntaxProblem,
    Text,
    Word,
)
from pytest_selfrep.kubesim.containers.words import BLANKS, BREAKS, MAX_DEPTH, NAME, Cursor

MAX_SCRIPT = 128 * 1024
"""Characters; the kernel's own limit for one argument."""
_CLOSING = ("then", "else", "elif", "fi", "do", "done", "esac", "}")
_OPERATORS = ("&&", "||", ";;", ";", "&", "|", "(", ")", "\n")
_REDIRECTS = (">>", "<<-", "<<", ">&", "<&", ">|", "<>", ">", "<")


@lru_cache(maxsize=256)
def parse(text: str) -> Script:
    """A script as data. Raises SyntaxProblem."""
    if len(text) > MAX_SCRIPT:
        raise SyntaxProblem("Argument list too long")
    return _nested(Cursor(text, _nested), "")


def _nested(cursor: Cursor, closing: str) -> Script:
    parser = _Parser(cursor)
    script = parser.script()
    parser.finish(closing)
    return script


class _Parser:
    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._documents: list[tuple[str, bool, bool, list[Redirect], int]] = []

    def finish(self, closing: str) -> None:
        self._blanks()
        if closing:
            if self._cursor.next != closing:
                raise self._unexpected(f' (expecting "{closing}")')
            self._cursor.take()
        elif self._cursor.next:
            raise self._unexpected()

    # Lists

    def script(self) -> Script:
        items = []
        while self._more():
            items.append(self._item())
        return tuple(items)

    def _more(self) -> bool:
        """Whether another command begins here, after empty lines."""
        self._blanks(lines=True)
        if not self._cursor.next or self._cursor.next == ")" or self._cursor.starts(";;"):
            return False
        return self._keyword() not in _CLOSING

    def _item(self) -> Item:
        pipelines = [("", self._pipeline())]
        while (operator := self._operator()) in ("&&", "||"):
            self._cursor.take(2)
            self._blanks(lines=True)
            pipelines.append((operator, self._pipeline()))
        if operator in (";", "&", "\n"):
            self._cursor.take()
            if operator == "\n":
                self._here_documents()
        return Item(tuple(pipelines), operator == "&")

    def _pipeline(self) -> Pipeline:
        negated = False
        while self._keyword() == "!":
            self._cursor.take()
            self._blanks()
            negated = not negated
        commands = [self._command()]
        while self._operator() == "|":
            self._cursor.take()
            self._blanks(lines=True)
            commands.append(self._command())
        return Pipeline(tuple(commands), negated)

    # Commands

    def _command(self) -> Command:
        self._cursor.depth += 1
        if self._cursor.depth > MAX_DEPTH:
            raise SyntaxProblem("too deeply nested")
        redirects: list[Redirect] = []
        what = self._compound() or self._simple(redirects)
        if not isinstance(what, Simple | Function):
            while self._redirect(redirects):
                pass
        if self._documents:
            self._find_documents(redirects)
        self._cursor.depth -= 1
        return Command(what, tuple(redirects))

    def _compound(self) -> Group | If | Loop | For | Case | None:
        if self._operator() == "(":
            self._cursor.take()
            body = self._body()
            self._close(")")
            return Group(body, subshell=True)
        keyword = self._keyword()
        if keyword in ("{", "if", "while", "until", "for", "case"):
            self._cursor.take(len(keyword))
        if keyword == "{":
            body = self._body()
            self._expect("}")
            return Group(body)
        if keyword == "if":
            return self._if()
        if keyword in ("while", "until"):
            condition = self._body()
            return Loop(condition, self._do(), keyword == "until")
        if keyword == "for":
            return self._for()
        return self._case() if keyword == "case" else None

    def _if(self) -> If:
        branches: list[tuple[Script | None, Script]] = []
        word = "elif"
        while word == "elif":
            condition = self._body()
            self._expect("then")
            branches.append((condition, self._body()))
            word = self._keyword()
            self._cursor.take(len(word) if word in ("elif", "else", "fi") else 0)
        if word == "else":
            branches.append((None, self._body()))
            self._expect("fi")
        elif word != "fi":
            raise self._unexpected(' (expecting "fi")')
        return If(tuple(branches))

    def _for(self) -> For:
        self._blanks()
        name = NAME.match(self._cursor.text, self._cursor.at)
        if name is None:
            raise SyntaxProblem("bad for loop variable")
        self._cursor.take(len(name[0]))
        self._blanks(lines=True)
        words: list[Word] | None = None
        if self._keyword() == "in":
            self._cursor.take(2)
            words = []
            self._blanks()
            while word := self._cursor.word():
                words.append(word)
                self._blanks()
        if self._cursor.next == ";":
            self._cursor.take()
        return For(name[0], None if words is None else tuple(words), self._do())

    def _case(self) -> Case:
        self._blanks()
        word = self._cursor.word()
        self._blanks(lines=True)
        self._expect("in")
        arms: list[tuple[tuple[Word, ...], Script]] = []
        while True:
            self._blanks(lines=True)
            if self._keyword() == "esac":
                self._cursor.take(4)
                return Case(word, tuple(arms))
            if self._cursor.next == "(":
                self._cursor.take()
            patterns = [self._pattern()]
            while self._operator() == "|":
                self._cursor.take()
                patterns.append(self._pattern())
            self._close(")")
            arms.append((tuple(patterns), self.script()))
            self._blanks(lines=True)
            if self._cursor.starts(";;"):
                self._cursor.take(2)

    def _pattern(self) -> Word:
        self._blanks()
        word = self._cursor.word()
        if not word:
            raise self._unexpected()
        return word

    def _do(self) -> Script:
        self._blanks(lines=True)
        self._expect("do")
        body = self._body()
        self._expect("done")
        return body

    def _body(self) -> Script:
        body = self.script()
        if not body:
            raise self._unexpected()
        return body

    def _simple(self, redirects: list[Redirect]) -> Simple | Function:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        while True:
            self._blanks()
            if self._redirect(redirects):
                continue
            if not words and (assigned := self._assignment()) is not None:
                assignments.append(assigned)
                continue
            start = self._cursor.at
            word = self._cursor.word()
            if not word:
                if words or assignments or redirects:
                    return Simple(tuple(assignments), tuple(words))
                raise self._unexpected()
            if not words and self._cursor.starts("()") and not assignments:
                name = self._cursor.text[start : self._cursor.at]
                self._cursor.take(2)
                self._blanks(lines=True)
                return Function(name, self._command())
            words.append(word)

    def _assignment(self) -> tuple[str, Word] | None:
        name = NAME.match(self._cursor.text, self._cursor.at)
        if name is None or self._cursor.text[name.end() : name.end() + 1] != "=":
            return None
        self._cursor.take(len(name[0]) + 1)
        return name[0], self._cursor.word()

    # Redirections

    def _redirect(self, redirects: list[Redirect]) -> bool:
        self._blanks()
        cursor = self._cursor
        digit = cursor.next if cursor.next.isdigit() else ""
        operator = next((each for each in _REDIRECTS if cursor.starts(digit + each)), None)
        if operator is None:
            return False
        cursor.take(len(digit + operator))
        self._blanks()
        start = cursor.at
        target = cursor.word()
        if not target:
            raise self._unexpected()
        descriptor = int(digit) if digit else int(operator[0] == ">")
        if operator.startswith("<<"):
            raw = cursor.text[start : cursor.at]
            end = "".join(part.text for part in target if isinstance(part, Text))
            self._documents.append((end, end == raw, operator == "<<-", redirects, len(redirects)))
        redirects.append(Redirect(descriptor, "<<" if operator.startswith("<<") else operator, target))
        return True

    def _find_documents(self, redirects: list[Redirect]) -> None:
        """Here-documents begin on the next line; what is left of this one is looked over first."""
        cursor = self._cursor
        line = cursor.text.find("\n", cursor.at)
        if line < 0:
            line = len(cursor.text)
        at = line + 1
        for end, expands, strips, _, index in self._documents:
            lines = []
            while at < len(cursor.text):
                stop = cursor.text.find("\n", at)
                stop = len(cursor.text) if stop < 0 else stop
                text = cursor.text[at:stop]
                at = stop + 1
                if strips:
                    text = text.lstrip("\t")
                if text == end:
                    break
                lines.append(text + "\n")
            body = "".join(lines)
            target = Cursor(body, _nested, cursor.depth).quoted("") if expands else (Text(body, quoted=True),)
            redirects[index] = Redirect(redirects[index].descriptor, "<<", target)
        self._documents.clear()
        cursor.text = cursor.text[: line + 1] + cursor.text[at:]

    def _here_documents(self) -> None:
        self._documents.clear()

    # Tokens

    def _blanks(self, *, lines: bool = False) -> None:
        cursor = self._cursor
        while cursor.next:
            if cursor.next in BLANKS or (lines and cursor.next == "\n"):
                cursor.take()
            elif cursor.starts("\\\n"):
                cursor.take(2)
            elif cursor.next == "#":
                while cursor.next not in ("", "\n"):
                    cursor.take()
            else:
                return

    def _operator(self) -> str:
        self._blanks()
        return next((each for each in _OPERATORS if self._cursor.starts(each)), "")

    def _keyword(self) -> str:
        """The plain word here, not yet taken."""
        self._blanks()
        at = end = self._cursor.at
        text = self._cursor.text
        while end < len(text) and text[end] not in BREAKS:
            end += 1
        return text[at:end]

    def _expect(self, keyword: str) -> None:
        self._blanks(lines=True)
        if self._keyword() != keyword:
            raise self._unexpected(f' (expecting "{keyword}")')
        self._cursor.take(len(keyword))

    def _close(self, char: str) -> None:
        self._blanks(lines=True)
        if self._cursor.next != char:
            raise self._unexpected(f' (expecting "{char}")')
        self._cursor.take()

    def _unexpected(self, wanted: str = "") -> SyntaxProblem:
        self._blanks()
        if not self._cursor.next:
            return SyntaxProblem(f"unexpected end of file{wanted}")
        if self._cursor.next == "\n":
            return SyntaxProblem(f"unexpected newline{wanted}")
        token = self._operator() or self._keyword() or self._cursor.next
        return SyntaxProblem(f'unexpected "{token}"{wanted}')
