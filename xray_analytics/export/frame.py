"""Any frame of this package into one file, in the form of its ending."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from .. import files
from ..grammar.forms import encoded


def write_frame(
    data: pa.Table | pd.DataFrame, path: str | Path, *, raw_text: bool = False, overwrite: bool = False
) -> Path:
    """Write any frame of this package to a file, in the form of its ending: .csv, .json, .parquet or .xlsx.

    Parameters
    ----------
    raw_text
        As in `encoded`.
    overwrite
        Replace a file of that name; otherwise it is refused.

    Raises
    ------
    InputError
        As `encoded`; the file exists and `overwrite` is not set, or it cannot be written.
    """
    path = Path(path)
    content = encoded(data, path.suffix.lstrip(".").lower(), title=path.stem, raw_text=raw_text)
    return files.save(content, path, overwrite=overwrite)
