"""Runs SQL for the benchmark: a JSON request a line in, a JSON reply a line out."""

import json
import sys
import time

import duckdb


def main():
    connection = duckdb.connect()
    setup = json.loads(sys.stdin.readline())
    for statement in setup["statements"]:
        connection.execute(statement)
    reply({"version": duckdb.__version__})
    for line in sys.stdin:
        sql = json.loads(line)["sql"]
        try:
            wall, cpu = time.perf_counter(), time.process_time()
            # The result stays DuckDB's own: making Python objects of it must not count.
            connection.execute("CREATE OR REPLACE TEMP TABLE answer AS " + sql)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            rows = connection.execute("SELECT * FROM answer").fetchall()
            reply({"wall": wall, "cpu": cpu, "rows": rows})
        except duckdb.Error as error:
            reply({"error": str(error)})


def reply(value):
    print(json.dumps(value), flush=True)


main()
