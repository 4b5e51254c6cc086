"""Exports that describe themselves: a backtest as Parquet, CSV, Feather, Stata and XLSX, and its check.

`make_backtest` (observations and features of a snapshot), `write_backtest` (a folder with `datapackage.json`),
`check_backtest` (made again from the same commit, and compared). And `write_frame`: any frame into one file.
"""

from __future__ import annotations

from .backtest import Backtest, make_backtest, write_backtest
from .checking import check_backtest
from .frame import write_frame
from .pseudonyms import default_key_file

__all__ = ["Backtest", "check_backtest", "default_key_file", "make_backtest", "write_backtest", "write_frame"]
__dir__ = __all__.copy
