//! Days of traffic, block by block, without a store: thirty of them, or with `SPANDREL_SIMULATE_DAYS=365` a
//! year, which takes some minutes.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

const MINUTE_S: i64 = 60;
const MIB: u64 = 1 << 20;
const MAX_BLOCK: u64 = 256 * MIB;

/// A block as the simulation knows it: what it has of each window of an hour, and of which piece.
#[derive(Debug, Clone)]
struct Model {
    candidate: Candidate,
    bytes_at: BTreeMap<i64, u64>,
}

/// A tenant whose blocks are merged as the policy says.
#[derive(Debug, Default)]
struct Tenant {
    /// By latest start.
    live: BTreeMap<(i64, BlockId), Model>,
    places: HashMap<BlockId, i64>,
    next: u128,
    ingested: u64,
    written: u64,
    jobs: usize,
    most_open: usize,
}

impl Tenant {
    fn id(&mut self) -> BlockId {
        self.next += 1;
        BlockId(ulid::Ulid(self.next))
    }

    fn ingest(&mut self, bytes_at: BTreeMap<i64, u64>) {
        let id = self.id();
        let bytes: u64 = bytes_at.values().sum();
        self.ingested += bytes;
        self.written += bytes;
        let starts = |at: &i64| at * 1_000_000_000;
        let candidate = Candidate {
            id,
            bytes,
            min_start_ns: bytes_at.keys().next().map_or(0, starts),
            max_start_ns: bytes_at.keys().last().map_or(0, starts),
            partition: None,
        };
        self.insert(Model {
            candidate,
            bytes_at,
        });
    }

    fn insert(&mut self, model: Model) {
        let (place, id) = (model.candidate.max_start_ns, model.candidate.id);
        self.places.insert(id, place);
        self.live.insert((place, id), model);
    }

    fn remove(&mut self, id: BlockId) -> Model {
        let place = self.places.remove(&id).expect("a job's inputs are live");
        self.live.remove(&(place, id)).unwrap()
    }

    /// Rewrites as compaction does: each window and piece becomes a block.
    fn rewrite(&mut self, job: &Job) {
        self.jobs += 1;
        let mut windows: BTreeMap<(i64, u32), BTreeMap<i64, u64>> = BTreeMap::new();
        for id in &job.inputs {
            let model = self.remove(*id);
            let pieces = 1u32 << job.piece_bits;
            for (at, bytes) in model.bytes_at {
                let window = Window::of(at * 1_000_000_000, job.window_length_s).start_s;
                // Of a block of one piece a part of the pieces has all.
                let own = model
                    .candidate
                    .partition
                    .map_or(HashPiece::ALL, |it| it.piece);
                let holds = |index: &u32| {
                    own.overlaps(&HashPiece {
                        bits: job.piece_bits,
                        index: *index,
                    })
                };
                let into: Vec<u32> = (0..pieces).filter(holds).collect();
                for index in &into {
                    let piece = windows.entry((window, *index)).or_default();
                    *piece.entry(at).or_default() += bytes / into.len() as u64;
                }
            }
        }
        for ((start_s, index), bytes_at) in windows {
            let id = self.id();
            let bytes: u64 = bytes_at.values().sum();
            self.written += bytes;
            let candidate = Candidate {
                id,
                bytes,
                min_start_ns: bytes_at.keys().next().unwrap() * 1_000_000_000,
                max_start_ns: bytes_at.keys().last().unwrap() * 1_000_000_000,
                partition: Some(Partition {
                    window: Window {
                        start_s,
                        length_s: job.window_length_s,
                    },
                    piece: HashPiece {
                        bits: job.piece_bits,
                        index,
                    },
                }),
            };
            self.insert(Model {
                candidate,
                bytes_at,
            });
        }
    }

    /// Does what there is to do, until there is nothing left. Looks at blocks of the last days, and each
    /// day at all of them.
    fn compact(&mut self, now_s: i64) {
        let open = Window::of(now_s * 1_000_000_000, HOUR_S).start_s * 1_000_000_000;
        let count = self.live.range((open, BlockId(ulid::Ulid(0)))..).count();
        self.most_open = self.most_open.max(count);
        for round in 0.. {
            assert!(round < 50, "jobs without end");
            let since = match now_s % DAY_S {
                0 => i64::MIN,
                _ => (now_s - 5 * DAY_S / 4) * 1_000_000_000,
            };
            let live = self.live.values().map(|model| &model.candidate);
            let recent: Vec<Candidate> = live
                .filter(|it| it.max_start_ns >= since)
                .cloned()
                .collect();
            let jobs = jobs(&recent, now_s * 1_000_000_000, MAX_BLOCK);
            if jobs.is_empty() {
                break;
            }
            jobs.iter().for_each(|job| self.rewrite(job));
        }
        let open = Window::of(now_s * 1_000_000_000, HOUR_S).start_s * 1_000_000_000;
        let count = self
            .live
            .values()
            .filter(|it| it.candidate.max_start_ns >= open);
        self.most_open = self.most_open.max(count.count());
    }

