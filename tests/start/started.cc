// A program started by cli/start.cc instead of glibc's own start, which looks at what that start
// has to have set up. Prints each fact that isn't so; the last line is written by an exit handler.
#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

int failures = 0;
int constructed = 0;
int fini_runs = 0;
thread_local int counter = 41;
thread_local std::string text = "one of each thread";

struct Constructed {
    Constructed() { constructed = 7; }
    // After the exit handlers that main registered, which come last in, first out.
    ~Constructed() { ++fini_runs; }
} const at_start;

[[gnu::destructor]] void last() {
    ::printf(fini_runs == 1 ? "fini array: ok\n" : "fini array: too early\n");
}

void expect(bool fact, const char* what) {
    if (fact)
        return;
    ::printf("not so: %s\n", what);
    ++failures;
}

uint64_t at_fs(unsigned offset) {
    uint64_t value;
    asm volatile("movq %%fs:(%1), %0" : "=r"(value) : "r"(static_cast<uint64_t>(offset)));
    return value;
}

// Not inlined: its own frame has a guard.
[[gnu::noinline]] size_t use_stack(const char* name) {
    char copy[300];
    ::strncpy(copy, name, sizeof copy - 1);
    copy[sizeof copy - 1] = '\0';
    return ::strlen(copy);
}

void check_strings() {
    for (size_t size :
         {0UL, 1UL, 15UL, 16UL, 63UL, 300UL, 2047UL, 4096UL, 100'000UL, 3'000'000UL}) {
        std::vector<char> from(size + 1, 'a');
        std::vector<char> into(size + 1, 'b');
        from[size] = '\0';
        ::memcpy(into.data(), from.data(), size + 1);
        expect(::memcmp(from.data(), into.data(), size + 1) == 0, "memcpy copies");
        expect(::strlen(into.data()) == size, "strlen counts");
        expect(::strchr(into.data(), 'z') == nullptr, "strchr finds nothing");
        ::memmove(into.data() + size / 2, into.data(), size - size / 2);
        ::memset(into.data(), 'c', size);
        expect(::memchr(into.data(), '\0', size + 1) == into.data() + size, "memset, memchr");
    }
    expect(use_stack("guarded") == 7, "a frame with a guard");
}

void check_threads() {
    int seen = 0;
    std::vector<std::thread> threads;
    std::vector<int> counters(8);
    threads.reserve(counters.size());
    for (int& mine : counters)
        threads.emplace_back([&mine] {
            text += "!";
            mine = ++counter + (text == "one of each thread!" ? 0 : 1000);
            auto kept = std::make_unique<std::string>(100'000, 'x');  // an arena of its own
            expect(kept->size() == 100'000, "malloc in a thread");
        });
    for (std::thread& thread : threads)
        thread.join();
    for (int mine : counters)
        seen += mine == 42;
    expect(seen == 8, "thread_local is each thread's own");
    expect(counter == 41, "and the main thread's is untouched");
    std::thread thrower([&seen] {
        try {
            throw std::runtime_error("thrown");
        } catch (const std::exception&) {
            seen = 1;
        }
    });
    thrower.join();
    expect(seen == 1, "an exception in a thread");
    pthread_attr_t attributes;
    expect(::pthread_getattr_np(::pthread_self(), &attributes) == 0, "the main thread's stack");
    void* stack = nullptr;
    size_t size = 0;
    ::pthread_attr_getstack(&attributes, &stack, &size);
    const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    const auto begin = reinterpret_cast<uintptr_t>(stack);
    expect(here >= begin && here < begin + size, "its bounds");
    ::pthread_attr_destroy(&attributes);
    ::pthread_attr_init(&attributes);
    ::pthread_attr_getstacksize(&attributes, &size);
    expect(size >= 65536, "a thread's stack has a size");
    expect(::sysconf(_SC_MINSIGSTKSZ) >= 1024, "a signal's frame has a size");
}

bool stack_is_executable() {
    std::unique_ptr<FILE, int (*)(FILE*)> maps(::fopen("/proc/self/maps", "r"), ::fclose);
    char line[512];
    while (maps && ::fgets(line, sizeof line, maps.get()))
        if (::strstr(line, "rwx"))
            return true;
    return false;
}

}  // namespace

int main(int count, char** words, char** environment) {
    expect(count == 2 && ::strcmp(words[1], "argument") == 0, "argc and argv");
    expect(environment == environ, "environ");
    const char* variable = ::getenv("SIGIL_STARTED");
    expect(variable && std::string_view(variable) == "yes", "getenv");
    expect(constructed == 7, "constructors have run, once");
    expect(::strcmp(program_invocation_short_name, "sigil-started") == 0, "the program's name");
    expect(::getauxval(AT_PAGESZ) == 4096 && ::getpagesize() == 4096, "the auxiliary vector");
    const auto* random = reinterpret_cast<const uint64_t*>(::getauxval(AT_RANDOM));
    expect(random && at_fs(0x28) == (random[0] & ~uint64_t{0xff}), "the stack guard");
    expect(random && at_fs(0x30) == random[1], "the pointer guard");
    expect(::close(-1) < 0 && errno == EBADF, "errno");
    expect(::secure_getenv("SIGIL_STARTED") != nullptr, "AT_SECURE is not set");
    check_strings();
    check_threads();
    expect(!stack_is_executable(), "no stack is executable");
    try {
        throw std::string("thrown");
    } catch (const std::string& what) {
        expect(what == "thrown", "an exception");
    }
    std::string number(64, '\0');
    number.resize(static_cast<size_t>(::snprintf(number.data(), number.size(), "%.3f", 1.5)));
    expect(number == "1.500", "printf and the C locale");
    ::atexit([] { ::printf(failures ? "atexit: failures\n" : "atexit: ok\n"); });
    return failures;
}
