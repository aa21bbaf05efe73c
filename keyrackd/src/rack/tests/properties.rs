//! What holds after any order of acts.

use keyrack_protocol::message::Forget;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    Hold { slug: usize, minutes: u64, owner: bool, replace: bool },
    Mint { from: Option<u8>, to: u8, slugs: Vec<usize>, rights: Rights },
    Forget { slug: usize, by: Option<u8> },
    Revoke { id: u8, by: Option<u8> },
    Wait(u64),
}

const NAMES: [&str; 6] = ["a.all.K", "a.dev.K", "@all.all.K", "a.sudo.K", "b.dev.K", "a.dev.L"];

fn act() -> impl Strategy<Value = Act> {
    let rights = any::<[bool; 3]>().prop_map(|[get, push, mint]| Rights { get, push, mint });
    let by = proptest::option::of(0..4u8);
    prop_oneof![
        (0..6usize, 0..700u64, any::<bool>(), any::<bool>()).prop_map(
            |(slug, minutes, owner, replace)| Act::Hold { slug, minutes, owner, replace }
        ),
        (by.clone(), 0..4u8, proptest::collection::vec(0..6usize, 0..4), rights)
            .prop_map(|(from, to, slugs, rights)| Act::Mint { from, to, slugs, rights }),
        (0..6usize, by.clone()).prop_map(|(slug, by)| Act::Forget { slug, by }),
        (0..4u8, by).prop_map(|(id, by)| Act::Revoke { id, by }),
        (0..200u64).prop_map(Act::Wait),
    ]
}

fn asker(by: Option<u8>) -> KeyKind {
    by.map_or(KeyKind::Attach, capability)
}

proptest! {
    #[test]
    fn no_order_of_acts_breaks_the_rules(acts in proptest::collection::vec(act(), 1..60)) {
        let mut rack: Rack<u32> = Rack::new(GENERATION);
        let mut now = NOW;
        for act in acts {
            let before: Vec<_> = (0..4).map(|n| rack.readable(capability(n), None, now)).collect();
            let by_owner =
                matches!(act, Act::Hold { owner: true, .. } | Act::Mint { from: None, .. });
            let mut minted = None;
            match act {
                Act::Hold { slug, minutes, owner, replace } => {
                    let generation = Some(rack.generation());
                    let push = Pushed { generation, replace, ..pushed(vec![grant(NAMES[slug], 1, minutes)]) };
                    let _ = rack.push(asker((!owner).then_some(0)), push, now);
                }
                Act::Mint { from, to, slugs, rights } => {
                    minted = Some(usize::from(to));
                    let set = slugs.iter().map(|&i| NAMES[i].parse().unwrap()).collect();
                    let parent = from.map(|n| rack.readable(capability(n), None, now));
                    if rack.mint(asker(from), registration(to, rights), Some(1), Some(set), now).is_ok()
                        && let Some(parent) = parent {
                        // Never wider than the one it was made from.
                        let child = rack.readable(capability(to), None, now);
                        prop_assert!(child.iter().all(|slug| parent.contains(slug)));
                    }
                }
                Act::Forget { slug, by } => {
                    let slugs = vec![NAMES[slug].parse().unwrap()];
                    if rack.forget(asker(by), &Forget { slugs: slugs.clone(), ..Forget::default() }).is_ok() {
                        prop_assert!(rack.held(&slugs[0], now).is_none());
                    }
                }
                Act::Revoke { id: n, by } => {
                    if rack.revoke(asker(by), &id(n)).is_ok() {
                        prop_assert!(rack.readable(capability(n), None, now).is_empty());
                    }
                }
                Act::Wait(minutes) => {
                    now += minutes * MINUTE;
                    rack.sweep(now);
                }
            }
            // What nobody but the owner did widened nobody's reach but the new one's.
            if !by_owner {
                for n in (0..4).filter(|n| Some(*n) != minted) {
                    let after = rack.readable(capability(n as u8), None, now);
                    prop_assert!(after.iter().all(|slug| before[n].contains(slug)));
                }
            }
            // Caps hold, and what may not be read is not granted.
            for text in NAMES {
                let slug = slug(text);
                let cap = if slug.env.is_sudo() { MAX_SUDO_TTL_MS } else { MAX_TTL_MS };
                if let Some(held) = rack.held(&slug, now) {
                    prop_assert!(held.expires_at > now && held.expires_at <= now + cap);
                }
                for n in 0..4 {
                    let verdict = rack.look_up(capability(n), &Ask::exactly(slug.clone()), now);
                    let granted = matches!(verdict, Verdict::Granted(_));
                    prop_assert_eq!(granted, rack.may_read(capability(n), &slug, now));
                }
            }
            let deadline = rack.next_deadline();
            prop_assert_eq!(deadline, rack.grants.values().map(|held| held.expires_at).min());
            prop_assert!(rack.is_empty(now) || deadline.is_some_and(|deadline| deadline > now));
        }
    }
}
