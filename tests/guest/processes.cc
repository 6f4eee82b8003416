// Ends, children and memory.
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "probe.h"

namespace probe {
namespace {

int count_processes() {
    int count = 0;
    DIR* directory = opendir("/proc");
    if (!directory)
        return -1;
    while (dirent* entry = readdir(directory))
        count += atoi(entry->d_name) > 0;
    closedir(directory);
    return count;
}

int exit_with(Arguments arguments) {
    return static_cast<int>(number(arguments[0]));
}

int die(Arguments arguments) {
    const rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    const int signal = signal_number(arguments[0]);
    ::signal(signal, SIG_DFL);
    kill(getpid(), signal);
    // A PID 1 is spared by what would kill another process (pid_namespaces(7)).
    puts("survived");
    return 1;
}

// A fault, which kills even a PID 1.
int crash(Arguments) {
    const rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    *static_cast<volatile int*>(nullptr) = 1;
    return 1;
}

int sleep_for(Arguments arguments) {
    puts("ready");
    sleep(static_cast<unsigned>(number(arguments[0])));
    return 0;
}

int spin(Arguments) {
    puts("ready");
    for (;;)
        asm volatile("");
}

// N processes lose their parent, all of them at once, and then end at once.
int orphans(Arguments arguments) {
    const int before = count_processes();
    int gate[2];
    if (pipe(gate) < 0)
        return tell(false);
    const pid_t parent = fork();
    if (parent == 0) {
        close(gate[1]);
        for (long left = number(arguments[0]); left > 0; --left) {
            const pid_t orphan = fork();
            if (orphan < 0)
                _exit(errno);
            if (orphan == 0) {
                char end;
                _exit(read(gate[0], &end, 1) == 0 ? 0 : 1);
            }
        }
        _exit(0);
    }
    int status = 0;
    if (parent < 0 || waitpid(parent, &status, 0) < 0 || status != 0)
        return tell(false);
    printf("orphans %d\n", count_processes() - before);
    close(gate[1]);
    while (count_processes() > before)
        usleep(1000);
    printf("left %d\n", count_processes());
    return 0;
}

// Leaves a process behind that keeps stdout open and never ends.
int hold_stdout(Arguments arguments) {
    const pid_t holder = fork();
    if (holder == 0) {
        setsid();
        wait_forever();
    }
    return holder < 0 ? tell(false) : static_cast<int>(number(arguments[0]));
}

int forks(Arguments arguments) {
    std::vector<pid_t> children;
    int error = 0;
    for (long left = number(arguments[0]); left > 0 && error == 0; --left) {
        const pid_t child = fork();
        if (child == 0)
            wait_forever();
        if (child > 0)
            children.push_back(child);
        else
            error = errno;
    }
    printf("forks %zu %s\n", children.size(), error == 0 ? "ok" : strerrorname_np(error));
    for (pid_t child : children)
        kill(child, SIGKILL);
    for (pid_t child : children)
        waitpid(child, nullptr, 0);
    return 0;
}

int alloc(Arguments arguments) {
    const auto size = static_cast<size_t>(number(arguments[0]));
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return tell(false);
    memset(memory, 1, size);
    printf("allocated %zu\n", size);
    if (arguments.size() > 1 && strcmp(arguments[1], "hold") == 0)
        wait_forever();
    return 0;
}

int ticks(Arguments) {
    for (int tick = 1;; ++tick) {
        printf("tick %d\n", tick);
        usleep(50'000);
    }
}

int call(Arguments arguments) {
    std::array<unsigned long, 6> words = {};
    for (size_t index = 1; index < arguments.size() && index <= words.size(); ++index)
        words[index - 1] = strtoul(arguments[index], nullptr, 0);
    const long result =
        syscall(number(arguments[0]), words[0], words[1], words[2], words[3], words[4], words[5]);
    return tell(result >= 0);
}

constexpr std::array kCommands = {
    Command{"exit", "CODE", "end with this code", 1, exit_with},
    Command{"die", "SIGNAL", "end by this signal", 1, die},
    Command{"crash", "", "end by a fault", 0, crash},
    Command{"sleep", "SECONDS", "print `ready`, sleep, end", 1, sleep_for},
    Command{"spin", "", "print `ready`, use the processor for ever", 0, spin},
    Command{"ticks", "", "print `tick N` for ever", 0, ticks},
    Command{"orphans", "N", "make N orphans; wait until all are reaped", 1, orphans},
    Command{"hold-stdout", "CODE", "leave a process that holds stdout; end", 1, hold_stdout},
    Command{"forks", "N", "print how many of N forks succeed", 1, forks},
    Command{"alloc", "BYTES [hold]", "touch this much memory", 1, alloc},
    Command{"call", "NUMBER [WORD...]", "make a system call", 1, call},
};

}  // namespace

std::span<const Command> process_commands() {
    return kCommands;
}

}  // namespace probe
