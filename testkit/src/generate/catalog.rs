//! The services of the generated shop: who calls whom, over what, and what each keeps where.

/// One service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    /// Value of `telemetry.sdk.language`.
    pub(super) language: &'static str,
    pub(super) protocol: Protocol,
    pub(super) pods: u32,
    /// What its server spans do, the most frequent first.
    pub(super) operations: &'static [&'static str],
    /// Indexes of the services it calls; always greater than its own, so calls end.
    pub(super) calls: &'static [usize],
    pub(super) store: Option<Store>,
    /// Share of requests that fail by themselves.
    pub(super) error_rate: f64,
    /// Whether its server spans carry the user.
    pub(super) knows_user: bool,
    /// Median of its own time per request.
    pub(super) median_ns: f64,
}

/// How a service is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Grpc,
    /// Consumes from a topic.
    Messages,
}

/// What a service keeps its data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Postgres(&'static str),
    Mongo(&'static str),
    Redis,
}

const fn service(
    name: &'static str,
    language: &'static str,
    protocol: Protocol,
    operations: &'static [&'static str],
    calls: &'static [usize],
) -> Service {
    Service {
        name,
        language,
        protocol,
        pods: 4,
        operations,
        calls,
        store: None,
        error_rate: 0.008,
        knows_user: false,
        median_ns: 800_000.0,
    }
}

