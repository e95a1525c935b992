"""Values that programs stumble over, as YAML text."""

from __future__ import annotations

from random import Random

_SCALARS = (
    *("", "~", "null", "true", "false", "yes", "0", "-1", "1", "2", "7", "0.5", "-0.5", "1e308"),
    *(
        "1e400",
        "-1e400",
        ".inf",
        "-.inf",
        ".nan",
        "0x10",
        "0o17",
        "017",
        "1_000",
        "1:30",
        "2024-01-01",
    ),
    *("9" * 18, "9" * 19, "9" * 400, "9" * 5000, "1." + "0" * 400, "1e-400", "-0", "+5", "1000000"),
    *('"²"', '"①"', '"٣"', '"½"', '"1 0"', '"0x1F"', '"９"', '"-"', '"."', '".."', '"/"', '"~"'),
    *('"~nobody-here/x"', '"a\\0b"', '"\\ud800"', '"\\x1b[31mred"', '"\\u202eevil"', '"\\uFEFF"'),
    *("''", '" "', '"\\n"', '"\\t"', '"a\\nb"', '"é"', '"日本"', '"💥"', '"%s%n"', '"{}"', '"{0}"'),
    *("$HOME", "${HOME}", "${NOT_SET}", "${NOT_SET:-x}", "$$", "$", "${", "${}", "${1}", '"$ {A}"'),
    *("tiny.onnx", "pictures", "labels.csv", "deploy.yaml", "nowhere", "../..", "/dev/null"),
    *("/etc/passwd", "/proc/self/mem", "pictures/0.png", "a" * 300, "a/" * 3000, "[]", "{}"),
    *("[[]]", "[1]", "[a, b]", "[~]", "[1, 2, 3, 4, 5]", "{a: 1}", "{a: {b: {c: d}}}", "[{}]"),
    *("[0]", "[-1, 3]", "[1, 3, 32, 32]", "{image: [1, 3, 32, 32]}", "{image: 7}", "{'': []}"),
    *("!!str 1", "!!python/object:os.system x", "!!binary aGk=", "!x y", "&a 1", "*a", "*nowhere"),
    *("<<", "|", ">", "|-\n  text", "? a", "- a", "a: b", "- - - a", "@", "`x`", "%", "#"),
    *("uint8", "uint16", "int4", "int8", "fp16", "float", "auto", "best", "fast", "top1", "local"),
    *("qcs9075", "sm8650", "qcs6490", "v75", "557", "os:system", "json:dumps", "os:environ"),
    *("nothing:here", "a:b:c", ":", "w8a8", "npu", "all", "ssh://", "ssh://a:b@c", "ssh://-oX=y"),
    *(
        "adb://",
        "qemu",
        "htp-sim",
        "ssh://board",
        "http://x",
        "file:///etc/passwd",
        "(?!)",
        "(((a+)+)+)$",
    ),
    *("{percentile: 200}", "{percentile: 99.9}", "{min_sqnr_db: 1e9}", "{max_drop: -1}"),
)


def scalar(random: Random) -> str:
    """One value of a line, or the beginning of several."""
    if random.random() < 0.15:
        return str(random.choice((1, -1)) * 10 ** random.randint(0, 30))
    if random.random() < 0.1:
        return repr(random.uniform(-1, 1) * 10.0 ** random.randint(-300, 300))
    return random.choice(_SCALARS)


def letters(random: Random) -> str:
    """A few characters that stand out of a text."""
    if random.random() < 0.5:
        return random.choice("\t\r\n\0\x1b\x7f\x85\u2028\ufeff:-[]{}#&*!|>'\"%@`,?$~=<\\")
    return chr(random.choice((random.randint(0, 0x2FF), random.randint(0, 0xD7FF))))
