"""Runs SQL for the benchmark: a JSON request a line in, a JSON reply a line out.

Times are taken here, so that neither the pipe nor Python's own objects count.
"""

import json
import os
import sys
import time

# Replies have this process's standard output to themselves: what engines print, such as a progress
# bar, goes where errors go.
replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


class DuckDb:
    def __init__(self, path):
        import duckdb

        self.module, self.version = duckdb, duckdb.__version__
        self.connection = duckdb.connect()

    def execute(self, sql):
        self.connection.execute(sql)

    def timed(self, sql):
        self.connection.execute("CREATE OR REPLACE TEMP TABLE answer AS " + sql)

    def rows(self, _):
        return self.connection.execute("SELECT * FROM answer").fetchall()

    def forget(self):
        self.connection.close()
        self.connection = self.module.connect()


class ClickHouse:
    """chDB: ClickHouse in the process. Its answers stay columns until the time is taken."""

    def __init__(self, path):
        import chdb

        self.connection = chdb.connect(path or ":memory:")
        self.version = self.connection.query("SELECT version()", "TSV").bytes().decode().strip()

    def execute(self, sql):
        self.connection.query(sql, "Null")

    def timed(self, sql):
        return self.connection.query(sql, "ArrowStream").bytes()

    def rows(self, answer):
        import pyarrow

        if not answer:
            return []
        table = pyarrow.ipc.open_stream(answer).read_all()
        columns = [column.to_pylist() for column in table.columns]
        text = lambda value: value.decode() if isinstance(value, bytes) else value
        return [[text(value) for value in row] for row in zip(*columns)]

    def forget(self):
        for cache in ("MARK", "UNCOMPRESSED", "INDEX MARK", "QUERY CONDITION", "PARQUET METADATA"):
            self.execute(f"SYSTEM DROP {cache} CACHE")


def main():
    request = json.loads(sys.stdin.readline())
    engine = {"duckdb": DuckDb, "chdb": ClickHouse}[request["engine"]](request["path"])
    setup = request["setup"]
    for statement in setup:
        engine.execute(statement)
    reply({"version": engine.version})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "forget" in request:
                engine.forget()
                for statement in setup:
                    engine.execute(statement)
                reply({"done": True})
            elif "execute" in request:
                engine.execute(request["execute"])
                reply({"done": True})
            else:
                wall, cpu = time.perf_counter(), time.process_time()
                answer = engine.timed(request["sql"])
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                reply({"wall": wall, "cpu": cpu, "rows": engine.rows(answer)})
        except Exception as error:
            reply({"error": str(error)})


def reply(value):
    print(json.dumps(value), file=replies, flush=True)


main()
