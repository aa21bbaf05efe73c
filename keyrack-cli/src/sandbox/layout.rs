//! What a sandboxed program finds where: pure, from lists of paths to the order in which
//! to mount. Touches no file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What stands at a path inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// What is there outside, read-only.
    Read,
    /// What is there outside.
    Write,
    /// An empty directory that cannot be written.
    Empty,
    /// An empty file.
    Blank,
    /// A directory of the program's own, gone with it.
    Private,
}

impl View {
    /// Whether what is below is seen as it is outside.
    fn shows(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }
}

/// What is to be shown and hidden. All paths are absolute and free of symbolic links.
#[derive(Debug, Default, Clone)]
pub struct Wishes {
    /// Where the program runs.
    pub work: PathBuf,
    /// Shown and writable, because a person said so.
    pub write: Vec<PathBuf>,
    /// Shown, because a person said so.
    pub read: Vec<PathBuf>,
    /// Shown inside of what is hidden: the owner's own.
    pub own: Vec<PathBuf>,
    /// Directories to hide.
    pub hidden_dirs: Vec<PathBuf>,
    /// Files and sockets to hide.
    pub hidden_files: Vec<PathBuf>,
    /// Directories to replace by empty ones of the program's own.
    pub private: Vec<PathBuf>,
    /// Sockets that are hidden only where nothing above them was shown on purpose.
    pub sockets: Vec<PathBuf>,
}

/// What to mount, parents before children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Each path with its view.
    pub mounts: Vec<(PathBuf, View)>,
    /// What keeps the working directory from being writable.
    pub work_holds: Option<PathBuf>,
}

/// Why there is no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The program could not even start there.
    #[error("the working directory {} is hidden in a sandbox", .0.display())]
    WorkIsHidden(PathBuf),
}

impl Layout {
    /// Decides. What a person named wins over what is hidden at the same path; below a
    /// path that is shown, what is hidden stays hidden.
    ///
    /// # Errors
    /// [`LayoutError::WorkIsHidden`].
    pub fn new(wishes: &Wishes) -> Result<Self, LayoutError> {
        let mut views: BTreeMap<&Path, View> = BTreeMap::new();
        // Later ones win.
        for (paths, view) in [
            (&wishes.private, View::Private),
            (&wishes.hidden_files, View::Blank),
            (&wishes.hidden_dirs, View::Empty),
            (&wishes.own, View::Read),
            (&wishes.read, View::Read),
            (&wishes.write, View::Write),
        ] {
            views.extend(paths.iter().map(|path| (path.as_path(), view)));
        }
        let given = |path: &Path| {
            wishes.write.iter().chain(&wishes.read).any(|above| path.starts_with(above))
        };
        for socket in &wishes.sockets {
            if !given(socket) && !socket.starts_with(&wishes.work) {
                views.entry(socket).or_insert(View::Blank);
            }
        }
        let work = wishes.work.as_path();
        let work_holds = views
            .iter()
            .find(|(path, view)| !view.shows() && path.starts_with(work) && **path != work)
            .map(|(path, _)| path.to_path_buf());
        if !views.contains_key(work) {
            if matches!(nearest(&views, work), Some((_, View::Empty))) {
                return Err(LayoutError::WorkIsHidden(work.to_owned()));
            }
            views.insert(work, if work_holds.is_some() { View::Read } else { View::Write });
        } else if matches!(views[work], View::Empty) {
            return Err(LayoutError::WorkIsHidden(work.to_owned()));
        }
        let needed = |path: &Path, view: View| match nearest(&views, path).map(|(_, above)| above) {
            // Below what is hidden, only what is shown needs a place.
            Some(above) if !above.shows() => view.shows() || view == View::Private,
            Some(View::Read) | None => view != View::Read,
            Some(_) => view != View::Write,
        };
        let mut mounts: Vec<(PathBuf, View)> = views
            .iter()
            .filter(|(path, view)| needed(path, **view))
            .map(|(path, view)| (path.to_path_buf(), *view))
            .collect();
        mounts.sort_by_key(|(path, _)| path.components().count());
        Ok(Self { mounts, work_holds })
    }

    /// The paths that can be written inside.
    pub fn writable(&self) -> impl Iterator<Item = &Path> {
        let is = |view: &View| matches!(view, View::Write | View::Private);
        self.mounts.iter().filter(move |(_, view)| is(view)).map(|(path, _)| path.as_path())
    }
}

