//! The pods of the generated shop and what their SDKs say about them.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use storage::model::{AnyValue, Attribute, InstrumentationScope, Resource};

use super::catalog::{Protocol, SERVICES, Service};

/// A running instance of a service.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) resource: Arc<Resource>,
}

/// The libraries of a service that record spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Library {
    Calls,
    Store,
    Own,
}

pub(super) const LIBRARIES: [Library; 3] = [Library::Calls, Library::Store, Library::Own];

/// The pods of every service, in the order of [`SERVICES`].
pub(super) fn pods(rng: &mut ChaCha8Rng) -> Vec<Vec<Pod>> {
    SERVICES
        .iter()
        .map(|service| {
            (0..service.pods)
                .map(|number| pod(rng, service, number))
                .collect()
        })
        .collect()
}

fn pod(rng: &mut ChaCha8Rng, service: &Service, number: u32) -> Pod {
    let replica_set: u32 = rng.random();
    let pod_name = format!(
        "{}-{:08x}-{:05x}",
        service.name,
        replica_set,
        rng.random::<u32>() & 0xf_ffff
    );
    let node = rng.random_range(0..40);
    // Most pods run the current version, some still the one before.
    let version = if number % 5 == 4 { "2.4.0" } else { "2.4.1" };
    let text = |key: &str, value: &str| attribute(key, AnyValue::String(value.to_owned()));
    let attributes = vec![
        text("service.name", service.name),
        text("service.namespace", "shop"),
        text("service.version", version),
        text(
            "service.instance.id",
            &format!("{:032x}", rng.random::<u128>()),
        ),
        text("deployment.environment", "production"),
        text(
            "cloud.region",
            ["eu-west-1", "us-east-1"][(node % 2) as usize],
        ),
        text("k8s.cluster.name", "shop-1"),
        text("k8s.namespace.name", "shop"),
        text("k8s.deployment.name", service.name),
        text("k8s.pod.name", &pod_name),
        text("k8s.node.name", &format!("ip-10-0-{node}-17.internal")),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", service.language),
        text("telemetry.sdk.version", "1.29.0"),
        attribute(
            "process.pid",
            AnyValue::Int(i64::from(rng.random_range(1..60_000))),
        ),
    ];
    Pod {
        resource: Arc::new(Resource {
            attributes,
            ..Resource::default()
        }),
    }
}

/// The scopes of a service, in the order of [`LIBRARIES`].
pub(super) fn scopes(service: &Service) -> [Arc<InstrumentationScope>; 3] {
    let calls = match service.protocol {
        Protocol::Http => "http",
        Protocol::Grpc => "grpc",
        Protocol::Messages => "kafka",
    };
    let library = |name: String, version: &str| {
        Arc::new(InstrumentationScope {
            name,
            version: version.to_owned(),
            ..InstrumentationScope::default()
        })
    };
    [
        library(
            format!("io.opentelemetry.{}.{calls}", service.language),
            "2.10.0",
        ),
        library(
            format!("io.opentelemetry.{}.db", service.language),
            "2.10.0",
        ),
        library(format!("shop.{}", service.name), ""),
    ]
}

/// An attribute with a key of its own.
pub(super) fn attribute(key: &str, value: AnyValue) -> Attribute {
    Attribute {
        key: Arc::from(key),
        value,
    }
}
