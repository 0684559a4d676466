//! The name that was probably meant.

const MAX_NAME_BYTES: usize = 64;

/// The candidate most like `name`, if one is like it at all.
pub(crate) fn closest(
    name: &str,
    candidates: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    // Comparing takes time and memory in proportion to the length, and no name is long.
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        // One typing mistake per three letters; with more, the guess confuses.
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["span", "resource", "rootServiceName"];
        assert_eq!(closest("spam", names), Some("span"));
        assert_eq!(closest("ROOTSERVICENAME", names), Some("rootServiceName"));
        assert_eq!(closest("zebra", names), None);
    }
}