/// The nearest view strictly above `path`.
fn nearest<'a>(views: &BTreeMap<&'a Path, View>, path: &Path) -> Option<(&'a Path, View)> {
    path.ancestors()
        .skip(1)
        .find_map(|above| views.get_key_value(above))
        .map(|(path, view)| (*path, *view))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    fn wishes(work: &str) -> Wishes {
        Wishes {
            work: work.into(),
            hidden_dirs: paths(&["/home/u/.ssh", "/run", "/home/u/.data"]),
            private: paths(&["/tmp"]),
            ..Wishes::default()
        }
    }

    fn shown(layout: &Layout) -> Vec<String> {
        layout.mounts.iter().map(|(path, view)| format!("{} {view:?}", path.display())).collect()
    }

    #[test]
    fn the_working_directory_is_written_and_the_hidden_is_empty() {
        let layout = Layout::new(&wishes("/home/u/repo")).unwrap();
        assert_eq!(
            shown(&layout),
            [
                "/run Empty",
                "/tmp Private",
                "/home/u/.data Empty",
                "/home/u/.ssh Empty",
                "/home/u/repo Write"
            ]
        );
        assert_eq!(layout.work_holds, None);
        assert_eq!(layout.writable().count(), 2);
    }

    #[test]
    fn a_working_directory_that_holds_something_hidden_is_only_read() {
        let layout = Layout::new(&wishes("/home/u")).unwrap();
        assert_eq!(layout.work_holds, Some("/home/u/.data".into()));
        assert!(!shown(&layout).iter().any(|line| line.starts_with("/home/u ")));
        assert!(Layout::new(&wishes("/")).unwrap().work_holds.is_some());
    }

    #[test]
    fn a_working_directory_below_a_private_one_comes_back() {
        let layout = Layout::new(&wishes("/tmp/x/repo")).unwrap();
        let lines = shown(&layout);
        let at = |line: &str| lines.iter().position(|l| l == line).unwrap();
        assert!(at("/tmp Private") < at("/tmp/x/repo Write"));
        // To run in /tmp itself is to run in the program's own.
        assert!(shown(&Layout::new(&wishes("/tmp")).unwrap()).contains(&"/tmp Private".to_owned()));
    }

    #[test]
    fn nobody_runs_where_nothing_is_seen() {
        for work in ["/home/u/.ssh", "/home/u/.ssh/deep"] {
            assert_eq!(Layout::new(&wishes(work)), Err(LayoutError::WorkIsHidden(work.into())));
        }
    }

    #[test]
    fn what_a_person_names_wins_at_the_same_path_and_not_above_it() {
        let mut wishes = wishes("/home/u/repo");
        wishes.read = paths(&["/home/u/.ssh/known_hosts"]);
        wishes.write = paths(&["/home/u", "/run"]);
        let lines = shown(&Layout::new(&wishes).unwrap());
        for line in
            ["/home/u Write", "/home/u/.ssh Empty", "/home/u/.ssh/known_hosts Read", "/run Write"]
        {
            assert!(lines.contains(&line.to_owned()), "{line} not in {lines:?}");
        }
        // It is writable anyway.
        assert!(!lines.contains(&"/home/u/repo Write".to_owned()));
    }

    #[test]
    fn the_owners_own_is_shown_inside_of_what_is_hidden() {
        let mut wishes = wishes("/home/u/repo");
        wishes.own = paths(&["/home/u/.data/host.a.yml.age", "/tmp/a.sock"]);
        let lines = shown(&Layout::new(&wishes).unwrap());
        assert!(lines.contains(&"/home/u/.data/host.a.yml.age Read".to_owned()));
        assert!(lines.contains(&"/tmp/a.sock Read".to_owned()));
    }

    #[test]
    fn sockets_are_hidden_where_nobody_gave_them() {
        let mut wishes = wishes("/home/u/repo");
        wishes.write = paths(&["/srv/db"]);
        wishes.sockets = paths(&[
            "/tmp/x.sock",
            "/home/u/agent.sock",
            "/home/u/repo/dev.sock",
            "/srv/db/db.sock",
        ]);
        let layout = Layout::new(&wishes).unwrap();
        let blank: Vec<_> =
            shown(&layout).into_iter().filter(|line| line.ends_with("Blank")).collect();
        assert_eq!(blank, ["/home/u/agent.sock Blank"]);
        assert_eq!(layout.work_holds, None);
    }
}
