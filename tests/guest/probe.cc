#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <array>

namespace probe {

int tell(bool succeeded) {
    if (succeeded)
        puts("ok");
    else
        printf("error %s\n", strerrorname_np(errno));
    return succeeded ? 0 : 1;
}

long number(const char* text) {
    char* end = nullptr;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != '\0') {
        fprintf(stderr, "sigil-probe: '%s' is not a number\n", text);
        exit(2);
    }
    return value;
}

int signal_number(const char* text) {
    for (int signal = 1; signal < SIGRTMIN; ++signal)
        if (const char* name = sigabbrev_np(signal); name && strcmp(name, text) == 0)
            return signal;
    return static_cast<int>(number(text));
}

void wait_forever() {
    for (;;)
        pause();
}

namespace {

const std::array kTables = {fact_commands, process_commands, signal_commands,
                            file_commands, notify_commands,  network_commands};

int usage() {
    fputs("usage: sigil-probe COMMAND [ARGUMENT...]; without one, facts\n\n", stderr);
    for (auto table : kTables)
        for (const Command& command : table())
            fprintf(stderr, "  %-12s %-20s %s\n", command.name, command.arguments, command.purpose);
    return 2;
}

int run(Arguments words) {
    const char* name = words.empty() ? "facts" : words[0];
    const Arguments arguments = words.empty() ? words : words.subspan(1);
    for (auto table : kTables)
        for (const Command& command : table())
            if (strcmp(command.name, name) == 0)
                return arguments.size() < command.least ? usage() : command.run(arguments);
    return usage();
}

}  // namespace
}  // namespace probe

int main(int count, char** words) {
    // A test reads line by line while the program goes on.
    setvbuf(stdout, nullptr, _IOLBF, 0);
    return probe::run(probe::Arguments(words, static_cast<size_t>(count)).subspan(1));
}
