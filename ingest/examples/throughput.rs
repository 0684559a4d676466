use std::sync::Arc;
use std::time::Instant;
use bytes::Bytes;
use ingest::*;
use object_store::{local::LocalFileSystem, path::Path};
use opentelemetry_proto::tonic::{collector::trace::v1::*, common::v1::{*, any_value::Value}, resource::v1::Resource, trace::v1::*};
use prost::Message;
use storage::ids::TenantId;

fn kv(k: &str, v: Value) -> KeyValue { KeyValue { key: k.into(), value: Some(AnyValue { value: Some(v) }), ..Default::default() } }
fn request(base: u64, n: u64) -> Bytes {
    let spans = (base..base + n).map(|i| { let h = i.wrapping_mul(0x9E3779B97F4A7C15); let t = (i / 10).wrapping_mul(0xD1B54A32D192ED03) | 1;
        let mut tid = [1u8; 16]; tid[8..].copy_from_slice(&t.to_be_bytes());
        Span { trace_id: tid.to_vec(), span_id: (h | 1).to_be_bytes().to_vec(), parent_span_id: if i % 10 == 0 { vec![] } else { ((i - 1).wrapping_mul(0x9E3779B97F4A7C15) | 1).to_be_bytes().to_vec() },
            name: format!("GET /api/v1/things/{}", h % 40), kind: 2, start_time_unix_nano: 1_700_000_000_000_000_000 + i * 1000, end_time_unix_nano: 1_700_000_000_000_000_000 + i * 1000 + h % 10_000_000,
            attributes: vec![kv("http.method", Value::StringValue("GET".into())), kv("http.status_code", Value::IntValue((200 + h % 5) as i64)), kv("http.url", Value::StringValue(format!("https://example.com/{}", h % 1000))), kv("net.peer.ip", Value::StringValue(format!("10.0.0.{}", h % 255))), kv("thread.id", Value::IntValue((h % 64) as i64)), kv("user.id", Value::StringValue(format!("u{}", h % 100_000))), kv("component", Value::StringValue("net/http".into())), kv("retry", Value::BoolValue(false))],
            ..Default::default() } }).collect();
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource: Some(Resource { attributes: vec![kv("service.name", Value::StringValue(format!("svc{}", base % 20))), kv("k8s.pod.name", Value::StringValue(format!("pod-{}", base % 200)))], ..Default::default() }), scope_spans: vec![ScopeSpans { spans, ..Default::default() }], ..Default::default() }] }.encode_to_vec().into()
}
fn rss() -> String { std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS")).collect::<Vec<_>>().join(" ") }
#[tokio::main(worker_threads = 2)]
async fn main() {
    let per: u64 = std::env::args().nth(1).map_or(1000, |a| a.parse().unwrap());
    let total: u64 = std::env::args().nth(2).map_or(2_000_000, |a| a.parse().unwrap());
    let dir = std::env::temp_dir().join(format!("ingest-tp-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("store")).unwrap();
    let disk = Arc::new(OsDisk::open(dir.join("data")).unwrap());
    let store = Arc::new(LocalFileSystem::new_with_prefix(dir.join("store")).unwrap());
    let ingest = Ingest::open(IngestConfig::default(), disk, store, Path::default(), Metrics::register(&prometheus::Registry::new()).unwrap()).await.unwrap();
    let json_len;
    { let r = ExportTraceServiceRequest::decode(&request(0, per)[..]).unwrap(); let j = serde_json::to_vec(&r).unwrap(); json_len = j.len(); let t = Instant::now(); for _ in 0..20 { decode_json(&j).unwrap(); } println!("json: {:.0} MB/s, {:.0} spans/s", 20.0 * j.len() as f64 / t.elapsed().as_secs_f64() / 1e6, 20.0 * per as f64 / t.elapsed().as_secs_f64()); }
    let requests: Vec<Bytes> = (0..total / per).map(|i| request(i * per, per)).collect();
    println!("{} requests of {} bytes ({} as json); {}", requests.len(), requests[0].len(), json_len, rss());
    let t = Instant::now();
    let mut tasks = vec![];
    let requests = Arc::new(requests);
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for _ in 0..8 { let (ingest, requests, next) = (ingest.clone(), requests.clone(), next.clone());
        tasks.push(tokio::spawn(async move { let mut retries = 0; loop { let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed); let Some(r) = requests.get(i) else { return retries };
            while let Err(e) = ingest.push(&TenantId::single(), r.clone()).await { retries += 1; if retries == 1 { println!("{e}"); } tokio::time::sleep(std::time::Duration::from_millis(20)).await; } } })); }
    let mut retries = 0; for task in tasks { retries += task.await.unwrap(); }
    let pushed = t.elapsed();
    println!("push: {:.0} spans/s, {retries} retries; {}", total as f64 / pushed.as_secs_f64(), rss());
    ingest.flush().await;
    println!("push+flush: {:.0} spans/s; {}", total as f64 / t.elapsed().as_secs_f64(), rss());
    ingest.shutdown().await;
    std::fs::remove_dir_all(dir).unwrap();
}
