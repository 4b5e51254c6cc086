"""Where frames live: DuckDB on one machine, Spark on several; the only module that imports either of them.

Every connection reckons in UTC whatever the host's zone, and nothing is ever downloaded: DuckDB's extensions are
neither installed nor loaded by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import InputError, StoreError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Connection: TypeAlias = "DuckDBPyConnection"


def connect_duckdb(
    *, memory_limit: str | None = None, threads: int | None = None, directory: Path | None = None
) -> Connection:
    """A new DuckDB in memory, in UTC, that installs and loads no extension and spills nothing to disk.

    Parameters
    ----------
    memory_limit
        Such as ``"2GB"``; DuckDB's own default is 80 % of the machine.
    threads
        Number of threads; default one per core.
    directory
        Where given, the only folder this connection can see, and its configuration is locked.

    Examples
    --------
    >>> connect_duckdb(threads=1).sql("SELECT current_setting('TimeZone')").fetchall()
    [('UTC',)]
    """
    import duckdb  # noqa: PLC0415

    wanted = {"memory_limit": memory_limit, "threads": threads}
    config: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    config |= {"autoinstall_known_extensions": False, "autoload_known_extensions": False, "temp_directory": ""}
    try:
        connection = duckdb.connect(":memory:", config=config)
    except duckdb.Error as error:
        raise InputError(f"DuckDB did not start with {wanted}: {_first_line(error)}") from None
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")  # parts never change, and each step of a question asks
    if directory is not None:
        seen = f"{sql_text(str(directory))}, {sql_path(directory)}"  # DuckDB checks a pattern and the file it finds
        connection.execute(f"SET allowed_directories = [{seen}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    return connection


def spark_session() -> Any:
    """The Spark session that runs, or a new one, reckoning in UTC; which master is Spark's own configuration.

    Raises
    ------
    InputError
        pyspark is not installed: it comes with the extra ``spark`` (or ``connect``, for a remote cluster).
    """
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415
    except ImportError:
        raise InputError(
            "Spark is not installed: pip install 'xray-analytics[spark]', or read with engine='duckdb'"
        ) from None
    session = SparkSession.builder.appName("xray_analytics").getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    return session


def sql_text(text: str) -> str:
    """The text as an SQL literal.

    >>> sql_text("l'an 2025")
    "'l''an 2025'"
    """
    return "'" + text.replace("'", "''") + "'"


def sql_path(path: Path) -> str:
    """The path as an SQL literal, its wild-card characters taken literally.

    >>> sql_path(Path("/data/a*b"))
    "'/data/a[*]b'"
    """
    return sql_text("".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path)))


@contextmanager
def asking(question: str) -> Iterator[None]:
    """DuckDB's errors as ours: `InputError` where a question cannot be asked, `StoreError` where files cannot be read.

    Only what DuckDB says before it has seen a row is repeated; an error raised on a row could quote it.
    """
    import duckdb  # noqa: PLC0415

    unaskable = (
        duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.NotImplementedException,
        duckdb.PermissionException,
    )  # fmt: skip
    try:
        yield
    except unaskable as error:
        raise InputError(f"{question} cannot be asked: {_first_line(error)}") from None
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise StoreError(f"{question} could not be read ({type(error).__name__}); run `xray verify`") from None
    except duckdb.Error as error:
        raise InputError(f"{question} fails on the rows it meets ({type(error).__name__}); rephrase it") from None


@contextmanager
def translated(question: str) -> Iterator[None]:
    """What any engine raises while it computes a lazy frame, as ours; other errors pass.

    No engine is imported for it: one that raises is loaded. What it says could quote a row and is not repeated.
    """
    try:
        yield
    except Exception as error:
        library = type(error).__module__.partition(".")[0].lstrip("_")
        if library == "duckdb":
            with asking(question):
                raise
        if library not in ("pyarrow", "pyspark", "py4j", "polars"):
            raise
        raise InputError(
            f"{question} fails in {library} ({type(error).__name__}); check the frame it is asked of"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
