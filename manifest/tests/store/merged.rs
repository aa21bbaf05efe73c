//! Drops are merged once, however many there were.

use jiff::{SignedDuration, Timestamp};
use keyrack_manifest::{DropId, Merged};

use crate::home::{Home, now};

fn made(hour: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hour)
}

#[test]
fn what_is_remembered_stays_small_and_nothing_old_is_believed() {
    let home = Home::new();
    let ids: Vec<DropId> = (0..1200).map(|_| DropId::random().unwrap()).collect();
    // By clocks that go differently: the newest is not the last.
    home.update(|manifest| {
        manifest.forget_drops(now());
        for (n, id) in ids.iter().enumerate() {
            manifest.remember_drop(*id, made(1200 - n as i64));
        }
    })
    .unwrap();
    let manifest = home.open().unwrap();
    assert_eq!(manifest.has_merged(&ids[0], made(1200)), Merged::Yes);
    let late = DropId::random().unwrap();
    assert_eq!(manifest.has_merged(&late, made(0)), Merged::No, "late is not merged");
    home.update(|manifest| {
        manifest.forget_drops(now());
        manifest.remember_drop(late, made(0));
    })
    .unwrap();
    let manifest = home.open().unwrap();
    assert_eq!(manifest.dropped.len(), 1);
    assert_eq!(manifest.has_merged(&late, made(0)), Merged::Yes);
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(manifest.has_merged(id, made(1200 - n as i64)), Merged::Perhaps);
    }
    assert_eq!(manifest.has_merged(&DropId::random().unwrap(), made(1201)), Merged::No);
}

#[test]
fn a_manifest_of_before_forgets_up_to_now() {
    let home = Home::new();
    let old: Vec<DropId> = (0..1001).map(|_| DropId::random().unwrap()).collect();
    home.update(|manifest| manifest.dropped.extend(&old)).unwrap();
    home.update(|manifest| manifest.forget_drops(made(0))).unwrap();
    let manifest = home.open().unwrap();
    assert!(manifest.dropped.is_empty());
    assert_eq!(manifest.has_merged(&old[7], made(-5)), Merged::Perhaps);
    assert_eq!(manifest.has_merged(&old[7], made(1)), Merged::No);
}
