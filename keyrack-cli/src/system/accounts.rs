//! The machine's users and groups, as its files list them. The C library would ask modules
//! as well, for users that LDAP or systemd-homed know; a program that is linked statically
//! cannot load those, and ends in a fault. Whom only a module knows has no account here.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, getuid};

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: Uid,
    /// The number of the group that is first.
    pub gid: Gid,
    /// The home directory.
    pub dir: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
}

impl Account {
    /// name:password:uid:gid:comment:home:shell
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, dir, shell] = fields.as_slice() else { return None };
        Some(Self {
            name: (*name).to_owned(),
            uid: Uid::from_raw(uid.parse().ok()?),
            gid: Gid::from_raw(gid.parse().ok()?),
            dir: dir.into(),
            shell: shell.into(),
        })
    }
}

/// Whoever runs this.
pub fn own() -> Option<Account> {
    let own = getuid();
    find(Path::new(USERS), |account| account.uid == own)
}

/// The user of that name.
pub fn named(name: &str) -> Option<Account> {
    find(Path::new(USERS), |account| account.name == name)
}

/// Every group that `account` is in.
pub fn groups(account: &Account) -> Vec<Gid> {
    groups_in(&fs::read_to_string(GROUPS).unwrap_or_default(), account)
}

fn find(file: &Path, wanted: impl Fn(&Account) -> bool) -> Option<Account> {
    let text = fs::read(file).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().filter_map(Account::parse).find(wanted)
}

/// name:password:gid:members
fn groups_in(text: &str, account: &Account) -> Vec<Gid> {
    let member_of = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, gid, members] = fields.as_slice() else { return None };
        let is_member = members.split(',').any(|member| member == account.name);
        if is_member { gid.parse().ok().map(Gid::from_raw) } else { None }
    });
    let mut groups = vec![account.gid];
    for group in member_of {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_read_as_the_files_have_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "root:x:0:0:root:/root:/bin/bash\n# a comment\nbroken:x:1\n\
                    bot:x:1001:1002:a robot:/home/bot:/bin/sh\n";
        fs::write(file.path(), text).unwrap();
        let bot = find(file.path(), |account| account.name == "bot").unwrap();
        assert_eq!((bot.uid.as_raw(), bot.gid.as_raw()), (1001, 1002));
        assert_eq!(bot.dir, Path::new("/home/bot"));
        assert_eq!(bot.shell, Path::new("/bin/sh"));
        assert!(find(file.path(), |account| account.name == "broken").is_none());
        let groups = "docker:x:5:alice,bot\nbot:x:1002:\nrobots:x:7:bots\nsudo:x:8:bot\n";
        let groups: Vec<u32> = groups_in(groups, &bot).iter().map(|gid| gid.as_raw()).collect();
        assert_eq!(groups, [1002, 5, 8]);
    }
}
