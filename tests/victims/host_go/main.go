// A Go program with cgo. It allocates from many goroutines, and asks to be notified of SIGUSR1
// before or after CUDA is first used, or never, as its argument says. Tells how often it was
// notified when a line comes in.
package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

static int (*init)(unsigned), (*create)(void **, unsigned, int), (*set)(void *);
static int (*allocate)(uint64_t *, size_t), (*release)(uint64_t);
static int (*fill)(uint64_t, unsigned, size_t), (*fetch)(void *, uint64_t, size_t);
static void *context;

static void *must(void *found) { return found ? found : (abort(), NULL); }

static int begin(void)
{
    void *driver = must(dlopen("libcuda.so.1", RTLD_NOW));
    init = must(dlsym(driver, "cuInit"));
    create = must(dlsym(driver, "cuCtxCreate_v2"));
    set = must(dlsym(driver, "cuCtxSetCurrent"));
    allocate = must(dlsym(driver, "cuMemAlloc_v2"));
    release = must(dlsym(driver, "cuMemFree_v2"));
    fill = must(dlsym(driver, "cuMemsetD32_v2"));
    fetch = must(dlsym(driver, "cuMemcpyDtoH_v2"));
    int result = init(0);
    return result ? result : create(&context, 0, 0);
}

// Goroutines change threads, so each call sets the context that it needs.
static int once(unsigned value)
{
    uint64_t p = 0;
    unsigned word = 0;
    int result = set(context);
    if (!result)
        result = allocate(&p, 1 << 20);
    if (!result)
        result = fill(p, value, 1 << 18);
    if (!result)
        result = fetch(&word, p + 4096, 4);
    if (!result && word != value)
        result = -1;
    return result ? result : release(p);
}
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
)

func ok(result C.int) {
	if result != 0 {
		panic(fmt.Sprint("CUDA says ", result))
	}
}

var heard int64

func listen() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for range signals {
			atomic.AddInt64(&heard, 1)
		}
	}()
}

func work() {
	var all sync.WaitGroup
	for worker := 0; worker < 32; worker++ {
		all.Add(1)
		go func(worker int) {
			defer all.Done()
			for round := 0; round < 20; round++ {
				ok(C.once(C.unsigned(worker<<16 | round)))
			}
		}(worker)
	}
	all.Wait()
}

func main() {
	if os.Args[1] == "before" {
		listen()
	}
	ok(C.begin())
	work()
	if os.Args[1] == "after" {
		listen()
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		work()
		fmt.Println("heard", atomic.LoadInt64(&heard))
	}
}