    fn amplification(&self) -> f64 {
        self.written as f64 / self.ingested as f64
    }

    /// The most blocks of any window that has long settled, less the pieces it is cut into; and how many
    /// blocks there are.
    fn settled(&self, now_s: i64) -> (usize, usize) {
        let mut windows: HashMap<Window, (usize, u8)> = HashMap::new();
        for model in self.live.values() {
            let Some(place) = model.candidate.place() else {
                continue;
            };
            if now_s > place.window.start_s + place.window.length_s + 2 * SETTLES_AFTER_S {
                let (count, bits) = windows.entry(place.window).or_default();
                *count += 1;
                *bits = (*bits).max(place.piece.bits);
            }
        }
        let beside = windows
            .values()
            .map(|(count, bits)| count.saturating_sub(1 << bits));
        (beside.max().unwrap_or(0), self.live.len())
    }
}

/// What a tenant sends: bytes in a minute.
type Traffic = fn(minute: i64, random: &mut StdRng) -> u64;

fn days() -> i64 {
    let days = std::env::var("SPANDREL_SIMULATE_DAYS").ok();
    days.map_or(30, |days| days.parse().expect("a number of days"))
}

/// Runs a tenant for some days; of its spans `late` of 1,000 come up to a day late.
fn simulate(name: &str, days: i64, cut_s: i64, late: u64, traffic: Traffic) -> Tenant {
    let mut random = StdRng::seed_from_u64(7);
    let mut tenant = Tenant::default();
    let mut most_beside = 0;
    let start_s = 1_700_006_400 / DAY_S * DAY_S;
    for now_s in (start_s..start_s + days * DAY_S).step_by(usize::try_from(cut_s).unwrap()) {
        let bytes = traffic((now_s - start_s) / MINUTE_S, &mut random);
        if bytes > 0 {
            let mut bytes_at = BTreeMap::from([(now_s, bytes - bytes * late / 1_000)]);
            if late > 0 {
                for _ in 0..8 {
                    let at = now_s - random.random_range(0..DAY_S);
                    *bytes_at.entry(at).or_default() += bytes * late / 8_000;
                }
            }
            tenant.ingest(bytes_at);
        }
        if now_s % (5 * MINUTE_S) < cut_s {
            tenant.compact(now_s);
        }
        if now_s % DAY_S < cut_s {
            most_beside = most_beside.max(tenant.settled(now_s).0);
        }
    }
    let (_, live) = tenant.settled(start_s + days * DAY_S);
    println!(
        "{name}: {days} days, {:.0} MiB in, written {:.2} times, {} jobs, {live} blocks, at most {} of an open window, {most_beside} beside a settled one's pieces",
        tenant.ingested as f64 / MIB as f64,
        tenant.amplification(),
        tenant.jobs,
        tenant.most_open,
    );
    assert!(tenant.amplification() <= 4.0, "{name}");
    assert!(most_beside <= 8, "{name}");
    tenant
}

#[test]
fn steady_traffic() {
    let tenant = simulate("steady", days(), MINUTE_S, 0, |_, _| 5 * MIB);
    assert!(tenant.most_open <= 24);
}

#[test]
fn spans_that_come_late() {
    let tenant = simulate("late", days(), MINUTE_S, 50, |_, _| 5 * MIB);
    assert!(tenant.most_open <= 24);
}

#[test]
fn bursts_and_silent_nights() {
    let tenant = simulate("bursts", days(), MINUTE_S, 20, |minute, random| {
        let hour = minute / 60 % 24;
        let burst = if random.random_range(0..200) == 0 {
            10
        } else {
            1
        };
        if hour < 6 { 0 } else { burst * 3 * MIB }
    });
    assert!(tenant.most_open <= 24);
}

#[test]
fn a_month_of_a_quiet_tenant() {
    let tenant = simulate("a span a minute", 31, MINUTE_S, 0, |_, _| 40 << 10);
    assert!(tenant.live.len() <= 90, "{} blocks", tenant.live.len());
    let tenant = simulate("a block an hour", 31, 60 * MINUTE_S, 0, |_, _| 40 << 10);
    assert!(tenant.live.len() <= 90, "{} blocks", tenant.live.len());
}

#[test]
fn a_heavy_tenant_is_cut_into_pieces() {
    let tenant = simulate("heavy", 2, MINUTE_S, 20, |_, _| 250 * MIB);
    let largest = tenant.live.values().map(|it| it.candidate.bytes).max();
    assert!(largest.unwrap() <= MAX_BLOCK * 5 / 4);
}

#[test]
fn a_month_that_is_loaded_at_once() {
    let mut tenant = Tenant::default();
    let now_s = 1_700_006_400 / DAY_S * DAY_S + 100;
    for number in 0..4_000_i64 {
        let at = now_s - 31 * DAY_S + number * 31 * DAY_S / 4_000;
        tenant.ingest(BTreeMap::from([(at, 3 * MIB), (at + 1_500, 2 * MIB)]));
    }
    tenant.compact(now_s);
    tenant.compact(now_s / DAY_S * DAY_S + 2 * DAY_S);
    let (beside, live) = tenant.settled(now_s + 2 * DAY_S);
    println!(
        "loaded: written {:.2} times, {live} blocks",
        tenant.amplification()
    );
    assert!(tenant.amplification() <= 4.0);
    assert!(beside <= 8 && live <= 31 * 24 * 2, "{live} blocks");
}

