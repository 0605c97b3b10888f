"""What becomes of bytes on a bad disk or line, or in bad hands; the same for the same seed."""

import random
from collections.abc import Callable, Iterator


def cut(content: bytearray, dice: random.Random) -> None:
    del content[dice.randrange(len(content)) :]


def turn_bits(content: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 10, 300))):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)


def turn_bits_of_the_header(content: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 5, 30))):
        content[dice.randrange(min(len(content), 1500))] ^= 1 << dice.randrange(8)


def take_out(content: bytearray, dice: random.Random) -> None:
    begin = dice.randrange(len(content))
    del content[begin : begin + dice.choice((1, 188, 5000))]


def put_in(content: bytearray, dice: random.Random) -> None:
    begin, source = dice.randrange(len(content)), dice.randrange(len(content))
    content[begin:begin] = content[source : source + dice.choice((1, 188, 5000))]


def fill_with_nothing(content: bytearray, dice: random.Random) -> None:
    begin = dice.randrange(len(content))
    end = min(len(content), begin + dice.choice((4, 188, 5000)))
    content[begin:end] = bytes([dice.choice((0, 255))]) * (end - begin)


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    cut,
    turn_bits,
    turn_bits_of_the_header,
    take_out,
    put_in,
    fill_with_nothing,
)


def damage(content: bytes, seed: str, count: int) -> Iterator[bytes]:
    """The content in so many states, each kind of damage in turn, the later ones damaged twice."""
    for number in range(count):
        dice = random.Random(f"{seed}{number}")  # noqa: S311 - no secret
        damaged = bytearray(content)
        DAMAGES[number % len(DAMAGES)](damaged, dice)
        if number > count // 2 and damaged:
            dice.choice(DAMAGES)(damaged, dice)
        yield bytes(damaged)
