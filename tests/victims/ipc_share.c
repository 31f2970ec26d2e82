/* Two processes share memory by CUDA IPC: this one, and a peer that it starts by fork and exec and
 * tells over two pipes what to do. The scenario is named on the command line. Prints what natively
 * is printed, too. */
#include "drv.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { SLOTS = 64 };

enum op { ALLOC, FREE, HANDLE, OPEN, CLOSE, FILL, READ, RANGE, FORK, CLOSE_FILES, ASK, LEAVE };

struct request {
    enum op op;
    int slot;
    size_t offset; /* a size, for ALLOC */
    unsigned value;
    CUipcMemHandle handle;
};

struct reply {
    int status;
    unsigned long long value;
    unsigned long long bytes;
    CUipcMemHandle handle;
};

static CUdeviceptr slots[SLOTS];
static int to_peer, from_peer;
static pid_t peer;

/* Closes sockets that it does not know, and opens files of its own under the numbers. */
static void close_files(int in, int out)
{
    struct stat file;
    for (int fd = 3; fd < 100; fd++)
        if (fd != in && fd != out && fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode))
            EXPECT(dup2(STDERR_FILENO, fd) == fd);
}

/* Asks for what the handle stands for by a socket, if there is one for it: how much is answered. */
static long ask_socket(const unsigned char *handle)
{
    static const char hex[] = "0123456789abcdef";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char answer[1024], *name = address.sun_path + 1;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    name = stpcpy(name, "cupool-ipc-");
    for (int byte = 16; byte < 24; byte++) {
        *name++ = hex[handle[byte] >> 4];
        *name++ = hex[handle[byte] & 15];
    }
    EXPECT(connect(fd, (struct sockaddr *)&address, name - (char *)&address) == 0);
    ssize_t got = -1;
    if (send(fd, handle, 64, MSG_NOSIGNAL) == 64)
        got = recv(fd, answer, sizeof answer, 0);
    close(fd);
    return got;
}

