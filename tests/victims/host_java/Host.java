import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A Java program whose native library uses CUDA, from many threads, with the collector at work. It
 * handles the signal that its second argument names before or after CUDA is first used, or never, as
 * the first says. Tells how often that was called when a line comes in.
 */
public class Host {
    static final AtomicInteger heard = new AtomicInteger();

    static native int begin();

    /** Allocates, fills with the value, reads back, frees. */
    static native int once(int value);

    static void ok(int result) {
        if (result != 0) throw new IllegalStateException("CUDA says " + result);
    }

    static void work() throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        List<Throwable> failures = new ArrayList<>();
        for (int worker = 0; worker < 32; worker++) {
            int number = worker;
            Thread thread = new Thread(() -> {
                for (int round = 0; round < 20; round++) {
                    byte[] garbage = new byte[1 << 16];
                    ok(once(number << 16 | round | garbage[round]));
                }
            });
            thread.setUncaughtExceptionHandler((failed, failure) -> {
                synchronized (failures) {
                    failures.add(failure);
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) thread.join();
        System.gc();
        if (!failures.isEmpty()) throw new IllegalStateException(failures.get(0));
    }

    static void listen(String name) {
        sun.misc.Signal.handle(new sun.misc.Signal(name), signal -> heard.incrementAndGet());
    }

    public static void main(String[] arguments) throws Exception {
        System.loadLibrary("host");
        if (arguments[0].equals("before")) listen(arguments[1]);
        ok(begin());
        work();
        if (arguments[0].equals("after")) listen(arguments[1]);
        System.out.println("ready");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) {
            work();
            System.out.println("heard " + heard);
        }
    }
}
