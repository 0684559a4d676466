//! The bytes of a file on their way out: hashed as they pass, and taken away whenever that suits.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// What a writer of files writes to. Clones are the same output: whoever holds one can take what was
/// written while the writer of a row group is still at work.
#[derive(Debug, Clone, Default)]
pub(super) struct Output(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What nobody has taken yet.
    bytes: Vec<u8>,
    written: u64,
    sha256: Sha256,
    /// Lengths of the sections that are yet to come; of the first, what is missing.
    sections: VecDeque<u64>,
    /// CRC-32C of what was written since the last section that is complete.
    crc32c: u32,
    crcs: Vec<u32>,
}

impl Output {
    /// Says how long the next section of the file is, behind all those that were announced. Writers
    /// that hold bytes back do not show where a section ends.
    pub(super) fn announce(&self, length: u64) {
        self.lock().sections.push_back(length);
    }

    /// The CRC-32C of each section that is complete and was not asked for yet.
    pub(super) fn take_crcs(&self) -> Vec<u32> {
        std::mem::take(&mut self.lock().crcs)
    }

    /// The CRC-32C of what was written behind the last section.
    pub(super) fn tail_crc(&self) -> u32 {
        self.lock().crc32c
    }

    /// What was written since this was last called.
    pub(super) fn take(&self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.lock().bytes))
    }

    /// Bytes written.
    pub(super) fn written(&self) -> u64 {
        self.lock().written
    }

    /// SHA-256 of all that was written, in hex.
    pub(super) fn sha256(&self) -> String {
        hex::encode(self.lock().sha256.clone().finalize())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves a file that nobody finishes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&mut self, mut rest: &[u8]) {
        self.sha256.update(rest);
        while let Some(missing) = self.sections.front_mut() {
            let length = usize::try_from(*missing).unwrap_or(usize::MAX);
            let (part, behind) = rest.split_at(length.min(rest.len()));
            self.crc32c = crc32c::crc32c_append(self.crc32c, part);
            *missing -= part.len() as u64;
            if *missing > 0 {
                return;
            }
            self.sections.pop_front();
            self.crcs.push(std::mem::take(&mut self.crc32c));
            rest = behind;
        }
        self.crc32c = crc32c::crc32c_append(self.crc32c, rest);
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        state.check(bytes);
        state.written += bytes.len() as u64;
        state.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_told_apart_however_they_are_written() {
        let bytes: Vec<u8> = (0..100).collect();
        for step in [1, 3, 10, 64, 100] {
            let mut output = Output::default();
            let mut taken = Vec::new();
            [4, 0, 50, 6]
                .into_iter()
                .for_each(|length| output.announce(length));
            for part in bytes.chunks(step) {
                output.write_all(part).unwrap();
                taken.extend_from_slice(&output.take());
            }
            let sections = [&bytes[..4], &[], &bytes[4..54], &bytes[54..60]];
            assert_eq!(output.take_crcs(), sections.map(crc32c::crc32c));
            assert_eq!(output.tail_crc(), crc32c::crc32c(&bytes[60..]));
            assert_eq!(output.sha256(), hex::encode(Sha256::digest(&bytes)));
            assert_eq!((taken, output.written()), (bytes.clone(), 100));
        }
    }
}
