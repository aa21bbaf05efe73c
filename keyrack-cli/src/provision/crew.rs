//! Several owners at a time. What a new owner waits for is the disk, twenty times over; and
//! a disk makes what several wait for last at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::{Provision, Row};
use crate::args::ViaArg;
use crate::error::Outcome;
use crate::provision::roster::Member;

/// More wait no shorter: there is one journal.
const HANDS: usize = 4;

/// Makes `members` as [`Provision::make`] does, and tells of each in their order.
pub fn make_all(
    provision: &Provision<'_>,
    members: &[Member],
    mut tell: impl FnMut(usize, Outcome<Row>),
) {
    let mut rest = members;
    let mut at = 0;
    while !rest.is_empty() {
        let fit = |member: &&Member| is_apart(member, provision);
        let together = rest.iter().take_while(fit).count().max(1);
        let (now, later) = rest.split_at(together);
        match now {
            [one] => tell(at, provision.make(one)),
            several => at_once(provision, several, |n, made| tell(at + n, made)),
        }
        at += together;
        rest = later;
    }
}

/// Whether making it asks no person, and touches nothing that another owner's making does.
fn is_apart(member: &Member, provision: &Provision<'_>) -> bool {
    let pins_this_host = member.provisioner || provision.args.provisioner;
    member.via != Some(ViaArg::Yubikey)
        && member.kept_by.is_none()
        && member.vaults.is_empty()
        && !pins_this_host
        && !provision.settings.places.manifest(&member.owner).exists()
}

fn at_once(
    provision: &Provision<'_>,
    members: &[Member],
    mut tell: impl FnMut(usize, Outcome<Row>),
) {
    let next = AtomicUsize::new(0);
    let (give, take) = mpsc::channel();
    let mut rows = BTreeMap::new();
    thread::scope(|scope| {
        for _ in 0..HANDS.min(members.len()) {
            let (give, next) = (give.clone(), &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(member) = members.get(at) else { return };
                    let _ = give.send((at, provision.make(member)));
                }
            });
        }
        drop(give);
        let mut told = 0;
        for (at, row) in take {
            rows.insert(at, row);
            while let Some(row) = rows.remove(&told) {
                tell(told, row);
                told += 1;
            }
        }
    });
}