#[test]
fn a_clock_that_is_wrong_does_no_harm() {
    for ahead_s in [-365 * DAY_S, 365 * DAY_S] {
        let mut tenant = Tenant::default();
        let start_s = 1_700_006_400 / DAY_S * DAY_S;
        for minute in 0..600 {
            let now_s = start_s + minute * MINUTE_S;
            tenant.ingest(BTreeMap::from([(now_s, MIB)]));
            tenant.compact(now_s + ahead_s + 1);
        }
        let kept: u64 = tenant.live.values().map(|it| it.candidate.bytes).sum();
        assert_eq!(kept, tenant.ingested);
        println!(
            "{ahead_s} s ahead: written {:.2} times",
            tenant.amplification()
        );
        assert!(tenant.amplification() <= 8.0);
    }
}

#[test]
fn the_order_of_blocks_makes_no_difference_and_no_block_is_in_two_jobs() {
    let mut random = StdRng::seed_from_u64(11);
    let mut blocks: Vec<Candidate> = (1..400u64)
        .map(|number| {
            let start_ns = random.random_range(0..3 * DAY_S) * 1_000_000_000;
            let length_ns = random.random_range(0..2 * HOUR_S) * 1_000_000_000;
            Candidate {
                id: BlockId(ulid::Ulid(u128::from(number))),
                bytes: random.random_range(1..50 * MIB),
                min_start_ns: start_ns,
                max_start_ns: start_ns + length_ns,
                partition: None,
            }
        })
        .collect();
    let now_ns = 2 * DAY_S * 1_000_000_000;
    let expected = jobs(&blocks, now_ns, MAX_BLOCK);
    assert!(expected.len() > 10);
    let mut inputs: Vec<BlockId> = expected.iter().flat_map(|job| job.inputs.clone()).collect();
    inputs.sort_unstable();
    assert!(inputs.windows(2).all(|two| two[0] != two[1]));
    blocks.reverse();
    assert_eq!(jobs(&blocks, now_ns, MAX_BLOCK), expected);
}

#[test]
fn jobs_have_one_owner_and_few_move() {
    let blocks: Vec<Candidate> = (0..20_000u64)
        .map(|number| Candidate {
            id: BlockId(ulid::Ulid(u128::from(number))),
            bytes: MIB,
            min_start_ns: i64::try_from(number / 10).unwrap() * HOUR_S * 1_000_000_000,
            max_start_ns: i64::try_from(number / 10).unwrap() * HOUR_S * 1_000_000_000,
            partition: None,
        })
        .collect();
    let jobs = jobs(&blocks, i64::MAX, MAX_BLOCK);
    assert_eq!(jobs.len(), 2_000);
    let tenant = TenantId::single();
    let (three, four) = (["a", "b", "c"], ["a", "b", "c", "d"]);
    let mut moved = 0;
    for job in &jobs {
        let (before, after) = (owner(&tenant, job, &three), owner(&tenant, job, &four));
        if before != after {
            moved += 1;
            assert_eq!(after, Some("d"));
        }
    }
    assert!((400..600).contains(&moved), "{moved}");
    assert_eq!(owner(&tenant, &jobs[0], &[]), None);
}

/// Windows that are longer than a day are merged by themselves, whatever else lies in their days.
#[test]
fn long_windows_are_left_out_of_days() {
    let of_window = |number: u64, window: Window| Candidate {
        id: BlockId(ulid::Ulid(u128::from(number))),
        bytes: MIB,
        min_start_ns: window.start_s * 1_000_000_000,
        max_start_ns: window.start_s * 1_000_000_000,
        partition: Some(Partition {
            window,
            piece: HashPiece::ALL,
        }),
    };
    let long = Window::of(0, 32 * DAY_S);
    let hours: Vec<Candidate> = (1..5)
        .map(|hour| {
            of_window(
                hour,
                Window::of(
                    i64::try_from(hour).unwrap() * HOUR_S * 1_000_000_000,
                    HOUR_S,
                ),
            )
        })
        .collect();
    let now_ns = 100 * DAY_S * 1_000_000_000;
    let mut blocks = hours.clone();
    blocks.push(of_window(9, long));
    let day = jobs(&hours, now_ns, MAX_BLOCK);
    assert_eq!(day[0].reason, Reason::Day);
    assert_eq!(jobs(&blocks, now_ns, MAX_BLOCK), day);
    blocks.push(of_window(10, long));
    let both = jobs(&blocks, now_ns, MAX_BLOCK);
    let merged = both.iter().find(|job| job.window == long).unwrap();
    assert_eq!(
        (merged.inputs.len(), merged.window_length_s),
        (2, 32 * DAY_S)
    );
}
