/* The floor: what a process, and a process with one socket round trip, cost at least.
 *
 *   floor                 does nothing
 *   floor PATH            one round trip of 100 bytes over the Unix socket at PATH
 *   floor --serve PATH    answers such round trips, one connection at a time
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char message[100];

static int whole(int fd, int receive) {
    for (size_t done = 0; done < sizeof message;) {
        ssize_t n = receive ? read(fd, message + done, sizeof message - done)
                            : write(fd, message + done, sizeof message - done);
        if (n <= 0) return 0;
        done += (size_t)n;
    }
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 2) return 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, argv[argc - 1], sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (argc == 2)
        return connect(fd, (void *)&address, sizeof address) || !whole(fd, 0) || !whole(fd, 1);
    if (bind(fd, (void *)&address, sizeof address) || listen(fd, 128)) return 1;
    for (int peer; (peer = accept(fd, 0, 0)) >= 0; close(peer))
        while (whole(peer, 1) && whole(peer, 0)) {}
    return 1;
}
