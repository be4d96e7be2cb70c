"""A shop's front page: what it sells comes from MariaDB, and is kept in Memcached for a minute."""

import http.server
import json
import os
import socket

import pymysql

RELEASE = open("/app/release").read().strip()


def items():
    """Asks the database, which is filled when it is first asked."""
    password = open("/run/secrets/database").read().strip()
    db = pymysql.connect(host="db", user="shop", password=password, database="shop", autocommit=True)
    try:
        with db.cursor() as c:
            c.execute("CREATE TABLE IF NOT EXISTS items (name VARCHAR(80) PRIMARY KEY, cents INT NOT NULL)")
            c.execute("INSERT IGNORE INTO items VALUES ('tea', 450), ('bread', 320), ('salt', 110)")
            c.execute("SELECT name, cents FROM items ORDER BY name")
            return [{"name": name, "cents": cents} for name, cents in c.fetchall()]
    finally:
        db.close()


class Cache:
    """A connection to Memcached."""

    def __enter__(self):
        self.socket = socket.create_connection(("cache", 11211), timeout=2)
        self.lines = self.socket.makefile("rb")
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def get(self, key):
        self.socket.sendall(b"get %s\r\n" % key)
        head = self.lines.readline().split()
        if head == [b"END"]:
            return None
        value = self.lines.read(int(head[3]) + 2)[:-2]
        self.lines.readline()
        return value

    def set(self, key, value, seconds):
        self.socket.sendall(b"set %s 0 %d %d\r\n%s\r\n" % (key, seconds, len(value), value))
        if self.lines.readline() != b"STORED\r\n":
            raise OSError("the cache doesn't keep what it is given")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            with Cache() as cache:
                kept = cache.get(b"items")
                if self.path == "/health" or kept is None:
                    kept = json.dumps(items()).encode()
                    cache.set(b"items", kept, 60)
            code, body = 200, {"release": RELEASE, "database": "answers", "cache": "answers", "items": json.loads(kept)}
        except (OSError, pymysql.Error) as e:
            code, body = 503, {"release": RELEASE, "error": str(e)}
        data = json.dumps(body).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    address = ("", int(os.environ.get("PORT", "80")))
    http.server.ThreadingHTTPServer(address, Page).serve_forever()
