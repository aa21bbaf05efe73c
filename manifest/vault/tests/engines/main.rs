//! One suite for every engine: what [`VaultStore`] promises, whatever it is stored with.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod file;
mod git;
mod suite;

use keyrack_vault::{FileStore, Memory, VaultStore};

/// Runs each promise against each engine, in a place of its own.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod memory {
            $(#[test]
            fn $promise() {
                super::suite::$promise(&super::Memory::default());
            })*
        }

        mod directory {
            $(#[test]
            fn $promise() {
                let dir = tempfile::tempdir().unwrap();
                super::suite::$promise(&super::FileStore::at(&dir.path().join("vault")));
            })*
        }

        mod group_directory {
            $(#[test]
            fn $promise() {
                let dir = super::file::of_a_group();
                super::suite::$promise(&super::FileStore::at(dir.path()));
            })*
        }

        mod work_tree {
            $(#[test]
            fn $promise() {
                let work = super::git::WorkTree::new();
                super::suite::$promise(&work.store);
                work.is_what_is_committed();
            })*
        }
    };
}

promises! {
    what_is_created_is_there_and_stays
    what_is_absent_is_none
    what_is_too_large_is_foreign
    folders_list_what_is_directly_in_them
    what_is_staged_replaces
    many_objects_of_many_folders_are_staged
    what_is_removed_is_gone
    it_knows_when_an_object_was_written
    of_many_creators_one_wins
    writers_that_race_lose_no_number
    one_lock_at_a_time_comes_to_everybody
}

/// Object safe: that is how a vault holds its engine.
#[test]
fn an_engine_is_an_object() {
    let _: Box<dyn VaultStore> = Box::new(Memory::default());
}
