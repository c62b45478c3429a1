"""Ways in which a file gets spoiled: on a disk, in an editor, in a spreadsheet, on a line.

Each takes random numbers and the bytes of a file, and returns other bytes. What a mutated file
ought to mean is none of its business: `chaos.account` reads that from the bytes.
"""

import re
from collections.abc import Callable
from random import Random

Mutation = Callable[[Random, bytes], bytes]

FORMS = (
    *("1e3", "1E+3", "1.5e-3", "1e400", "1e-400", "1e99999999999999999999", "0e5", "0e999999999"),
    *("-5", "+5", "--5", "-0", "-0.0", "- 5", "5-", "(5)"),
    *("1,000", "1 000", "1.000.000", "1'000", "1_000", "1\u00a0000", "\u20091000"),
    *("1" * 12, "1" * 13, "9" * 400, "1" * 5000, "000000000007", "0x10", "0b1", "007"),
    *("NaN", "nan", "Infinity", "-Infinity", "inf", "null", "None", "true", "N/A", ""),
    *("\uff11\uff12\uff13", "\u0661\u0662", "\u00bd", "\u00b2", "\u2460", "\u6570", "1\u200b2"),
    *("1.5", "1.000000", "1.0000001", "0.000001", "12.", ".5", "1..5", "999999999999.999999"),
    *("123456789012345678901.5", "0.1234567890123456789012345678901234567890", "8589934592.5"),
    *(" 5", "5 ", "\t5", "5\u3000", "$5", "5%", "#REF!", "=1+1", "'5", '"5"', '""', '"'),
)
"""What may stand where a number was."""

