"""The baseline: the shortest honest program from a FINRA file to the four tables of a week.

csv, hashlib, one SQLite transaction, aggregates in SQL. It checks nothing, keeps no revision, no
reject and no lineage, and reads the file whole: what a careful person writes in an afternoon.
"""

import csv
import hashlib
import sqlite3
import sys

TABLES = """
CREATE TABLE IF NOT EXISTS raw (week_ending TEXT, tier TEXT, line_number INTEGER, symbol TEXT,
    mpid TEXT, issue_name TEXT, venue_name TEXT, share_volume NUMERIC, trade_count INTEGER,
    record_hash BLOB, revision_date TEXT,
    PRIMARY KEY (week_ending, tier, symbol, mpid, line_number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS venue_volume (week_ending TEXT, tier TEXT, symbol TEXT, mpid TEXT,
    share_volume NUMERIC, trade_count INTEGER, avg_trade_size REAL, record_hash BLOB,
    PRIMARY KEY (week_ending, tier, symbol, mpid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS symbol_summary (week_ending TEXT, tier TEXT, symbol TEXT,
    total_volume NUMERIC, total_trades INTEGER, venue_count INTEGER, avg_trade_size REAL,
    PRIMARY KEY (week_ending, tier, symbol)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS venue_share (week_ending TEXT, tier TEXT, mpid TEXT,
    total_volume NUMERIC, total_trades INTEGER, symbol_count INTEGER, market_share_pct REAL,
    rank INTEGER, PRIMARY KEY (week_ending, tier, mpid)) WITHOUT ROWID;
"""
AGGREGATES = """
INSERT INTO venue_volume SELECT week_ending, tier, symbol, mpid, sum(share_volume),
    sum(trade_count), 1.0 * sum(share_volume) / nullif(sum(trade_count), 0), record_hash
    FROM raw WHERE week_ending = ?1 AND tier = ?2 GROUP BY symbol, mpid;
INSERT INTO symbol_summary SELECT week_ending, tier, symbol, sum(share_volume),
    sum(trade_count), count(*), 1.0 * sum(share_volume) / nullif(sum(trade_count), 0)
    FROM venue_volume WHERE week_ending = ?1 AND tier = ?2 GROUP BY symbol;
INSERT INTO venue_share SELECT *, 100.0 * volume / sum(volume) OVER (),
    row_number() OVER (ORDER BY volume DESC, mpid) FROM (
    SELECT week_ending, tier, mpid, sum(share_volume) AS volume, sum(trade_count), count(*)
    FROM venue_volume WHERE week_ending = ?1 AND tier = ?2 GROUP BY mpid);
"""


def load(database: str, path: str, week: str, tier: str) -> None:
    """Replace one week of one tier by the content of a file."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + TABLES)
    connection.execute("BEGIN IMMEDIATE")
    for table in ("raw", "venue_volume", "symbol_summary", "venue_share"):
        connection.execute(f"DELETE FROM {table} WHERE week_ending = ? AND tier = ?", (week, tier))
    with open(path, newline="") as file:
        lines = csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE)
        next(lines)
        rows = [
            (
                *(week, tier, number, line[1], line[4], line[2], line[3]),
                float(line[5]) if "." in line[5] else int(line[5]),
                int(line[6]),
                hashlib.sha256(f"{week}|{tier}|{line[1]}|{line[4]}".encode()).digest()[:16],
                line[7],
            )
            for number, line in enumerate(lines, start=2)
        ]
    connection.executemany(f"INSERT INTO raw VALUES ({','.join('?' * 11)})", rows)
    for statement in AGGREGATES.split(";")[:-1]:
        connection.execute(statement, (week, tier))
    connection.execute("COMMIT")
    connection.close()


if __name__ == "__main__":
    load(*sys.argv[1:])
