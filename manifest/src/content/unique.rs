//! Maps and sets that refuse a key given twice, where serde's own would keep the last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads a map; a key that comes twice is an error.
///
/// # Errors
/// The input's own, or that.
pub fn unique_map<'de, D, K, V>(from: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    let placed = placed_map(from)?;
    Ok(placed.into_iter().map(|(key, (_, value))| (key, value)).collect())
}

/// The same, in the order of the input.
///
/// # Errors
/// As [`unique_map`].
pub fn unique_pairs<'de, D, K, V>(from: D) -> Result<Vec<(K, V)>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    let mut placed: Vec<_> = placed_map(from)?.into_iter().collect();
    placed.sort_by_key(|(_, (place, _))| *place);
    Ok(placed.into_iter().map(|(key, (_, value))| (key, value)).collect())
}

/// Each value with its place in the input.
fn placed_map<'de, D, K, V>(from: D) -> Result<BTreeMap<K, (usize, V)>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    struct Map<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Map<K, V> {
        type Value = BTreeMap<K, (usize, V)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = access.next_entry()? {
                if map.insert(key, (map.len(), value)).is_some() {
                    return Err(Error::custom("the same key twice"));
                }
            }
            Ok(map)
        }
    }

    from.deserialize_map(Map(PhantomData))
}

/// Reads a list as a set; an element that comes twice is an error.
///
/// # Errors
/// The input's own, or that.
pub fn unique_set<'de, D, T>(from: D) -> Result<BTreeSet<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Ord,
{
    struct Set<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de> + Ord> Visitor<'de> for Set<T> {
        type Value = BTreeSet<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut set = BTreeSet::new();
            while let Some(element) = access.next_element()? {
                if !set.insert(element) {
                    return Err(Error::custom("the same element twice"));
                }
            }
            Ok(set)
        }
    }

    from.deserialize_seq(Set(PhantomData))
}
