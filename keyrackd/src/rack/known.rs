//! What the owner has, held or not, in one piece of memory: it outlives what was held, and
//! ten thousand small pieces would keep every page between them.

use keyrack_protocol::names::{KeyName, Slug};

/// Slugs as text, sorted.
#[derive(Debug, Default)]
pub(super) struct Known {
    text: String,
    /// Where each one ends.
    ends: Vec<u32>,
}

impl Known {
    pub(super) fn new(slugs: Vec<Slug>) -> Self {
        let mut names: Vec<String> = slugs.iter().map(Slug::to_string).collect();
        names.sort_unstable();
        names.dedup();
        let mut known = Self {
            text: String::with_capacity(names.iter().map(String::len).sum()),
            ends: Vec::with_capacity(names.len()),
        };
        for name in names {
            known.text.push_str(&name);
            // A push is at most 4 MiB.
            known.ends.push(known.text.len() as u32);
        }
        known
    }

    fn get(&self, n: usize) -> &str {
        let begin = n.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[begin as usize..self.ends[n] as usize]
    }

    pub(super) fn contains(&self, slug: &Slug) -> bool {
        let name = slug.to_string();
        // Each end is another one: what is found by it is found by its number.
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).cmp(&name) {
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        false
    }

    /// Those with this key.
    pub(super) fn of_key<'a>(&'a self, key: &'a KeyName) -> impl Iterator<Item = Slug> + 'a {
        let names = (0..self.ends.len()).map(|n| self.get(n));
        names.filter(|name| name.ends_with(key.as_str())).filter_map(|name| {
            let slug: Slug = name.parse().ok()?;
            (slug.key == *key).then_some(slug)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_found_and_nothing_else() {
        let slugs = ["o.dev.B", "o.dev.A", "@all.all.A", "o.dev.A", "o.dev.AA", "p.prod.BA"];
        let slugs = slugs.map(|slug| slug.parse::<Slug>().unwrap());
        let known = Known::new(slugs.to_vec());
        assert!(slugs.iter().all(|slug| known.contains(slug)));
        for other in ["o.dev.C", "a.dev.A", "z.dev.A", "o.dev.AAA", "o.all.A"] {
            assert!(!known.contains(&other.parse().unwrap()), "{other}");
        }
        let of_a: Vec<String> =
            known.of_key(&"A".parse().unwrap()).map(|slug| slug.to_string()).collect();
        assert_eq!(of_a, ["@all.all.A", "o.dev.A"]);
        assert!(!Known::default().contains(&slugs[0]));
    }
}