static struct reply serve(const struct request *r, int in, int out)
{
    struct reply reply = {0};
    CUdeviceptr *p = &slots[r->slot], base = 0;
    size_t bytes = 0;
    unsigned word = 0;
    switch (r->op) {
    case ALLOC:
        reply.status = cuMemAlloc(p, r->offset);
        break;
    case FREE:
        reply.status = cuMemFree(*p);
        break;
    case HANDLE:
        reply.status = cuIpcGetMemHandle(&reply.handle, *p + r->offset);
        break;
    case OPEN:
        reply.status = cuIpcOpenMemHandle(p, r->handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
        reply.value = *p;
        break;
    case CLOSE:
        reply.status = cuIpcCloseMemHandle(*p + r->offset);
        break;
    case FILL:
        reply.status = cuMemsetD32(*p + r->offset, r->value, 2);
        if (reply.status == 0)
            reply.status = cuCtxSynchronize();
        break;
    case READ:
        reply.status = cuMemcpyDtoH(&word, *p + r->offset, 4);
        reply.value = word;
        break;
    case RANGE:
        reply.status = cuMemGetAddressRange(&base, &bytes, *p + r->offset);
        reply.value = *p - base;
        reply.bytes = bytes;
        break;
    case FORK:
        if (fork() == 0) {
            close(in);
            close(out);
            sleep(20);
            _exit(0);
        }
        break;
    case CLOSE_FILES:
        close_files(in, out);
        break;
    case ASK:
        reply.status = ask_socket((const unsigned char *)&r->handle) > 0;
        break;
    case LEAVE:
        break;
    }
    return reply;
}

static int serve_all(int in, int out)
{
    struct request request;
    CUcontext context = drv_context();
    while (read(in, &request, sizeof request) == (ssize_t)sizeof request) {
        struct reply reply = serve(&request, in, out);
        EXPECT(write(out, &reply, sizeof reply) == (ssize_t)sizeof reply);
        if (request.op == LEAVE)
            break;
    }
    OK(cuCtxDestroy(context));
    return 0;
}

static void start_peer(char *program, const char *what)
{
    int there[2], back[2];
    OK(pipe(there));
    OK(pipe(back));
    peer = fork();
    if (peer == 0) {
        char in[16], out[16];
        close(there[1]);
        close(back[0]);
        snprintf(in, sizeof in, "%d", there[0]);
        snprintf(out, sizeof out, "%d", back[1]);
        if (strcmp(what, "stranger") == 0)
            unsetenv("LD_PRELOAD");
        if (strcmp(what, "another user") == 0)
            OK(setuid(65534));
        execl("/proc/self/exe", program, "peer", in, out, (char *)NULL);
        _exit(127);
    }
    close(there[0]);
    close(back[1]);
    to_peer = there[1];
    from_peer = back[0];
}

static struct reply ask(struct request request)
{
    struct reply reply;
    EXPECT(write(to_peer, &request, sizeof request) == (ssize_t)sizeof request);
    EXPECT(read(from_peer, &reply, sizeof reply) == (ssize_t)sizeof reply);
    return reply;
}

#define HERE(...) serve(&(struct request){__VA_ARGS__}, to_peer, from_peer)
#define THERE(...) ask((struct request){__VA_ARGS__})

/* A block of this process in `slot`, with `value` at `offset`; gives its handle. */
static CUipcMemHandle exported(int slot, size_t bytes, size_t offset, unsigned value)
{
    OK(HERE(ALLOC, slot, bytes).status);
    OK(HERE(FILL, slot, offset, value).status);
    struct reply reply = HERE(HANDLE, slot);
    OK(reply.status);
    return reply.handle;
}

/* The same of the peer's, opened here as slot 0. */
static CUipcMemHandle opened(size_t bytes, size_t offset, unsigned value)
{
    OK(THERE(ALLOC, 0, bytes).status);
    OK(THERE(FILL, 0, offset, value).status);
    struct reply reply = THERE(HANDLE, 0);
    OK(reply.status);
    OK(HERE(OPEN, 0, .handle = reply.handle).status);
    return reply.handle;
}

static void words(int ranges)
{
    static const size_t sizes[] = {8 * MIB, 1000, 3000, 2 * MIB, MIB};
    for (int slot = 0; slot < 5; slot++) {
        CUipcMemHandle handle = exported(slot, sizes[slot], sizes[slot] / 2, 100 + slot);
        struct reply inside = HERE(HANDLE, slot, sizes[slot] - 4);
        printf("%zu bytes, handle inside %s\n", sizes[slot],
               memcmp(&inside.handle, &handle, sizeof handle) == 0 ? "the same" : "another");
        printf("opened %d\n", THERE(OPEN, slot, .handle = handle).status);
    }
    for (int slot = 0; slot < 5; slot++) {
        printf("there %llu\n", THERE(READ, slot, sizes[slot] / 2).value);
        if (ranges) {
            struct reply range = THERE(RANGE, slot, sizes[slot] - 1);
            printf("range -%llu %llu\n", range.value, range.bytes);
        }
        OK(THERE(FILL, slot, sizes[slot] - 8, 200 + slot).status);
        printf("here %llu\n", HERE(READ, slot, sizes[slot] - 4).value);
        OK(THERE(CLOSE, slot).status);
        OK(HERE(FREE, slot).status);
    }
}

/* What is shared stays what it is, whatever its owner frees and allocates. */
static void reuse(void)
{
    static const size_t sizes[] = {4 * MIB, 1000};
    for (int shared = 0; shared < 2; shared++) {
        size_t bytes = sizes[shared];
        CUipcMemHandle handle = exported(0, bytes, 0, 1);
        OK(THERE(OPEN, 0, .handle = handle).status);
        OK(HERE(FREE, 0).status);
        for (int slot = 1; slot < 9; slot++) {
            OK(HERE(ALLOC, slot, bytes).status);
            OK(HERE(FILL, slot, 0, 9).status);
        }
        printf("there %llu\n", THERE(READ, 0).value);
        OK(THERE(FILL, 0, 0, 2).status);
        for (int slot = 1; slot < 9; slot++) {
            EXPECT(HERE(READ, slot).value == 9);
            OK(HERE(FREE, slot).status);
        }
        printf("there %llu\n", THERE(READ, 0).value);
        OK(THERE(CLOSE, 0).status);
    }
}

/* One block where many small ones were: its memory is in many pieces. */
static void pieces(void)
{
    enum { PIECES = 50 };
    for (int slot = 0; slot < PIECES; slot++)
        OK(HERE(ALLOC, slot, 2 * MIB).status);
    for (int slot = 0; slot < PIECES; slot++)
        OK(HERE(FREE, slot).status);
    CUipcMemHandle handle = exported(0, PIECES * 2 * MIB, 0, 0);
    for (int piece = 0; piece < PIECES; piece++)
        OK(HERE(FILL, 0, piece * 2 * MIB + 4096, 1000 + piece).status);
    OK(THERE(OPEN, 0, .handle = handle).status);
    for (int piece = 0; piece < PIECES; piece++)
        EXPECT(THERE(READ, 0, piece * 2 * MIB + 4096).value == 1000u + piece);
    puts("all there");
    OK(THERE(CLOSE, 0).status);
    OK(HERE(FREE, 0).status);
}

static void twice(void)
{
    CUipcMemHandle handle = opened(4 * MIB, 0, 5);
    CUdeviceptr first = slots[0];
    OK(HERE(OPEN, 1, .handle = handle).status);
    printf("again at %s\n", slots[1] == first ? "the same address" : "another");
    OK(HERE(CLOSE, 1).status);
    printf("here %llu\n", HERE(READ, 0).value);
    printf("inside %d\n", HERE(CLOSE, 0, 4096).status);
    printf("closed %d\n", HERE(CLOSE, 0).status);
    printf("closed again %d\n", HERE(CLOSE, 0).status);
    printf("range %d\n", HERE(RANGE, 0).status);
    printf("opened %d\n", HERE(OPEN, 0, .handle = handle).status);
    printf("here %llu\n", HERE(READ, 0).value);
    OK(HERE(CLOSE, 0).status);
}

/* The peer ends in one way or another; what is open here stays. */
static void ends(const char *how)
{
    CUipcMemHandle handle = opened(4 * MIB, 2 * MIB, 5);
    int status;
    if (strcmp(how, "killed") == 0) {
        OK(kill(peer, SIGKILL));
    } else {
        OK(THERE(FREE, 0).status);
        THERE(LEAVE);
    }
    EXPECT(waitpid(peer, &status, 0) == peer);
    printf("here %llu\n", HERE(READ, 0, 2 * MIB).value);
    OK(HERE(FILL, 0, 2 * MIB, 6).status);
    printf("here %llu\n", HERE(READ, 0, 2 * MIB).value);
    OK(HERE(CLOSE, 0).status);
    printf("opened %d\n", HERE(OPEN, 0, .handle = handle).status);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* Nobody answers: an error, and how long it took. */
static void nobody(const char *why)
{
    CUipcMemHandle handle = opened(4 * MIB, 0, 5);
    int status;
    OK(HERE(CLOSE, 0).status);
    if (strcmp(why, "stopped") == 0) {
        OK(kill(peer, SIGSTOP));
        EXPECT(waitpid(peer, &status, WUNTRACED) == peer);
    } else {
        THERE(FORK);
        OK(kill(peer, SIGKILL));
        EXPECT(waitpid(peer, &status, 0) == peer);
    }
    double before = now();
    printf("opened %d\n", HERE(OPEN, 0, .handle = handle).status);
    double took = now() - before;
    puts(took < 1 ? "at once" : took < 7 ? "in time" : "late");
    kill(peer, SIGKILL);
}

static void refused(void)
{
    CUipcMemHandle handle = exported(0, MIB, 0, 5), other;
    printf("here %d\n", HERE(OPEN, 1, .handle = handle).status);
    memset(&other, 0, sizeof other);
    printf("zeros %d\n", THERE(OPEN, 0, .handle = other).status);
    memset(&other, 0xa5, sizeof other);
    printf("garbage %d\n", THERE(OPEN, 0, .handle = other).status);
    for (int byte = 0; byte < 56; byte += 8) {
        other = handle;
        other.reserved[byte] ^= 1;
        printf("byte %d %s\n", byte,
               THERE(OPEN, 0, .handle = other).status != 0 ? "refused" : "taken");
    }
    OK(HERE(FREE, 0).status);
    printf("freed %d\n", THERE(OPEN, 0, .handle = handle).status);
    OK(HERE(ALLOC, 0, MIB).status);
    OK(HERE(HANDLE, 0).status);
    printf("freed and allocated %d\n", THERE(OPEN, 0, .handle = handle).status);
    printf("handle of nothing %d\n", HERE(HANDLE, 5).status);
}

static void stranger(void)
{
    CUipcMemHandle handle = exported(0, MIB, 0, 5);
    printf("opened %d\n", THERE(OPEN, 0, .handle = handle).status);
    printf("here %llu\n", HERE(READ, 0).value);
}

/* Goes on with each line that it is sent. */
static void waits(void)
{
    OK(HERE(ALLOC, 0, MIB).status);
    puts("allocated");
    fflush(stdout);
    getchar();
    OK(HERE(HANDLE, 0).status);
    puts("shared");
    fflush(stdout);
    while (getchar() != EOF) {
    }
}

static void asks(void)
{
    CUipcMemHandle handle = exported(0, MIB, 0, 5);
    printf("answered %d\n", THERE(ASK, 0, .handle = handle).status);
    printf("opened %d\n", THERE(OPEN, 0, .handle = handle).status);
}

static void closes_files(void)
{
    CUipcMemHandle handle = opened(4 * MIB, 0, 5);
    OK(HERE(CLOSE, 0).status);
    THERE(CLOSE_FILES);
    for (int round = 0; round < 3; round++) {
        printf("opened %d\n", HERE(OPEN, 0, .handle = handle).status);
        printf("here %llu\n", HERE(READ, 0).value);
        OK(HERE(CLOSE, 0).status);
    }
}

/* A kernel of the current context, which has its own module. */
static void late_fill(CUdeviceptr p, unsigned value)
{
    unsigned long long pointer = p, count = MIB;
    long long delay = LATE;
    void *arguments[] = {&pointer, &count, &value, &delay};
    CUmodule module;
    CUfunction function;
    OK(cuModuleLoad(&module, getenv("VICTIM_KERNELS")));
    OK(cuModuleGetFunction(&function, module, "fill"));
    OK(cuLaunchKernel(function, 64, 1, 1, 256, 1, 1, 0, NULL, arguments, NULL));
}

/* What is open goes with its context, where work may still use it. */
static void contexts(void)
{
    CUcontext own;
    CUipcMemHandle handle = opened(4 * MIB, 0, 5);
    OK(cuCtxCreate_v2(&own, 0, 0));
    printf("opened %d\n", HERE(OPEN, 1, .handle = handle).status);
    printf("here %llu\n", HERE(READ, 1).value);
    late_fill(slots[1], 7);
    OK(cuCtxDestroy(own));
    printf("there %llu\n", THERE(READ, 0, 4096).value);
    printf("here %llu\n", HERE(READ, 0).value);
    late_fill(slots[0], 8);
    OK(HERE(CLOSE, 0).status);
    printf("there %llu\n", THERE(READ, 0, 4096).value);
}

/* Closing during a capture leaves the capture alone. */
static void captured(void)
{
    CUstream stream;
    CUgraph graph = NULL;
    opened(4 * MIB, 0, 5);
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(HERE(CLOSE, 0).status);
    OK(cuStreamEndCapture(stream, &graph));
    puts("captured");
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "words";
    if (argc == 4)
        return serve_all(atoi(argv[2]), atoi(argv[3]));
    start_peer(argv[0], what);
    CUcontext context = drv_context();
    if (strcmp(what, "words") == 0 || strcmp(what, "ranges") == 0)
        words(strcmp(what, "ranges") == 0);
    else if (strcmp(what, "reuse") == 0)
        reuse();
    else if (strcmp(what, "pieces") == 0)
        pieces();
    else if (strcmp(what, "twice") == 0)
        twice();
    else if (strcmp(what, "killed") == 0 || strcmp(what, "left") == 0)
        ends(what);
    else if (strcmp(what, "stopped") == 0 || strcmp(what, "forked") == 0)
        nobody(what);
    else if (strcmp(what, "refused") == 0)
        refused();
    else if (strcmp(what, "stranger") == 0)
        stranger();
    else if (strcmp(what, "user") == 0 || strcmp(what, "another user") == 0)
        asks();
    else if (strcmp(what, "waits") == 0)
        waits();
    else if (strcmp(what, "closes files") == 0)
        closes_files();
    else if (strcmp(what, "contexts") == 0)
        contexts();
    else if (strcmp(what, "captured") == 0)
        captured();
    close(to_peer);
    waitpid(peer, NULL, 0);
    OK(cuCtxDestroy(context));
    return 0;
}