ODD_TEXTS = (
    *("", " ", "|", ",", '"', '""', "'", "\\", "\x1f", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"),
    *("\ufeff", "\u202e", "\U0001f4c8", "e\u0301", "\ufffd", "\x7f", "\x1b[31m", "a" * 200_000),
)
"""What may stand anywhere else."""

_NUMBER = re.compile(rb"(?<=[|,: \"])-?\d+(?:\.\d+)?(?=[|,}\"\r\n])")
_FIELD = re.compile(rb"[^|,\r\n]+")
_NAME = re.compile(rb'[A-Za-z]{4,}(?=[|,"\n\r])')


def bytes_flipped(random: Random, data: bytes) -> bytes:
    """Change a few bits."""
    spoiled = bytearray(data)
    for _ in range(random.choice((1, 1, 3, 20))):
        spoiled[random.randrange(len(spoiled))] ^= 1 << random.randrange(8)
    return bytes(spoiled)


def bytes_removed(random: Random, data: bytes) -> bytes:
    """Lose a few bytes in a row."""
    at = random.randrange(len(data))
    return data[:at] + data[at + random.choice((1, 2, 7, 500)) :]


def bytes_inserted(random: Random, data: bytes) -> bytes:
    """Gain a few bytes of any value."""
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(random.choice((1, 2, 7, 500))) + data[at:]


def lines_mixed(random: Random, data: bytes) -> bytes:
    """Cut, drop, double, swap or join lines."""
    lines = data.splitlines(keepends=True)
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(6):
        case 0:
            lines[one] = lines[one][: random.randrange(len(lines[one]))] + b"\n"
        case 1:
            del lines[one]
        case 2:
            lines.insert(other, lines[one])
        case 3:
            lines[one], lines[other] = lines[other], lines[one]
        case 4:
            lines[one] = lines[one].rstrip(b"\r\n")
        case _:
            lines.insert(one, random.choice((b"\n", b" \n", b"\t\n", b"\r\n", b"\x0b\n")))
    return b"".join(lines)


def numbers_changed(random: Random, data: bytes) -> bytes:
    """Write numbers in another form."""
    return _replaced(random, data, _NUMBER, FORMS)


def texts_changed(random: Random, data: bytes) -> bytes:
    """Write something odd where a field was."""
    return _replaced(random, data, _FIELD, ODD_TEXTS)


def encoded(random: Random, data: bytes) -> bytes:
    """Save the file in another encoding."""
    text = data.decode(errors="replace")
    match random.randrange(6):
        case 0:
            return text.encode(random.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32")))
        case 1:
            return b"\xef\xbb\xbf" * random.choice((1, 2)) + data
        case 2:
            at = random.randrange(len(text))
            return (text[:at] + "\u00e9\u00df" + text[at:]).encode("latin-1", errors="replace")
        case 3:
            at = random.randrange(len(data))
            return data[:at] + b"\0" * random.choice((1, 4096)) + data[at:]
        case 4:
            return text.encode("cp037", errors="replace")
        case _:
            return data.replace(b"e", "\u00e9".encode()[: random.choice((1, 2))], 3)


def header_changed(random: Random, data: bytes) -> bytes:
    """Rename, double, drop or move columns in the first lines; the rows stay."""
    head, newline, rest = data.partition(b"}" if data.lstrip()[:1] == b"[" else b"\n")
    names = [match.span() for match in _NAME.finditer(head)]
    if not names:
        return data
    (start, end), (a, b) = random.choice(names), random.choice(names)
    name, other = head[start:end], head[a:b]
    change = random.choice(
        (other, b"", name.lower(), name.upper(), b" " + name, name[:-1], name + b"|" + name)
    )
    return head[:start] + change + head[end:] + newline + rest


def columns_permuted(random: Random, data: bytes) -> bytes:
    """Move the header's columns, and maybe those of the rows alike."""
    lines = data.split(b"\n")
    order = list(range(lines[0].count(b"|") + 1))
    random.shuffle(order)
    for number in range(random.choice((1, len(lines)))):
        fields = lines[number].split(b"|")
        if len(fields) == len(order):
            lines[number] = b"|".join(fields[at] for at in order)
    return b"\n".join(lines)


def column_doubled(random: Random, data: bytes) -> bytes:
    """Add a column of a name that is there, with other values."""
    lines = data.split(b"\n")
    at = random.randrange(lines[0].count(b"|") + 1)
    name = lines[0].split(b"|")[at]
    rows = [line + b"|" + random.choice((b"1", line.split(b"|")[-1])) for line in lines[1:] if line]
    return b"\n".join([lines[0] + b"|" + name, *rows, b""])


def truncated(random: Random, data: bytes) -> bytes:
    """Lose the end."""
    near = len(data) - random.randrange(1, 80)
    return data[: random.choice((random.randrange(len(data)), max(0, near)))]


def line_ends_changed(random: Random, data: bytes) -> bytes:
    """End some lines as other systems do."""
    ends = (b"\r", b"\r\n", b"\n\r", b"\r\r\n", b"\n\n")
    every, one = random.random() < 0.5, random.choice(ends)
    lines = data.split(b"\n")
    chosen = [one if every or random.random() < 0.3 else b"\n" for _ in lines[1:]]
    return b"".join(part for pair in zip(lines, [*chosen, b""], strict=True) for part in pair)


def delimiter_changed(random: Random, data: bytes) -> bytes:
    """Use another delimiter, as a spreadsheet does, with and without quoting."""
    other = random.choice((b",", b";", b"\t", b"||"))
    if random.random() < 0.5:
        return data.replace(b"|", other)
    quoted = (b'"' + line.replace(b"|", b'"' + other + b'"') + b'"' for line in data.split(b"\n"))
    return b"\n".join(line for line in quoted if line != b'""') + b"\n"


def _replaced(
    random: Random, data: bytes, pattern: re.Pattern[bytes], values: tuple[str, ...]
) -> bytes:
    found = [match.span() for match in pattern.finditer(data)]
    spans = random.sample(found, min(len(found), random.choice((1, 1, 5, 50))))
    for start, end in sorted(spans, reverse=True):
        data = data[:start] + random.choice(values).encode() + data[end:]
    return data


MUTATIONS: tuple[Mutation, ...] = (
    bytes_flipped,
    bytes_removed,
    bytes_inserted,
    lines_mixed,
    numbers_changed,
    numbers_changed,  # the kind that may become wrong rows, and not only an error
    texts_changed,
    encoded,
    header_changed,
    columns_permuted,
    column_doubled,
    truncated,
    line_ends_changed,
    delimiter_changed,
)


def mutated(random: Random, data: bytes, others: list[bytes]) -> tuple[str, bytes]:
    """Return a file spoiled in one to three ways, and the names of the ways."""
    names = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if random.random() < 0.05:
            names.append("concatenated")
            data += random.choice((b"", b"\n")) + random.choice(others)
        else:
            mutation = random.choice(MUTATIONS)
            names.append(mutation.__name__)
            data = mutation(random, data)
        if not data:
            break
    return "+".join(names), data
