//! What was probably meant by a path that is no setting.

use super::keys::KEYS;

/// The setting or section whose path is most like this one, if any is like it at all.
pub(super) fn suggest(path: &str) -> Option<&'static str> {
    let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
    let by_distance = KEYS
        .iter()
        .map(|key| (strsim::osa_distance(path, key.path), key.path))
        .min();
    let near = by_distance
        .filter(|(distance, path)| *distance <= 3.max(path.len() / 6))
        .map(|(_, path)| path);
    // The right name in the wrong section.
    near.or_else(|| {
        KEYS.iter()
            .map(|key| key.path)
            .find(|own| Some(last(own)) == path.rsplit('.').next())
    })
}

/// A setting of ours in the same section whose name differs by a slip of the hand.
pub(super) fn near_sibling(path: &str) -> Option<&'static str> {
    let (section, name) = path.rsplit_once('.')?;
    KEYS.iter().map(|key| key.path).find(|own| {
        own.rsplit_once('.').is_some_and(|(own_section, own_name)| {
            own_section == section && name.len() > 3 && strsim::osa_distance(name, own_name) <= 2
        })
    })
}
