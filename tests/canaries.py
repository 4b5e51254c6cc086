"""Secrets and personal data planted to be searched for: in which forms they travel, and where they may stand."""

import base64
import gzip
import io
import re
import traceback
import urllib.parse
import zipfile
import zlib

import pyarrow.parquet as pq


def forms(secret):
    """The secret as it may travel: as it is, for a URL or in JSON, in hex, and in base64 at any of three offsets."""
    data = secret.encode()
    encoded = {
        base64.b64encode(b"x" * n + data)[(4 * n + 2) // 3 : (n + len(data)) * 4 // 3].decode() for n in range(3)
    }
    quoted = urllib.parse.quote(secret, safe="")
    every = "".join(f"%{byte:02X}" for byte in data)
    plain = {secret, secret.lower(), secret.upper(), secret[::-1]}
    urls = {quoted, quoted.lower(), quoted.replace("-", "%2D"), quoted.replace("-", "%2d"), every, every.lower()}
    codes = {data.hex(), data.hex().upper(), data.hex(" "), "".join(rf"\u{byte:04x}" for byte in data)}
    return plain | urls | codes | encoded | {e.translate(str.maketrans("+/", "-_")) for e in encoded}


def leaks(text, *secrets):
    """The secrets that a text shows in any form."""
    return [s for s in secrets if any(form in text for form in forms(s))]


def with_locals(error):
    """A traceback as some loggers write it, with the locals of every frame of this package and of its libraries."""
    written, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = [f for f, _ in traceback.walk_tb(error.__traceback__) if "/tests/" not in f.f_code.co_filename]
        written += [repr(value) for frame in frames for value in frame.f_locals.values()]
        written += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(written)


def text_of(path):
    """Everything that a file says: its name, its bytes, and what is packed or encoded in them."""
    data = path.read_bytes()
    said = [str(path), data.decode("latin-1"), data.replace(b"\0", b"").decode("latin-1")]
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            said += [archive.read(name).decode("utf-8", "replace") for name in archive.namelist()]
    elif data.startswith(b"%PDF"):
        said += _text_of_pdf(data)
    elif data.startswith(b"\x1f\x8b"):
        said.append(gzip.decompress(data).decode("utf-8", "replace"))
    elif data.startswith(b"PAR1"):
        table = pq.read_table(path)
        said += [str(table.schema), *(text for c in table.columns for text in set(map(str, c.to_pylist())))]
    return "\n".join(said)


def _text_of_pdf(data):
    """The streams of a PDF, its metadata, and its pages with the glyphs of every font read back as characters."""
    streams = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            streams.append(zlib.decompress(stream))
        except zlib.error:
            streams.append(stream)
    said = [stream.decode("latin-1") for stream in streams]
    said += [bytes.fromhex(h.decode()).decode("utf-16", "replace") for h in re.findall(rb"<(FEFF[0-9A-Fa-f]+)>", data)]
    maps = [
        {
            int(glyph, 16): chr(int(char, 16))
            for glyph, char in re.findall(rb"<([0-9A-Fa-f]{4})> <([0-9A-Fa-f]{4})>\n", s)
        }
        for s in streams
        if b"beginbfchar" in s
    ]
    for page in (s for s in streams if b"Tj" in s or b"TJ" in s):
        shown = b"".join(re.findall(rb"\(((?:[^()\\]|\\.)*)\)", page, re.DOTALL))
        shown = re.sub(rb"\\(.)", lambda m: {b"n": b"\n", b"r": b"\r"}.get(m[1], m[1]), shown, flags=re.DOTALL)
        glyphs = [int.from_bytes(shown[i : i + 2]) for i in range(0, len(shown), 2)]
        said += ["".join(of.get(glyph, "") for glyph in glyphs) for of in maps]
    return said
