"""With many nodes the text for a scrape is made beforehand; never an old one, and not for nobody."""

from __future__ import annotations

from hactl.metrics.prepared import LATELY, OLD, Prepared


class Bench:
    def __init__(self, *, many: bool = True) -> None:
        self.now, self.many, self.made = 100.0, many, 0
        self.prepared = Prepared(lambda: self.many, lambda: self.now)

    def make(self) -> bytes:
        self.made += 1
        return f"text {self.made}".encode()

    def ask(self, name: str = "text") -> bytes:
        return self.prepared.of(name, self.make)


def test_few_nodes_are_told_of_as_they_are_now() -> None:
    bench = Bench(many=False)
    assert [bench.ask(), bench.ask()] == [b"text 1", b"text 2"]
    bench.prepared.once()
    assert bench.made == 2


def test_the_first_one_waits_and_the_next_ones_do_not() -> None:
    bench = Bench()
    assert [bench.ask(), bench.ask()] == [b"text 1", b"text 1"]
    bench.now += 5
    bench.prepared.once()
    assert bench.ask() == b"text 2"
    assert bench.made == 2


def test_an_old_text_is_not_handed_out() -> None:
    bench = Bench()
    bench.ask()
    bench.now += OLD + 0.1
    assert bench.ask() == b"text 2"


def test_nothing_is_made_for_who_asks_no_more() -> None:
    bench = Bench()
    bench.ask()
    bench.now += LATELY + 0.1
    bench.prepared.once()
    assert bench.made == 1


def test_each_format_has_its_own() -> None:
    bench = Bench()
    assert [bench.ask("text"), bench.ask("openmetrics"), bench.ask("text")] == [
        b"text 1",
        b"text 2",
        b"text 1",
    ]


def test_what_was_begun_earlier_does_not_replace_what_is_newer() -> None:
    bench = Bench()

    def slow() -> bytes:
        inner = bench.prepared
        bench.now += 1
        text = inner._texts["text"]
        inner._keep(text, b"newer", bench.now)
        return b"older"

    assert bench.prepared.of("text", slow) == b"older"
    assert bench.ask() == b"newer"


def test_fewer_nodes_again_and_nothing_is_kept() -> None:
    bench = Bench()
    bench.ask()
    bench.many = False
    bench.prepared.once()
    bench.many = True
    assert bench.ask() == b"text 2"
