#!/usr/bin/env bash
# Runs a script beside a systemd of one's own: user_manager.sh SCRIPT, as root.
#
# A user's systemd wants a machine that systemd booted, a runtime directory and a control
# group that it may move processes in. All three are made here, in namespaces of their own,
# so that it sees no process and no group but these; when the script ends, they go.
set -eu
group=keyrack-$$
hierarchies=()
for dir in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [[ -e $dir/cgroup.procs ]] || continue
    mkdir "$dir/$group"
    echo $$ >"$dir/$group/cgroup.procs"
    hierarchies+=("$dir")
done
leave() {
    for dir in "${hierarchies[@]}"; do
        echo $$ >"$dir/cgroup.procs"
        find "$dir/$group" -depth -type d -exec rmdir {} \;
    done
}
trap leave EXIT

cat >"$TMPDIR/inside.sh" <<'END'
set -eu
# Nothing of the machine's: the same hierarchies, seen from the group made for this.
kinds=()
for dir in "$@"; do kinds+=("$(stat -f -c %T "$dir")"); done
[[ $1 = /sys/fs/cgroup ]] || mount -t tmpfs tmpfs /sys/fs/cgroup
for dir in "$@"; do
    mkdir -p "$dir"
    case ${kinds[0]} in
        cgroup2fs) mount -t cgroup2 cgroup2 "$dir" ;;
        *) mount -t cgroup -o none,name=systemd systemd "$dir" ;;
    esac
    kinds=("${kinds[@]:1}")
    [[ $(cat /proc/self/cgroup) != */keyrack-* ]]
done
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/user/0
chmod 0700 /run/user/0
export XDG_RUNTIME_DIR=/run/user/0
/lib/systemd/systemd --user --log-target=console >"$TMPDIR/systemd.log" 2>&1 &
for _ in $(seq 100); do
    [[ -S /run/user/0/systemd/private ]] && break
    sleep 0.05
done
bash -c "$SCRIPT"
END
SCRIPT="$1" unshare --mount --cgroup --pid --fork --kill-child --mount-proc \
    bash "$TMPDIR/inside.sh" "${hierarchies[@]}"