/// The first service is where traffic enters.
pub(super) const SERVICES: &[Service] = &[
    Service {
        pods: 12,
        knows_user: true,
        median_ns: 300_000.0,
        ..service(
            "edge-gateway",
            "cpp",
            Protocol::Http,
            &[
                "GET /",
                "GET /api/*",
                "POST /api/*",
                "GET /static/*",
                "GET /healthz",
            ],
            &[1, 2],
        )
    },
    Service {
        pods: 16,
        knows_user: true,
        median_ns: 2_500_000.0,
        ..service(
            "web-frontend",
            "nodejs",
            Protocol::Http,
            &[
                "GET /product/:id",
                "GET /",
                "GET /cart",
                "GET /search",
                "POST /cart",
                "POST /checkout",
                "GET /account",
                "GET /orders/:id",
            ],
            &[3, 4, 5, 6, 7, 8, 9],
        )
    },
    Service {
        pods: 8,
        knows_user: true,
        ..service(
            "mobile-api",
            "go",
            Protocol::Http,
            &[
                "GET /v2/feed",
                "GET /v2/products/:id",
                "POST /v2/cart/items",
                "POST /v2/checkout",
            ],
            &[3, 4, 5, 6, 7, 8],
        )
    },
    Service {
        pods: 10,
        store: Some(Store::Postgres("products")),
        ..service(
            "product-catalog",
            "go",
            Protocol::Grpc,
            &[
                "GetProduct",
                "ListProducts",
                "SearchProducts",
                "GetCategory",
            ],
            &[11, 12, 13],
        )
    },
    Service {
        pods: 6,
        knows_user: true,
        store: Some(Store::Redis),
        median_ns: 400_000.0,
        ..service(
            "cart",
            "dotnet",
            Protocol::Grpc,
            &["GetCart", "AddItem", "EmptyCart"],
            &[11, 12],
        )
    },
    Service {
        pods: 6,
        error_rate: 0.02,
        knows_user: true,
        median_ns: 4_000_000.0,
        ..service(
            "checkout",
            "java",
            Protocol::Grpc,
            &["PlaceOrder", "PreviewOrder"],
            &[11, 12, 14, 15, 16, 17, 18, 19, 20],
        )
    },
    Service {
        pods: 6,
        median_ns: 6_000_000.0,
        ..service(
            "recommendation",
            "python",
            Protocol::Grpc,
            &["ListRecommendations", "SimilarProducts"],
            &[13, 21],
        )
    },
    Service {
        median_ns: 3_000_000.0,
        error_rate: 0.01,
        ..service("ads", "java", Protocol::Grpc, &["GetAds"], &[21])
    },
    Service {
        pods: 6,
        store: Some(Store::Redis),
        median_ns: 9_000_000.0,
        ..service(
            "search",
            "java",
            Protocol::Http,
            &["GET /search", "GET /suggest", "POST /index"],
            &[11, 13, 21],
        )
    },
    Service {
        knows_user: true,
        store: Some(Store::Postgres("accounts")),
        ..service(
            "account",
            "ruby",
            Protocol::Http,
            &["GET /users/:id", "POST /login", "PUT /users/:id/address"],
            &[10, 23],
        )
    },
    Service {
        pods: 5,
        knows_user: true,
        store: Some(Store::Redis),
        median_ns: 250_000.0,
        ..service(
            "session",
            "rust",
            Protocol::Grpc,
            &["Validate", "Refresh", "Revoke"],
            &[],
        )
    },
    Service {
        pods: 5,
        store: Some(Store::Redis),
        median_ns: 200_000.0,
        ..service(
            "pricing",
            "go",
            Protocol::Grpc,
            &["GetPrice", "GetPrices", "ApplyPromotion"],
            &[12, 22],
        )
    },
    Service {
        median_ns: 90_000.0,
        ..service(
            "currency",
            "cpp",
            Protocol::Grpc,
            &["Convert", "GetSupportedCurrencies"],
            &[],
        )
    },
    Service {
        pods: 8,
        store: Some(Store::Postgres("stock")),
        ..service(
            "inventory",
            "java",
            Protocol::Grpc,
            &["GetStock", "Reserve", "Release"],
            &[24],
        )
    },
    Service {
        error_rate: 0.05,
        median_ns: 60_000_000.0,
        store: Some(Store::Postgres("payments")),
        knows_user: true,
        ..service(
            "payment",
            "nodejs",
            Protocol::Grpc,
            &["Charge", "Refund", "Authorize"],
            &[16, 25],
        )
    },
    Service {
        store: Some(Store::Mongo("shipments")),
        median_ns: 5_000_000.0,
        ..service(
            "shipping",
            "rust",
            Protocol::Http,
            &["POST /get-quote", "POST /ship-order"],
            &[24],
        )
    },
    Service {
        median_ns: 15_000_000.0,
        store: Some(Store::Mongo("scores")),
        ..service(
            "fraud-detection",
            "kotlin",
            Protocol::Grpc,
            &["Score", "Report"],
            &[21],
        )
    },
    Service {
        ..service("tax", "dotnet", Protocol::Http, &["POST /quote"], &[])
    },
    Service {
        store: Some(Store::Postgres("orders")),
        knows_user: true,
        ..service(
            "order",
            "java",
            Protocol::Grpc,
            &["CreateOrder", "GetOrder", "ListOrders"],
            &[24, 26, 27],
        )
    },
    Service {
        median_ns: 35_000_000.0,
        error_rate: 0.008,
        ..service(
            "email",
            "ruby",
            Protocol::Http,
            &["POST /send_order_confirmation", "POST /send_reset"],
            &[],
        )
    },
    Service {
        store: Some(Store::Redis),
        ..service(
            "promotion",
            "python",
            Protocol::Grpc,
            &["Evaluate", "Redeem"],
            &[22],
        )
    },
    Service {
        pods: 6,
        store: Some(Store::Redis),
        median_ns: 1_500_000.0,
        ..service(
            "feature-store",
            "python",
            Protocol::Grpc,
            &["GetFeatures", "PutFeatures"],
            &[],
        )
    },
    Service {
        median_ns: 60_000.0,
        ..service(
            "feature-flags",
            "go",
            Protocol::Grpc,
            &["ResolveBoolean", "ResolveString"],
            &[],
        )
    },
    Service {
        store: Some(Store::Postgres("consents")),
        ..service(
            "consent",
            "php",
            Protocol::Http,
            &["GET /consent/:id", "PUT /consent/:id"],
            &[],
        )
    },
    Service {
        store: Some(Store::Mongo("bins")),
        ..service(
            "warehouse",
            "rust",
            Protocol::Http,
            &["GET /bins/:id", "POST /pick"],
            &[],
        )
    },
    Service {
        median_ns: 120_000_000.0,
        error_rate: 0.03,
        ..service(
            "bank-adapter",
            "java",
            Protocol::Http,
            &["POST /charges", "GET /charges/:id"],
            &[],
        )
    },
    Service {
        store: Some(Store::Postgres("ledger")),
        median_ns: 2_000_000.0,
        ..service(
            "accounting",
            "dotnet",
            Protocol::Messages,
            &["process order-events"],
            &[],
        )
    },
    Service {
        median_ns: 8_000_000.0,
        ..service(
            "notification",
            "python",
            Protocol::Messages,
            &["process order-events"],
            &[],
        )
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_lead_forward() {
        assert!(SERVICES.len() >= 24);
        for (index, service) in SERVICES.iter().enumerate() {
            assert!(
                service
                    .calls
                    .iter()
                    .all(|&callee| index < callee && callee < SERVICES.len()),
                "{}",
                service.name
            );
        }
    }
}
