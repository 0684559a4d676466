//! Texts of the generated spans: statements, exceptions, names.

/// Statements of the stores, with `%` where the table of the service goes.
pub(super) const POSTGRES_STATEMENTS: &[&str] = &[
    "SELECT * FROM % WHERE id = $1",
    "SELECT id, name, price FROM % WHERE id = ANY($1) LIMIT 50",
    "UPDATE % SET quantity = quantity - $1 WHERE id = $2",
    "INSERT INTO % (id, user_id, created_at) VALUES ($1, $2, now())",
    "SELECT count(*) FROM % WHERE status = $1",
    "DELETE FROM % WHERE expires_at < now()",
    "BEGIN",
    "COMMIT",
];
pub(super) const MONGO_STATEMENTS: &[&str] = &[
    r#"{"find":"%","filter":{"_id":"?"}}"#,
    r#"{"update":"%","updates":"?"}"#,
    r#"{"aggregate":"%","pipeline":"?"}"#,
];
pub(super) const REDIS_STATEMENTS: &[&str] = &[
    "GET ?",
    "HMGET ? ? ?",
    "SET ? ? EX ?",
    "DEL ?",
    "ZRANGE ? ? ?",
];

/// What internal spans are called.
pub(super) const INTERNAL_OPERATIONS: &[&str] = &[
    "render",
    "serialize",
    "validate",
    "authorize",
    "compute",
    "marshal response",
    "load feature flags",
];

/// What calls over HTTP.
pub(super) const USER_AGENTS: &[&str] = &[
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/131.0.0.0 Mobile Safari/537.36",
    "node-fetch/1.0",
    "okhttp/4.12.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "kube-probe/1.31",
];

/// Exceptions: type, message, and the frames of the stack trace.
pub(super) const EXCEPTIONS: &[(&str, &str, &[&str])] = &[
    (
        "java.net.SocketTimeoutException",
        "Read timed out",
        &[
            "java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)",
            "java.base/java.net.Socket$SocketInputStream.read(Socket.java:1099)",
            "shop.client.HttpTransport.execute(HttpTransport.java:141)",
            "shop.client.RetryingTransport.execute(RetryingTransport.java:77)",
            "shop.service.RemoteCall.invoke(RemoteCall.java:58)",
        ],
    ),
    (
        "StatusRuntimeException",
        "UNAVAILABLE: upstream connect error or disconnect/reset before headers",
        &[
            "io.grpc.stub.ClientCalls.toStatusRuntimeException(ClientCalls.java:268)",
            "io.grpc.stub.ClientCalls.getUnchecked(ClientCalls.java:249)",
            "shop.client.GrpcTransport.call(GrpcTransport.java:92)",
        ],
    ),
    (
        "psycopg.errors.DeadlockDetected",
        "deadlock detected",
        &[
            "File \"/app/shop/orders.py\", line 212, in reserve",
            "File \"/app/shop/db.py\", line 48, in execute",
        ],
    ),
    (
        "TypeError",
        "Cannot read properties of undefined (reading 'price')",
        &[
            "at priceOf (/app/src/pricing.js:31:18)",
            "at Array.map (<anonymous>)",
            "at render (/app/src/cart.js:88:9)",
        ],
    ),
];

/// Topic that the asynchronous services consume from.
pub(super) const TOPIC: &str = "order-events";
